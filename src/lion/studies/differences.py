"""The difference of two arms, paired by question and seed, with the interval that the spread of both allows.

Every arm is trained with the same seeds and asked the same questions, so that the difference of a score is a table
d[s, q] over S seeds and Q questions. An interval is to hold for seeds and for questions that were not drawn. Three
simpler ones do not:

* over all S Q entries, or over questions of the seeds' mean: takes the seeds' models for all that there could be, and
  is far too narrow where training by chance moves a score more than questions do;
* a t interval over the S seed-level differences: right for other seeds, but for these very questions; some of the
  questions favour an arm whatever the seed;
* a bootstrap of seeds and questions: five seeds are too few for it (it leaves out the spread's own uncertainty, which
  for a t interval of five is a factor of 1.4).

So seeds and questions are both random effects, crossed: d[s, q] = mean + seed + question + rest. The mean squares of a
two-way table give the variance of the mean, and Satterthwaite's rule its degrees of freedom, as for readers and cases
in studies of medical imaging (Hillis, 2007): never fewer than S - 1, more where questions are what varies.

S seeds, Q questions.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["above", "below"]
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference with its interval at :data:`LEVEL`."""

    value: float
    half_width: float
    """Of the interval, which is symmetric; infinite for a single question."""
    seeds: int
    questions: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half_width

    @property
    def note(self) -> str:
        """What the interval leaves out, if anything."""
        return "one seed: what chance in training does is not in the interval" if self.seeds == 1 else ""

    def __str__(self) -> str:
        return f"{100 * self.value:+.1f} ± {100 * self.half_width:.1f}"

    def verdict(self, expected: Side) -> str:
        """The verdict on a claim that the difference is above (below) 0: holds or reversed where the interval leaves 0
        out, by the difference and its interval in points of 100, else not seen."""
        if self.seeds == 1:
            return f"not decided ({self}): one seed"
        if self.low <= 0 <= self.high:
            return f"not seen ({self})"
        return f"{'holds' if (self.value > 0) == (expected == 'above') else 'reversed'} by {self}"


def difference(apart_SQ: npt.NDArray[np.float64]) -> Difference:
    """The mean of paired differences (S, Q) with its interval for other seeds and other questions.

    With one seed the interval is for other questions alone.
    """
    seeds, questions = apart_SQ.shape
    mean = float(apart_SQ.mean())
    if questions < 2:
        return Difference(mean, math.inf, seeds, questions)
    by_question_Q = apart_SQ.mean(0)
    if seeds == 1:
        error = math.sqrt(by_question_Q.var(ddof=1) / questions)
        return Difference(mean, t_quantile(questions - 1) * error, seeds, questions)
    by_seed_S = apart_SQ.mean(1)
    rest_SQ = apart_SQ - by_seed_S[:, None] - by_question_Q[None, :] + mean
    of_seeds = questions * float(by_seed_S.var(ddof=1))
    of_questions = seeds * float(by_question_Q.var(ddof=1))
    of_rest = float(np.square(rest_SQ).sum()) / ((seeds - 1) * (questions - 1))
    square = of_seeds + max(of_questions - of_rest, 0.0)
    if square == 0:
        return Difference(mean, 0.0, seeds, questions)
    freedom = (seeds - 1) * (square / of_seeds) ** 2 if of_seeds > 0 else math.inf
    half_width = t_quantile(freedom) * math.sqrt(square / (seeds * questions))
    return Difference(mean, half_width, seeds, questions)


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """Where Student's t with `freedom` >= 1 degrees of freedom has a share of `level` between minus it and it."""
    return _t_quantile(round(min(freedom, 1e6), 3), level)


@cache
def _t_quantile(freedom: float, level: float) -> float:
    """By integration of the density; there is no such function in numpy."""
    places = np.linspace(0.0, 8.0, 2001)
    at = np.sinh(places)  # close together where the density is
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    density = np.exp(scale - (freedom + 1) / 2 * np.log1p(np.square(at) / freedom)) * np.cosh(places)
    covered = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1]) * places[1]])
    return float(np.sinh(np.interp(level, covered, places)))
