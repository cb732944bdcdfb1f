"""Messages of a chat completion to a LION request: which picture, which words, which task.

LION answers about one picture at a time and was taught tasks, not a system prompt. What of the messages it does not
read is named in the answer's note.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lion.boxes import Box, Space, parse_boxes
from lion.errors import LionError
from lion.pipeline.request import Verb
from lion.prompts import INSTRUCTIONS, Task
from lion.serve.errors import HttpError
from lion.serve.schema import ImagePart, LionOptions, Message

LONGEST_WORDING = 500
"""Characters; a longer text is a question, whatever it begins with."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the messages say."""

    picture: str
    """Its URL."""
    text: str
    """The last user turn."""
    history: tuple[tuple[str, str], ...]
    """Earlier turns, (question, answer), oldest first."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """The question about the picture, as fields of a :class:`~lion.pipeline.Request`."""

    verb: Verb
    text: str | None = None
    box: Box | None = None
    history: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_messages(messages: Sequence[Message]) -> Conversation:
    """The conversation in messages.

    Raises: HttpError if there is no picture or more than one, a picture stands elsewhere than in a user's message, the
        turns do not alternate, or the last is not the user's.
    """
    pictures: dict[str, None] = {}
    turns: list[tuple[str, str]] = []
    notes: list[str] = []
    for index, message in enumerate(messages):
        where, parts = f"messages.{index}", message.content if isinstance(message.content, list) else []
        urls = [part.image_url.url for part in parts if isinstance(part, ImagePart)]
        words = [message.content] if isinstance(message.content, str) else []
        text = " ".join([*words, *(part.text for part in parts if not isinstance(part, ImagePart))]).strip()
        if urls and message.role != "user":
            raise HttpError(400, "a picture stands in a message of the user", "invalid_value", where)
        pictures |= dict.fromkeys(urls)
        if message.role in ("system", "developer"):
            if text:
                notes.append(f"the {message.role} message was not read: LION has no system prompt")
        elif turns and turns[-1][0] == message.role == "user":
            turns[-1] = ("user", f"{turns[-1][1]} {text}".strip())
        else:
            turns.append((message.role, text))
    if len(pictures) != 1:
        hint = "LION answers about one picture: put an image_url part in a user's message"
        more = f"LION answers about one picture at a time, and the messages hold {len(pictures)}"
        raise HttpError(400, more if pictures else hint, "one_picture", "messages")
    if any(role != ("user", "assistant")[place % 2] for place, (role, _) in enumerate(turns)) or len(turns) % 2 == 0:
        raise HttpError(
            400, "turns of user and assistant alternate, and the user's is first and last", None, "messages"
        )
    *earlier, (_, text) = turns
    history = tuple((question[1], answer[1]) for question, answer in zip(earlier[::2], earlier[1::2], strict=True))
    return Conversation(next(iter(pictures)), text, history, tuple(notes))


def question(conversation: Conversation, options: LionOptions, wants_boxes: bool) -> Question:
    """The question: by the task that the client names, or the first rule of docs/reference/http.md that holds.

    Raises: HttpError where task, box and answer format contradict each other.
    """
    text, history, box = conversation.text, conversation.history, None
    if options.box is not None:
        box = to_box(options.box, options.space, "lion.box")
    found = _by_wording(text)
    if options.task != "auto":
        verb = Verb(options.task)
        if verb is found.verb and (verb is not Verb.DESCRIBE or box is None):
            text, box = found.text or text, found.box or box
    elif wants_boxes:
        verb, text = Verb.LOCATE, (found.text if found.verb is Verb.LOCATE else None) or text
    elif box is not None:
        verb = Verb.DESCRIBE
    elif history or found.verb is None:
        verb = Verb.CHAT if history else Verb.ASK
    else:
        verb, text, box = found.verb, found.text or text, found.box
    if wants_boxes and verb is not Verb.LOCATE:
        raise HttpError(400, f"boxes as JSON answer the task locate, not {verb}", "invalid_value", "response_format")
    if options.if_there and verb is not Verb.LOCATE:
        raise HttpError(400, f"if_there is for the task locate, not {verb}", "invalid_value", "lion.if_there")
    if box is not None and verb is not Verb.DESCRIBE:
        raise HttpError(400, f"a box is for the task describe, not {verb}", "invalid_value", "lion.box")
    notes = conversation.notes
    if history and verb is not Verb.CHAT:
        notes, history = (*notes, f"the {len(history)} earlier turns were not read: {verb} takes none"), ()
    return Question(verb, text if verb in (Verb.ASK, Verb.CHAT, Verb.LOCATE) else None, box, history, notes)


def to_box(numbers: Sequence[float], space: Space, field: str) -> Box:
    """A client's box. Raises: HttpError that names the field, for one that is none."""
    x1, y1, x2, y2 = numbers
    try:
        return Box(x1, y1, x2, y2, space)
    except LionError as error:
        raise HttpError(400, str(error), "invalid_value", field) from error


@dataclass(frozen=True, slots=True)
class _Found:
    verb: Verb | None
    text: str | None = None
    box: Box | None = None


_PICTURE = r"(?:image|picture|photo)"
_FREE = (
    (Verb.CAPTION, rf"(?:describe|caption) (?:the|this) {_PICTURE}"),
    (Verb.LOCATE, rf"(?:locate|find|detect) (.+?)(?: in (?:the|this) {_PICTURE})?"),
)
"""What people write, besides the wordings that the model was taught."""


def _patterns() -> list[tuple[Verb, re.Pattern[str]]]:
    taught = [
        (Verb.of(task), re.sub(r"\\{\w+\\}", "(.+)", re.escape(wording.removeprefix("Please ").rstrip(".?"))))
        for task in (Task.CAPTION, Task.REC, Task.REG)
        for wording in INSTRUCTIONS[task]
    ]
    return [(verb, re.compile(rf"(?:please )?{pattern}[ .?!]*", re.IGNORECASE)) for verb, pattern in (*taught, *_FREE)]


def _by_wording(text: str) -> _Found:
    """The task of which a text is a wording; a caption is also what no words at all ask for."""
    words = " ".join(text.split())
    if not words:
        return _Found(Verb.CAPTION)
    for verb, pattern in _PATTERNS if len(words) <= LONGEST_WORDING else ():
        if match := pattern.fullmatch(words):
            slot = match[1].rstrip(" .?!") if match.groups() else None
            if verb is not Verb.DESCRIBE:
                return _Found(verb, slot)
            if (boxes := parse_boxes(slot or "")).ok:
                return _Found(verb, None, boxes.boxes[0])
    return _Found(None)


_PATTERNS = _patterns()
