"""One item of a dataset before it is put into words: an image, a question about it and the correct answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lion.boxes import Box
from lion.prompts import Task


@dataclass(frozen=True, slots=True)
class Record:
    """One scored item: for captions one per picture, for REC one per sentence, for dialogs one per round."""

    id: str
    """The dataset's own id, unique for the dataset and task."""
    image: Path | bytes
    """The picture's file, or the bytes of one where the format embeds pictures."""
    task: Task
    question: str | None = None
    """VQA and dialog: the question, or the statement to be judged (VSR)."""
    expression: str | None = None
    """REC and REG: the phrase that denotes `box`."""
    box: Box | None = None
    """REC and REG, unit square, exact: it may reach less than a pixel outside, as some official boxes do."""
    history: tuple[tuple[str, str], ...] = ()
    """Dialog: earlier rounds (question, answer), oldest first."""
    answers: tuple[str, ...] = ()
    """All correct answers: reference captions, the answers of all annotators, the expressions for one box. Empty where
    a split hides them."""
    choices: tuple[str, ...] = ()
    """Multiple choice: the options in their order."""
    correct: int | None = None
    """Multiple choice: index of the correct option."""
    hint: str | None = None
    tags: tuple[str, ...] | None = None
    """Image tags, most important first; None for a prompt without tags."""
    also: tuple[Task, ...] = ()
    """Further tasks that the record serves."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What scoring and official result files need beyond this: ids, types of question, relevances, the pixel box."""
