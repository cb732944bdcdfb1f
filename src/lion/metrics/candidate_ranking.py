"""Which of several candidate answers a model finds likeliest: VisDial's options, multiple choice.

Of equally likely candidates the earlier one stands first, always. The official scripts sort unstably, so that a tie may
fall either way in them; summed losses of a 16-bit model do tie.
"""

import math
from collections.abc import Sequence
from typing import Literal

from lion.errors import LionError


def best_first(losses: Sequence[float]) -> list[int]:
    """The places of candidates, counted from 0, in order of rising loss; among equals the earlier first.

    Raises: LionError without candidates or if a loss is NaN.
    """
    if not len(losses):
        raise LionError("there is no candidate to rank")
    if any(math.isnan(loss) for loss in losses):
        raise LionError("the loss of a candidate is NaN: it cannot be ranked")
    return sorted(range(len(losses)), key=lambda place: losses[place])


def rank_candidates(token_losses: Sequence[Sequence[float]], by: Literal["sum", "mean"] = "sum") -> list[int]:
    """The places of candidates, likeliest first, from the negative log-likelihood of each of their tokens.

    ``sum`` over a candidate's tokens, end token included, is how LAVIS (InstructBLIP) ranks; it favours short ones.
    ``mean`` takes length out. Ties as :func:`best_first`.
    Raises: LionError as :func:`best_first`, and that names a candidate without tokens.
    """
    if by not in ("sum", "mean"):
        raise LionError(f"candidates are ranked by 'sum' or 'mean' of their tokens' losses, not by {by!r}")
    for place, losses in enumerate(token_losses):
        if not len(losses):
            raise LionError(f"candidate {place} has no tokens, not even an end token: it cannot be ranked")
    # fsum: the same tokens in another order are the same loss to the last bit, so a tie is a tie.
    sums = [math.fsum(losses) for losses in token_losses]
    if by == "sum":
        return best_first(sums)
    return best_first([total / len(losses) for total, losses in zip(sums, token_losses, strict=True)])
