"""The input of a pipeline: one :class:`Request` per picture and question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline.decoding import DecodingPreset
from lion.pipeline.evidence import Picture
from lion.prompts import Task


class Verb(StrEnum):
    """A task as users know it: a command of ``lion``, and the value of ``task`` in an answer."""

    CAPTION = "caption"
    ASK = "ask"
    CHAT = "chat"
    LOCATE = "locate"
    DESCRIBE = "describe"
    TAG = "tag"

    @property
    def task(self) -> Task | None:
        """The model's task behind the verb; None for ``tag``, which only the tagger answers."""
        return _TASK_OF[self]

    @classmethod
    def of(cls, task: Task) -> Self:
        """The verb that asks for a task."""
        return next(verb for verb in cls if verb.task is task)


_TASK_OF = {
    Verb.CAPTION: Task.CAPTION,
    Verb.ASK: Task.VQA,
    Verb.CHAT: Task.DIALOG,
    Verb.LOCATE: Task.REC,
    Verb.DESCRIBE: Task.REG,
    Verb.TAG: None,
}


Round = tuple[str, str]
"""A question and the answer it got."""
Wording = Callable[[Sequence[Round]], str]
"""Words a dialog, given the rounds of its history that fit the prompt."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question, of any verb, about one picture. Raises: LionError for an unknown verb."""

    image: Picture
    verb: Verb
    text: str | None = None
    """The question (ask, chat) or the phrase (locate)."""
    box: Box | None = None
    """The region to describe, in unit or pixel space."""
    history: Sequence[Round] = ()
    """Earlier rounds of a chat, (question, answer), oldest first."""
    tags: Sequence[str] | None = None
    """Tags of the prompt; None for those of the tagger, an empty list for a prompt without tags."""
    instruction: str | Wording | None = None
    """The model's instruction word for word, instead of the one the verb makes of the fields above; or a function that
    words it with as many of the `history`'s latest rounds as fit."""
    candidates: Sequence[str] | None = None
    """Answers to rank by likelihood, instead of generating one."""
    decoding: DecodingPreset | None = None
    """How the answer is generated; None for the pipeline's preset of the task."""
    max_prompt_tokens: int | None = None
    """Limit of tag prompt + instruction in tokens; None for the processor's."""

    def __post_init__(self) -> None:
        if self.verb not in list(Verb):
            raise LionError(f"no verb {self.verb!r}; there are {', '.join(Verb)}")
        object.__setattr__(self, "verb", Verb(self.verb))
