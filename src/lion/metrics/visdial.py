"""VisDial: the rank of the true answer among a round's options (Das et al., CVPR 2017).

Scores of the official ``metrics.py``. Of options with equal scores the earlier one ranks first
(:mod:`lion.metrics.candidate_ranking`), one of the orders that the official, unstable sort may give; the rank
file written for the server and the score here follow the same rule.

Shapes: R rounds, O options (100).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lion.errors import LionError
from lion.metrics.candidate_ranking import best_first
from lion.metrics.statistics import Estimate, mean


@dataclass(frozen=True, slots=True)
class VisdialRound:
    """The references of one round, as distributed."""

    id: str
    dialog: int | str
    """The dialog's ``image_id``."""
    round_id: int
    """Counted from 1."""
    gt_index: int
    """Index of the true answer among the options."""
    gt_relevance: Sequence[float] | None = None
    """Relevance of each option, (O,), for the one round of a dialog that has dense annotations."""


def option_ranks(scores: Sequence[float]) -> list[int]:
    """The rank of each option, (O,), from 1, by falling score. Raises: LionError without options or for a NaN."""
    ranks = [0] * len(scores)
    for rank, index in enumerate(best_first([-score for score in scores]), start=1):
        ranks[index] = rank
    return ranks


def visdial(scores: Sequence[Sequence[float]], rounds: Sequence[VisdialRound]) -> dict[str, Estimate]:
    """``mrr``, ``r@1``, ``r@5``, ``r@10`` and ``mean_rank`` over all rounds; ``mrr_last_round`` over the last round of
    each dialog (LAVIS's loader repeats that round); ``ndcg`` over the rounds with relevances, where there are some.

    ``scores`` (R, O) are in the order of ``rounds``; a higher score is better (minus a summed loss).
    Raises: LionError without rounds, as `visdial_ranks` and as `visdial_ndcg`; ValueError for unequal lengths.
    """
    ranks = visdial_ranks(scores, rounds)
    last = {one.dialog: one.round_id for one in sorted(rounds, key=lambda one: one.round_id)}
    at_the_end = [1 / rank for rank, one in zip(ranks, rounds, strict=True) if one.round_id == last[one.dialog]]
    found = {"mrr": mean([1 / rank for rank in ranks])}
    found |= {f"r@{k}": mean([rank <= k for rank in ranks]) for k in (1, 5, 10)}
    found |= {"mean_rank": mean(ranks), "mrr_last_round": mean(at_the_end)}
    gains = [gain for gain in visdial_ndcg(scores, rounds) if gain is not None]
    return {**found, "ndcg": mean(gains)} if gains else found


def visdial_ranks(scores: Sequence[Sequence[float]], rounds: Sequence[VisdialRound]) -> list[int]:
    """The rank of the true answer in each round, from 1. Raises: LionError for a wrong ``gt_index`` or NaN."""
    for row, one in zip(scores, rounds, strict=True):
        if not 0 <= one.gt_index < len(row):
            raise LionError(f"round {one.id!r}: gt_index {one.gt_index} is no place among {len(row)} scored options")
    return [_ranks(row, one)[one.gt_index] for row, one in zip(scores, rounds, strict=True)]


def visdial_ndcg(scores: Sequence[Sequence[float]], rounds: Sequence[VisdialRound]) -> list[float | None]:
    """The normalised discounted cumulative gain of each round that has relevances, None for the others.

    Over the k best-ranked options, k the number of options with a relevance other than 0, discounted by log2(rank + 1);
    divided by what the best order would give.
    Raises: LionError that names a round whose relevances are not one for each option, or all 0.
    """
    pairs = zip(scores, rounds, strict=True)
    return [None if one.gt_relevance is None else _ndcg(row, one, one.gt_relevance) for row, one in pairs]


def _ndcg(row: Sequence[float], one: VisdialRound, given: Sequence[float]) -> float:
    relevance = np.asarray(given, np.float64)
    if len(relevance) != len(row):
        raise LionError(f"round {one.id!r} has {len(relevance)} relevances for {len(row)} scored options")
    k = int(np.count_nonzero(relevance))
    if not k:
        raise LionError(f"round {one.id!r}: no option has a relevance above 0, so NDCG is undefined; leave it out")
    order, discounts = np.argsort(_ranks(row, one)), np.log2(np.arange(k) + 2)
    best = np.sort(relevance)[::-1]
    return float((relevance[order[:k]] / discounts).sum() / (best[:k] / discounts).sum())


def _ranks(row: Sequence[float], one: VisdialRound) -> list[int]:
    try:
        return option_ranks(row)
    except LionError as error:
        raise LionError(f"round {one.id!r}: {error}") from error
