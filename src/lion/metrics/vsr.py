"""VSR, Visual Spatial Reasoning: accuracy of true/false verdicts on statements.

The first word of the answer counts, ignoring case: "true" and "yes" mean that the statement is true, "false" and "no"
that it is not. An answer that begins otherwise is wrong, and counted as unparsed.
"""

import re
from collections.abc import Sequence

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean

_VERDICTS = {"true": True, "yes": True, "false": False, "no": False}


def is_true(answer: str) -> bool | None:
    """The verdict in an answer; None if its first word is none."""
    first = re.search(r"\w+", answer)
    return _VERDICTS.get(first[0].lower()) if first else None


def vsr(answers: Sequence[str], labels: Sequence[int]) -> dict[str, Estimate]:
    """``accuracy`` against labels (1 the statement is true, 0 it is not), and ``unparsed``, the share without verdict.

    Raises: LionError without samples or for another label; ValueError for unequal lengths.
    """
    if unknown := set(labels) - {0, 1}:
        raise LionError(f"VSR labels are 0 or 1, not {unknown.pop()!r}")
    verdicts = [is_true(answer) for answer in answers]
    hits = [one is not None and one == bool(label) for one, label in zip(verdicts, labels, strict=True)]
    return {"accuracy": mean(hits), "unparsed": mean([one is None for one in verdicts])}
