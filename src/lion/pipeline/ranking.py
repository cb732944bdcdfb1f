"""Choosing among given answers: candidates checked and made ids, and what the model says of them put in order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lion.errors import LionError
from lion.model import LionProcessor
from lion.model.processing_lion import is_readable
from lion.pipeline.answer import Candidate


def candidate_ids(processor: LionProcessor, candidates: Sequence[str]) -> list[list[int]]:
    """Each candidate's token ids, ``</s>`` last; none is shortened.

    Raises: LionError if there are no candidates, or one is empty or no readable text.
    """
    if isinstance(candidates, str):
        raise LionError(f"candidates is one text, {candidates!r}; give a list of answers")
    if not candidates:
        raise LionError("there are no candidates; give at least one answer to rank")
    for index, text in enumerate(candidates):
        if not is_readable(text):
            raise LionError(f"candidate {index} of {len(candidates)} is not readable text: {text!r}; leave it out")
    rows = processor.tokenizer(list(candidates))["input_ids"]
    for index, (text, ids) in enumerate(zip(candidates, rows, strict=True)):
        if not text.strip() or len(ids) < 2:
            raise LionError(f"candidate {index} of {len(candidates)} is empty: {text!r}; leave it out")
    return rows


def ranked(texts: Sequence[str], ids: Sequence[Sequence[int]], nlls: Sequence[float]) -> tuple[Candidate, ...]:
    """Candidates, likeliest first; equally likely ones stay in the given order.

    Raises: LionError for a loss that is NaN: nothing is likelier than that.
    """
    if any(map(math.isnan, nlls)):
        raise LionError("the model's loss of a candidate is NaN; load it in float32 (dtype=torch.float32)")
    given = [
        Candidate(text, nll, len(row), index)
        for index, (text, row, nll) in enumerate(zip(texts, ids, nlls, strict=True))
    ]
    return tuple(sorted(given, key=lambda candidate: candidate.nll))
