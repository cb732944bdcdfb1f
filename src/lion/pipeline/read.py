"""Step 4, read: token ids, or the likelihoods of candidates, become an :class:`Answer`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from lion.boxes import parse_boxes
from lion.errors import LionError
from lion.pipeline.answer import Answer, Candidate, LabelledBox, Verb
from lion.pipeline.evidence import Look
from lion.pipeline.prepare import Prompt, unit_box


def read(prompt: Prompt, look: Look, ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, model: str) -> Answer:
    """The answer in generated ids; ``model`` is its name. A box that cannot be read is reported, never invented."""
    return _answer(prompt, look, str(tokenizer.decode(ids, skip_special_tokens=True)).strip(), model)


def read_ranking(prompt: Prompt, look: Look, nlls: Sequence[float], model: str) -> Answer:
    """The likeliest candidate as the answer, with all candidates in order of likelihood.

    Raises: LionError as :func:`ranked`.
    """
    candidates = ranked(prompt.request.candidates or (), prompt.candidates or [], nlls)
    return _answer(prompt, look, candidates[0].text, model, candidates)


def _answer(prompt: Prompt, look: Look, text: str, model: str, candidates: tuple[Candidate, ...] = ()) -> Answer:
    request = prompt.request
    boxes: tuple[LabelledBox, ...] = ()
    reason = None if text else "the model wrote nothing"
    if request.verb is Verb.LOCATE:
        parsed = parse_boxes(text)
        reason = None if parsed.ok else parsed.reason
        boxes = tuple(LabelledBox.of(request.text or "", box, look.size) for box in parsed.boxes)
    elif request.verb is Verb.DESCRIBE and request.box is not None:
        boxes = (LabelledBox.of(text, unit_box(request.box, look.size), look.size),)
    return Answer(
        text,
        request.verb,
        prompt.tags or (),
        boxes,
        ok=reason is None,
        reason=reason,
        note=prompt.note,
        model=model,
        image=look.name,
        candidates=candidates,
    )


def ranked(texts: Sequence[str], ids: Sequence[Sequence[int]], nlls: Sequence[float]) -> tuple[Candidate, ...]:
    """Candidates, likeliest first; equally likely ones stay in the given order.

    Raises: LionError for a negative log-likelihood that is NaN, which has no place in an order.
    """
    if any(map(math.isnan, nlls)):
        raise LionError("the model's loss of a candidate is NaN; load it in float32 (dtype=torch.float32)")
    given = [
        Candidate(text, nll, len(row), index)
        for index, (text, row, nll) in enumerate(zip(texts, ids, nlls, strict=True))
    ]
    return tuple(sorted(given, key=lambda candidate: candidate.nll))
