"""One number of a benchmark with what it has to be seen beside."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Any

from lion.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Score:
    """A model's score, the same score of guessers where there are some, and the bar."""

    ours: Estimate
    blind: Estimate | None = None
    """Of a guesser that reads the question but sees no picture."""
    random: Estimate | None = None
    """Of answers drawn at random from those that are possible."""
    blind_run: Estimate | None = None
    """Of the model itself before a grey picture, where that was asked for."""
    bar: float | None = None
    """What it ought to reach; None where nothing was promised."""
    directed: bool = True
    """Whether more of it is better."""

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        return None if self.bar is None else self.ours.value >= self.bar

    @property
    def above_blind(self) -> float | None:
        """How many standard errors (of the difference) it lies above the blind guesser; None without either."""
        if self.blind is None:
            return None
        error = hypot(self.ours.standard_error, self.blind.standard_error)
        return (self.ours.value - self.blind.value) / error if error and self.directed else None

    def to_json(self) -> dict[str, Any]:
        """Stable keys: value, standard_error, n; with guessers also blind, random, blind_run, above_blind, bar, met."""
        own = {**_plain(self.ours), "n": self.ours.n}
        if self.blind is None or self.random is None:
            return own
        above = self.above_blind
        return {
            **own,
            "blind": _plain(self.blind),
            "random": _plain(self.random),
            "blind_run": None if self.blind_run is None else _plain(self.blind_run),
            "above_blind": None if above is None else round(above, 1),
            "bar": self.bar,
            "met": self.met,
        }


def _plain(estimate: Estimate) -> dict[str, float]:
    return {"value": round(estimate.value, 6), "standard_error": round(estimate.standard_error, 6)}
