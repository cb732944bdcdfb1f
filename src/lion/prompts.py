"""Every instruction and tag template, by task: the one place that knows how LION is spoken to.

The model learnt these strings to the letter, blanks included, so ``tests/golden/prompts.json`` freezes them. Sources:
the released code (tag prompt, caption, REC), the InstructBLIP prompts LION builds on (VQA, dialog); the other wordings
are ours. Few distinct words on purpose: the mini model's tokenizer has to hold them all.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from lion.boxes import Box, format_box
from lion.errors import LionError


class Task(StrEnum):
    """What LION is asked to do: three tasks on the whole image, two on its regions (paper, section 3)."""

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
"""The wordings a model is tuned on; the first of each task is what the pipeline and the command line say."""

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
"""Wordings for test splits only, never tuned on. Made of words that the same task's tuned wordings hold."""
_NEVER_TUNED = frozenset(wording.lower() for wordings in HELD_OUT_INSTRUCTIONS.values() for wording in wordings)

DIALOG_HISTORY = "Dialog history: {rounds} "
DIALOG_ROUND = "Question: {question} Answer: {answer}"


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
"""What benchmarks can be put in, by name: LION's own where its released code shows one (caption, question, locate),
else InstructBLIP's, which it builds on. `{rounds}` is DIALOG_HISTORY with the rounds so far; nothing before the
first."""


def benchmark_prompt(name: str, slots: Mapping[str, str], rounds: Sequence[tuple[str, str]] = ()) -> str:
    """The bare instruction of a benchmark: a wording of BENCHMARK_PROMPTS filled in, on one line.

    Args:
        name: of the wording.
        slots: question, options, expression, box or caption, as the wording needs; others change nothing.
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
    template: int = 0,
    decimals: int = 3,
    held_out: bool = False,
    leave_out: Callable[[], bool] | None = None,
) -> str:
    """The bare instruction (no tags) for one task, with exactly the slots filled that its template has.

    ``template`` counts in INSTRUCTIONS[task], or in HELD_OUT_INSTRUCTIONS[task] with ``held_out``; ``decimals`` is how
    the processor writes boxes; ``leave_out`` is asked for each word around the slots whether to go without it (to train
    on more wordings than there are); where no word at all would be left, or a held-out wording (small letters are as
    good as capital ones), all are. Raises: LionError if a needed argument is missing or empty, one is given that the
    task has no use for, or the box is not a unit box inside the picture.
    """
    wording = (HELD_OUT_INSTRUCTIONS if held_out else INSTRUCTIONS)[task][template]
    given = {"question": question, "expression": expression, "box": None if box is None else format_box(box, decimals)}
    slots: dict[str, str] = {}
    for name, value in given.items():
        needed = f"{{{name}}}" in wording
        if not needed and value is not None:
            raise LionError(f"the task '{task}' has no use for a {name}: leave it out")
        if needed:
            slots[name] = " ".join((value or "").split())
            if not slots[name]:
                raise LionError(f"the task '{task}' needs a {name}: it is missing or empty")
    if leave_out is not None:
        left = " ".join(word for word in wording.split() if "{" in word or not leave_out())
        wording = left if left and left.lower() not in _NEVER_TUNED else wording
    return wording.format(**slots)


def dialog_instruction(
    history: Sequence[tuple[str, str]],
    question: str,
    *,
    template: int = 0,
    held_out: bool = False,
    leave_out: Callable[[], bool] | None = None,
) -> str:
    """A question with the rounds (question, answer) before it, oldest first, on one line.

    ``Dialog history: Question: .. Answer: .. Question: .. Answer: .. `` and then the dialog wording; without rounds the
    wording alone, ``leave_out`` as in :func:`instruction`. Raises: LionError if the question is empty.
    """
    now = instruction(Task.DIALOG, question=question, template=template, held_out=held_out, leave_out=leave_out)
    if not history:
        return now
    return " ".join(_history(history).split()) + " " + now


def _history(rounds: Sequence[tuple[str, str]]) -> str:
    said = " ".join(DIALOG_ROUND.format(question=asked, answer=answered) for asked, answered in rounds)
    return DIALOG_HISTORY.format(rounds=said)


def tag_prompt(tags: Sequence[str]) -> str:
    """The tag prompt to put before an instruction, trailing blank included. Raises: LionError as `tag_words`."""
    return TAG_PROMPT.format(tags=", ".join(tag_words(tags)))


def tag_words(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as a tuple. Raises: LionError if they are one text, which would be spelt out, or lists of tags."""
    if any(not isinstance(tag, str) for tag in tags):
        raise LionError("tags are one list of words for all pictures; for tags of each ask with Request")
    if isinstance(tags, str):
        raise LionError(f"tags are a list of words, not one text; write {[tag.strip() for tag in tags.split(',')]}")
    return tuple(tags)


def template_texts() -> tuple[str, ...]:
    """LION's own texts with their slots emptied: what a tokenizer made for one world must be able to hold."""
    wordings = [*INSTRUCTIONS.values(), *HELD_OUT_INSTRUCTIONS.values(), (TAG_PROMPT, DIALOG_HISTORY, DIALOG_ROUND)]
    empty = dict.fromkeys(("question", "expression", "box", "tags", "rounds", "answer"), "")
    return tuple(wording.format(**empty) for group in wordings for wording in group)
