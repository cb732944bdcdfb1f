"""How each task's answer is written out: the one place with generation settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from lion.prompts import Task


@dataclass(frozen=True, slots=True)
class DecodingPreset:
    """Settings handed to ``generate``; requests with equal presets share a batch."""

    num_beams: int = 5
    """Beams; 5 as released."""
    max_new_tokens: int = 64
    """A guard: answers end themselves long before."""
    repetition_penalty: float = 1.0
    """The released code uses 1.5 everywhere. It punishes the ``0.`` and ``,`` that every box repeats, so we do not."""
    length_penalty: float = 1.0
    """Above 1 beams favour long answers, below 0 short ones."""

    def as_kwargs(self) -> dict[str, float]:
        """Keyword arguments of ``generate``."""
        return asdict(self)


DECODING: Mapping[Task, DecodingPreset] = {
    Task.CAPTION: DecodingPreset(),
    Task.VQA: DecodingPreset(),
    Task.DIALOG: DecodingPreset(),
    Task.REC: DecodingPreset(),
    Task.REG: DecodingPreset(),
}
