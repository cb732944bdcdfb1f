"""From opened inputs to the plan of a checkpoint: which released tensors make up each of ours. Nothing is read here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lion.convert.key_map import LEFT_BEHIND, MAY_START, join
from lion.convert.report import Outcome, Row
from lion.convert.sources import Source
from lion.errors import LionError

Rename = Callable[[str], str | None]
"""A released name to ours; None for one that carries nothing of its own; LionError for one that is not LION's."""

FLOATING = ("F64", "F32", "F16", "BF16")
"""Dtypes that are converted; quantised weights have others."""

_FIX = {
    "lion": "give --config if this LION is neither the released XL nor XXL",
    "vit": "give EVA ViT-g/14 for 224 pixels (eva_vit_g.pth)",
    "blip": "give a BLIP-2 or InstructBLIP with EVA ViT-g/14 and the FLAN-T5 of this LION's size",
    "llm": "give the FLAN-T5 of the size of --lion (XL is 2048 wide, XXL 4096)",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tensor of ours comes from."""

    ours: str
    source: Source
    released: tuple[str, ...]

    def read(self) -> Tensor:
        """Its numbers.

        Raises: LionError if one of them is no finite number.
        """
        parts = {name: self.source.tensors[name].read() for name in self.released}
        for name, tensor in parts.items():
            low, high = torch.aminmax(tensor)
            if not (torch.isfinite(low) and torch.isfinite(high)):
                raise LionError(f"'{self.source.label}': {name} holds NaN or infinity; the file is damaged")
        return join(self.ours, parts)

    def shape(self) -> tuple[int, ...]:
        """Its shape, from the shapes of its parts."""
        stored = {name: self.source.tensors[name].shape for name in self.released}
        parts = {name: torch.empty(shape, device="meta") for name, shape in stored.items()}
        return tuple(join(self.ours, parts).shape)


class Assembly:
    """A checkpoint being planned; inputs are taken in the order of their rank.

    Args:
        wanted: shape of every tensor of ours by name.
    """

    def __init__(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        self.wanted = dict(wanted)
        self.origins: dict[str, Origin] = {}
        self.rows: list[Row] = []

    def lacks(self, part: str) -> bool:
        """Whether a tensor whose name matches the pattern ``part`` is still without origin."""
        return any(re.match(part, name) and name not in self.origins for name in self.wanted)

    def take(self, role: str, source: Source, rename: Rename) -> None:
        """Use what an input holds of what is still lacking; note what becomes of each of its keys.

        Args:
            role: ``lion``, ``vit``, ``blip`` or ``llm``; names the list of what may be left behind.
            source: the input.
            rename: its key map.

        Raises: LionError if a tensor has another shape than ours, or holds no floating-point numbers.
        """
        found: dict[str, list[str]] = {}
        for released in source.tensors:
            try:
                ours = rename(released)
            except LionError:
                ours = ""
            if ours is None:
                self._note(Outcome.COPY, source, released)
            elif ours in self.origins:
                self._note(Outcome.NOT_NEEDED, source, released, ours)
            elif ours in self.wanted:
                found.setdefault(ours, []).append(released)
            elif _matches(LEFT_BEHIND[role], released):
                self._note(Outcome.LEFT_OVER, source, released)
            else:
                self._note(Outcome.UNKNOWN, source, released)
        for ours, names in found.items():
            self._fill(role, Origin(ours, source, tuple(names)))

    def _fill(self, role: str, origin: Origin) -> None:
        label = origin.source.label
        for name in origin.released:
            if origin.source.tensors[name].dtype not in FLOATING:
                raise LionError(f"'{label}': {name} holds no floating-point numbers; give unquantised weights")
        try:
            shape = origin.shape()
        except (LionError, ValueError, RuntimeError) as error:  # half of a pair, two names for one, or unlike halves
            reason = error if isinstance(error, LionError) else "parts that do not fit together"
            raise LionError(f"'{label}': {', '.join(origin.released)}: {reason}; {_FIX[role]}") from error
        if shape != self.wanted[origin.ours]:
            raise LionError(
                f"'{label}': {origin.released[0]} makes {origin.ours} of shape {shape}, not "
                f"{self.wanted[origin.ours]}; {_FIX[role]}"
            )
        self.origins[origin.ours] = origin
        for name in origin.released:
            same = Outcome.USED if name == origin.ours else Outcome.RENAMED
            self._note(same if len(origin.released) == 1 else Outcome.JOINED, origin.source, name, origin.ours)

    def finish(self, visual_inputs: str) -> list[str]:
        """Note what no input holds; returns the names of what may start as training would."""
        lacking = [name for name in self.wanted if name not in self.origins]
        started = [name for name in lacking if _matches(MAY_START[visual_inputs], name)]
        self.rows += [Row(Outcome.STARTED, "", "", name) for name in started]
        self.rows += [Row(Outcome.MISSING, "", "", name) for name in lacking if name not in started]
        return started

    def _note(self, outcome: Outcome, source: Source, released: str, ours: str = "") -> None:
        self.rows.append(Row(outcome, source.label, released, ours))


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(re.match(pattern, name) for pattern in patterns)
