"""The type of every score, a value with its standard error, and the estimators that make it.

Nearly every score is a ratio of two sums over samples (accuracy: hits over ones; precision: hits over mentions; F1:
twice the hits over a sum), so one formula gives every standard error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lion.errors import LionError

FEWEST = 3
"""Samples below which a standard error means nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score, as every metric returns it and every table, file and report shows it.

    ``standard_error`` assumes independent samples and means nothing for fewer than ``FEWEST``; ``n`` is their number.
    """

    value: float
    standard_error: float
    n: int
    caveat: str = ""
    """Why the value says nothing here, if it does not."""
    by_sample: npt.NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    """Each sample's share, (n,): their mean is ``value``, exactly the samples' own scores where it is their mean. To
    pair two models' scores by sample. None of a score without such shares."""

    @property
    def note(self) -> str:
        """The caveat, and that the standard error means nothing, where that is so; empty if all is well."""
        few = "too few samples for a standard error" if self.n < FEWEST else ""
        return "; ".join(filter(None, (self.caveat, few)))

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.standard_error:.3f}"

    def to_json(self) -> dict[str, Any]:
        """Value and standard error to 6 decimals, n, and the note if there is one."""
        rounded = {"value": round(self.value, 6), "standard_error": round(self.standard_error, 6), "n": self.n}
        return rounded | ({"note": self.note} if self.note else {})


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Sum of ``numerators`` over sum of ``denominators``, one entry of each a sample; 0 if the denominators sum to 0.

    Standard error and ``by_sample`` by linearisation, sqrt(sum (a_i - R b_i)^2) / sum b_i: exactly sqrt(p (1 - p) / n)
    for a proportion.
    Raises: LionError without samples; ValueError for unequal lengths.
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if above.shape != below.shape:
        raise ValueError(f"{above.shape} numerators for {below.shape} denominators")
    if not above.size:
        raise LionError("there is nothing to score: no samples were given")
    total = float(below.sum())
    if total == 0:
        caveat = "undefined, given as 0: no sample counts in its denominator"
        return Estimate(0.0, 0.0, above.size, caveat, np.zeros(above.size))
    value = float(above.sum()) / total
    apart = above - value * below
    error, shares = float(np.sqrt(np.square(apart).sum())) / total, value + apart * (above.size / total)
    return Estimate(value, error, above.size, by_sample=shares)


def mean(values: Sequence[float]) -> Estimate:
    """The mean of per-sample values; of booleans, a proportion. Raises: LionError without samples."""
    return ratio(values, np.ones(len(values)).tolist())


def mean_by_group(values: Sequence[float], groups: Sequence[str | None], prefix: str) -> dict[str, Estimate]:
    """The mean of each group's values, as ``prefix/<group>``; values of the group None are left out."""
    pairs = list(zip(values, groups, strict=True))
    names = sorted({group for group in groups if group is not None})
    return {f"{prefix}/{name}": mean([value for value, group in pairs if group == name]) for name in names}


def bootstrap(
    statistic: Callable[[npt.NDArray[np.intp]], float], n: int, *, resamples: int = 200, seed: int = 0
) -> Estimate:
    """For scores that are no ratio: ``statistic`` maps sample indices, (n,), to a number; the standard error is its
    standard deviation over resamples. Raises: LionError without samples."""
    if not n:
        raise LionError("there is nothing to score: no samples were given")
    rng = np.random.default_rng(seed)
    spread = [statistic(rng.integers(n, size=n)) for _ in range(resamples)]
    return Estimate(statistic(np.arange(n)), float(np.std(spread)), n)
