"""Every instruction and tag template, by task, and the functions that fill them in.

The model is tuned on these exact strings, blanks included, so ``tests/golden/prompts.json`` freezes them. Sources:
the released code (tag prompt, caption, REC), the InstructBLIP prompts LION builds on (VQA, dialog); the other wordings
are ours. Few distinct words on purpose: the mini model's tokenizer has to hold them all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from lion.boxes import Box, format_box
from lion.errors import LionError


class Task(StrEnum):
    """The tasks: three on the whole image, two on its regions (paper, section 3)."""

    CAPTION = "caption"
    VQA = "vqa"
    DIALOG = "dialog"
    REC = "rec"
    """Referring expression comprehension: expression to box."""
    REG = "reg"
    """Referring expression generation: box to expression."""


SOFT_TOKEN = "<extra_id_0>"
"""The one token of the tag prompt whose embedding is learnt (FLAN-T5's first sentinel, as released)."""

TAG_PROMPT = f"According to {SOFT_TOKEN}, you are allowed to use or partially use the following tags: [{{tags}}]. "
"""Stands before the instruction in the LLM's prompt; the trailing blank is part of it (released behaviour)."""

INSTRUCTIONS: Mapping[Task, tuple[str, ...]] = {
    Task.CAPTION: (
        "Please describe the image using a single short sentence.",
        "A short image caption.",
        "Describe the image in one sentence.",
        "Please write a short caption of the image.",
    ),
    Task.VQA: (
        "Based on the image, respond to this question with a short answer: {question}",
        "Question: {question} Short answer:",
        "{question}",
        "{question} Answer the question using a single word or phrase.",
    ),
    Task.DIALOG: (
        "Question: {question} Short answer:",
        "Based on the image, respond to this question with a short answer: {question}",
        "{question}",
    ),
    Task.REC: (
        "In the image, can you locate {expression} and let me know its coordinates?",
        "In the image, where is {expression}?",
        "Please locate {expression} in the image.",
        "Please give the coordinates of {expression}.",
    ),
    Task.REG: (
        "Please describe the region {box} of the image using a short phrase.",
        "In the image, what is in the region {box}?",
        "Please describe the object in {box}.",
    ),
}
"""The wordings a model is tuned on; the pipeline and the command line use the first of each task."""

HELD_OUT_INSTRUCTIONS: Mapping[Task, tuple[str, ...]] = {
    Task.CAPTION: (
        "Please write one short sentence.",
        "Please describe the image in a short caption.",
    ),
    Task.VQA: (
        "Based on the image, answer this question with a single word or phrase: {question}",
        "Question: {question} Answer:",
    ),
    Task.DIALOG: ("Based on the image, answer this question: {question}",),
    Task.REC: (
        "In the image, can you give me the coordinates of {expression}?",
        "Please let me know where {expression} is.",
    ),
    Task.REG: (
        "Please describe what is in the region {box}.",
        "In the image, what is the object in {box}?",
    ),
}
"""Wordings for test splits only, never tuned on. Their words all occur in the same task's tuned wordings."""
_NEVER_TUNED = frozenset(wording.lower() for wordings in HELD_OUT_INSTRUCTIONS.values() for wording in wordings)

DIALOG_HISTORY = "Dialog history: {rounds} "
DIALOG_ROUND = "Question: {question} Answer: {answer}"

CHAT_TEMPLATE = f"""\
{{%- set later = "{DIALOG_HISTORY.format(rounds="%s")}{INSTRUCTIONS[Task.DIALOG][0].format(question="%s")}" -%}}
{{%- set round = "{DIALOG_ROUND.format(question="%s", answer="%s")}" -%}}
{{%- set chat = namespace(question=none, rounds=[]) -%}}
{{%- for message in messages -%}}
  {{%- set content = message.content -%}}
  {{%- set texts = [content] if content is string else content | map(attribute="text", default="") -%}}
  {{%- set text = (texts | join(" ")).split() | join(" ") -%}}
  {{%- if message.role == "user" and chat.question is none -%}}
    {{%- set chat.question = text -%}}
  {{%- elif message.role == "assistant" and chat.question is not none -%}}
    {{%- set chat.rounds = chat.rounds + [round | format(chat.question, text)] -%}}
    {{%- set chat.question = none -%}}
  {{%- else -%}}
    {{{{- raise_exception("a chat with LION is questions by user and answers by assistant, in turn") -}}}}
  {{%- endif -%}}
{{%- endfor -%}}
{{%- if chat.question is none -%}}
  {{{{- raise_exception("the last message of a chat with LION is a question by user") -}}}}
{{%- endif -%}}
{{{{- later | format(chat.rounds | join(" "), chat.question) if chat.rounds else chat.question -}}}}
"""
"""Jinja, for transformers' ``apply_chat_template``: the first message as it stands, later ones as :func:`instruction`
words a dialog."""

INSTRUCTION_FIELDS: Mapping[Task, tuple[str, ...]] = {
    Task.CAPTION: (),
    Task.VQA: ("question",),
    Task.DIALOG: ("question", "history"),
    Task.REC: ("expression",),
    Task.REG: ("box",),
}
"""The fields that :func:`instruction` takes for each task."""

_DETERMINED = re.compile(
    r"(?:an?|any|some|no|all|both|each|every|my|your|his|her|its|our|their|this|that|these|those|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|[0-9]+)\b",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"(.+?)(?:\s+(?:in|on|at|of|to|from|with|near|next|behind|under|above|below|by|left|right|that|which|who)\b|$)",
    re.IGNORECASE,
)
_PLURAL = re.compile(r".*(?:[^su]s|people|men|children)", re.IGNORECASE)


def presence_question(phrase: str) -> str:
    """Whether what a phrase names is in the picture: "the red car" -> "is there a red car?", "dogs" -> "are there any
    dogs?". A phrase that begins with another word of its kind than "the", such as "two" or "my", keeps it."""
    name = re.sub(r"^the\s+(?=\S)", "", phrase.strip().rstrip("?!."), flags=re.IGNORECASE).strip()
    head = _HEAD.match(name)
    plural = bool(head and _PLURAL.fullmatch(head[1]))
    if not _DETERMINED.match(name):
        name = f"{'any' if plural else 'an' if name[:1].lower() in set('aeiou') else 'a'} {name}"
    return f"{'are' if plural else 'is'} there {name}?"


BENCHMARK_PROMPTS: Mapping[str, str] = {
    "caption": INSTRUCTIONS[Task.CAPTION][0],
    "caption-instructblip": "A short image description:",
    "question": INSTRUCTIONS[Task.VQA][0],
    "short-answer": INSTRUCTIONS[Task.VQA][1],
    "options": "Question: {question} Options: {options}. Short answer:",
    "statement": 'Based on the image, is this statement true or false? "{question}" Answer:',
    "dialog": "{rounds}Question: {question} Short answer:",
    "dialog-caption": 'This image has the caption "{caption}". {rounds}Question: {question} Short answer:',
    "locate": INSTRUCTIONS[Task.REC][0],
    "describe": INSTRUCTIONS[Task.REG][0],
}
"""The wordings of benchmarks, by name: LION's own where its released code has one (caption, question, locate), else
InstructBLIP's, which it builds on. `{rounds}` is DIALOG_HISTORY with the earlier rounds; empty in the first."""


def benchmark_prompt(name: str, slots: Mapping[str, str], rounds: Sequence[tuple[str, str]] = ()) -> str:
    """The instruction of a benchmark, without tags: a wording of BENCHMARK_PROMPTS filled in, on one line.

    Args:
        name: of the wording.
        slots: question, options, expression, box or caption, as the wording needs; others are ignored.
        rounds: earlier rounds (question, answer) of a dialog, oldest first.
    """
    history = _history(rounds) if rounds else ""
    return " ".join(BENCHMARK_PROMPTS[name].format(rounds=history, **slots).split())


def instruction(
    task: Task,
    *,
    question: str | None = None,
    expression: str | None = None,
    box: Box | None = None,
    history: Sequence[tuple[str, str]] = (),
    template: int = 0,
    decimals: int = 3,
    held_out: bool = False,
    drop_word: Callable[[], bool] | None = None,
) -> str:
    """The instruction for one task, without tags, on one line.

    Args:
        task: needs exactly the fields of INSTRUCTION_FIELDS.
        question: VQA and dialog.
        expression: REC.
        box: REG; a unit box inside the picture.
        history: dialog; earlier rounds (question, answer), oldest first. They come before the wording.
        template: index into INSTRUCTIONS[task], or with ``held_out`` into HELD_OUT_INSTRUCTIONS[task].
        decimals: decimals of boxes in text (the processor's ``box_decimals``).
        held_out: use a held-out wording.
        drop_word: word dropout, to train on more wordings than there are: called for each word of the wording, slots
            aside; true drops it. All words stay where none would be left or a held-out wording would come of it,
            whatever the case of its letters.

    Raises:
        LionError: a needed field is missing or empty, one is given that the task does not take, or the box is not a
            unit box inside the picture.
    """
    wording = (HELD_OUT_INSTRUCTIONS if held_out else INSTRUCTIONS)[task][template]
    given = {
        "question": question,
        "expression": expression,
        "box": None if box is None else format_box(box, decimals),
        "history": _history(history) if history else None,
    }
    for name, value in given.items():
        if name not in INSTRUCTION_FIELDS[task] and value is not None:
            raise LionError(f"the task '{task}' has no use for a {name}: leave it out")
    slots = {name: " ".join((given[name] or "").split()) for name in INSTRUCTION_FIELDS[task]}
    rounds = slots.pop("history", "")
    for name, text in slots.items():
        if not text:
            raise LionError(f"the task '{task}' needs a {name}: it is missing or empty")
    if drop_word is not None:
        left = " ".join(word for word in wording.split() if "{" in word or not drop_word())
        wording = left if left and left.lower() not in _NEVER_TUNED else wording
    text = wording.format(**slots)
    return f"{rounds} {text}" if rounds else text


def _history(rounds: Sequence[tuple[str, str]]) -> str:
    texts = (DIALOG_ROUND.format(question=question, answer=answer) for question, answer in rounds)
    return DIALOG_HISTORY.format(rounds=" ".join(texts))


def tag_prompt(tags: Sequence[str]) -> str:
    """The tag prompt to put before an instruction, trailing blank included. Raises: LionError as `tag_words`."""
    return TAG_PROMPT.format(tags=", ".join(tag_words(tags)))


def tag_words(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as a tuple. Raises: LionError if they are one text, which would be spelt out, lists of tags, or blank."""
    if isinstance(tags, str):
        raise LionError(f"tags are a list of words, not one text; write {[tag.strip() for tag in tags.split(',')]}")
    words = tuple(tags)  # first of all: a generator can be read once
    if not all(isinstance(tag, str) for tag in words):
        raise LionError("tags are one list of words for all pictures; for tags of each ask with Request")
    if not all(map(str.strip, words)):
        raise LionError(f"a tag of {list(words)} is blank; leave it out")
    return words


def template_texts() -> tuple[str, ...]:
    """All templates with their slots emptied: the words that a closed-vocabulary tokenizer must hold."""
    wordings = [*INSTRUCTIONS.values(), *HELD_OUT_INSTRUCTIONS.values(), (TAG_PROMPT, DIALOG_HISTORY, DIALOG_ROUND)]
    empty = dict.fromkeys(("question", "expression", "box", "tags", "rounds", "answer"), "")
    return tuple(wording.format(**empty) for group in wordings for wording in group)
