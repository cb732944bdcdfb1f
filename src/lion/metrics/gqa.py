"""GQA accuracy by three rules of comparison that are in use.

``exact`` is the official one: the same text. ``lower_strip_period`` ignores case, outer blanks and a final full stop,
as evaluation harnesses do. ``vqa_normalised`` normalises both sides as VQA accuracy does, which is LAVIS's rule and the
one to compare with LION's number. The official script's other figures (consistency, validity, plausibility,
distribution) are not computed.
"""

from collections.abc import Callable, Sequence

from lion.metrics.statistics import Estimate, mean
from lion.metrics.vqa import normalise

RULES: dict[str, Callable[[str], str]] = {
    "exact": lambda text: text,
    "lower_strip_period": lambda text: text.lower().strip().rstrip(".").rstrip(),
    "vqa_normalised": normalise,
}
"""Normalisation of both sides, by rule."""


def gqa(predictions: Sequence[str], answers: Sequence[str]) -> dict[str, Estimate]:
    """The accuracy by each of the RULES. Raises: LionError without samples; ValueError for unequal lengths."""
    return {rule: mean(gqa_hits(predictions, answers, rule)) for rule in RULES}


def gqa_hits(predictions: Sequence[str], answers: Sequence[str], rule: str) -> list[bool]:
    """Whether each prediction is correct by one of the RULES."""
    prepare = RULES[rule]
    return [prepare(one) == prepare(true) for one, true in zip(predictions, answers, strict=True)]
