"""Ranking of candidate answers by their loss, for VisDial's options and multiple choice.

Among equal losses the earlier candidate ranks first, always. The official scripts sort unstably, so a tie may fall
either way in them, and summed losses of a 16-bit model do tie.
"""

import math
from collections.abc import Sequence

from lion.errors import LionError


def best_first(losses: Sequence[float]) -> list[int]:
    """The candidates' indices in order of rising loss. Raises: LionError without candidates or if a loss is NaN."""
    if not len(losses):
        raise LionError("there is no candidate to rank")
    if any(math.isnan(loss) for loss in losses):
        raise LionError("the loss of a candidate is NaN: it cannot be ranked")
    return sorted(range(len(losses)), key=losses.__getitem__)
