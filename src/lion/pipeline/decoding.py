"""How each task's answer is written out: the one place with generation settings, and their named presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from lion.errors import LionError
from lion.prompts import Task


@dataclass(frozen=True, slots=True)
class DecodingPreset:
    """Settings of one task; requests with equal presets share a batch."""

    num_beams: int = 5
    """Beams; 5 as released."""
    max_new_tokens: int = 64
    """A guard: answers end themselves long before."""
    repetition_penalty: float = 1.0
    """The released code uses 1.5 everywhere. It punishes the ``0.`` and ``,`` that every box repeats, so we do not."""
    length_penalty: float = 1.0
    """Above 1 beams favour long answers, below 0 short ones."""
    box_only: bool = False
    """Let the model write one box and nothing else (:mod:`lion.pipeline.box_only`)."""

    def as_kwargs(self) -> dict[str, float]:
        """Keyword arguments of ``generate``."""
        kwargs = asdict(self)
        del kwargs["box_only"]
        return kwargs

    def __str__(self) -> str:
        words = f"{self.num_beams} beams, at most {self.max_new_tokens} tokens, repetition penalty "
        words += f"{self.repetition_penalty:g}, length penalty {self.length_penalty:g}"
        return words + (", one box and nothing else" if self.box_only else "")


_OURS = dict.fromkeys(Task, DecodingPreset())
_SHORT = DecodingPreset(max_new_tokens=10, length_penalty=-1.0)

DECODING: Mapping[str, Mapping[Task, DecodingPreset]] = {
    "lion": _OURS,
    "official": dict.fromkeys(Task, DecodingPreset(max_new_tokens=256, repetition_penalty=1.5)),
    "short": {**_OURS, Task.VQA: _SHORT, Task.DIALOG: _SHORT},
    "boxes": {**_OURS, Task.REC: DecodingPreset(box_only=True)},
}
"""Presets by name, each a table by task: ``lion``, the default; ``official``, the released code's defaults (but for a
``min_length=1`` that has no effect); ``short``, as ``lion`` except that questions are answered in a word or few, as
InstructBLIP's published VQA settings do; ``boxes``, as ``lion`` except that a phrase is always answered with a box that
can be read."""


def decoding(name: str) -> dict[Task, DecodingPreset]:
    """A preset's table, to keep and change.

    Raises: LionError if there is no preset of that name.
    """
    if name not in DECODING:
        raise LionError(f"no decoding '{name}'; there are {', '.join(DECODING)}")
    return dict(DECODING[name])
