"""Step 4, read: token ids, or likelihoods of candidates, become an :class:`Answer`, the same in Python and ``--json``.

No tensors here. Boxes carry both of their spaces, so nobody needs the picture's size to use them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from transformers import PreTrainedTokenizerBase

from lion.boxes import Box, parse_boxes
from lion.errors import LionError
from lion.pipeline.evidence import Look
from lion.pipeline.prepare import Prompt, unit_box
from lion.pipeline.request import Verb


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box with the words it belongs to, in the unit square and in pixels of the picture as people see it."""

    label: str
    unit: Box
    pixel: Box

    @classmethod
    def of(cls, label: str, unit: Box, size: tuple[int, int]) -> Self:
        """From a unit box and the picture's (width, height)."""
        return cls(label, unit, unit.to_pixel(*size))

    def to_json(self) -> dict[str, Any]:
        """``{"label", "unit": [x1, y1, x2, y2], "pixel": [...]}``; unit to 4 decimals, pixels to 1."""
        return {
            "label": self.label,
            "unit": [round(value, 4) for value in self.unit.xyxy()],
            "pixel": [round(value, 1) for value in self.pixel.xyxy()],
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the answers to rank, with its likelihood under the model."""

    text: str
    nll: float
    """Negative log-likelihood in nats, summed over the tokens: 0 is certain. Candidates are ranked by it."""
    tokens: int
    """How many tokens the sum runs over, ``</s>`` included."""
    index: int
    """Its position among the candidates as given, from 0."""

    @property
    def mean_nll(self) -> float:
        """Nats a token, for rankings that do not favour short answers."""
        return self.nll / self.tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer about one picture."""

    text: str
    """The generated text, or the likeliest candidate; for ``tag`` the tags joined by commas; empty if the request
    failed."""
    task: Verb
    tags: tuple[str, ...] = ()
    """The tags in the prompt (for ``tag``: the tags found)."""
    boxes: tuple[LabelledBox, ...] = ()
    """``locate``: the generated box, labelled with the phrase. ``describe``: the request's box, labelled with the
    description. Otherwise empty."""
    ok: bool = True
    """False if there is no usable answer: empty text, no readable box for ``locate``, or a failed request."""
    reason: str | None = None
    """Why ``ok`` is False, in one line."""
    note: str | None = None
    """What the user should know about a good answer, e.g. that a dialog's oldest rounds were dropped."""
    model: str = ""
    image: str | None = None
    """The picture's name as it was given; None if it came as pixels."""
    candidates: tuple[Candidate, ...] = ()
    """The candidates of the request, likeliest first, equally likely ones in the given order; empty without."""
    failed: bool = False
    """Whether the request failed before the model answered: a picture that cannot be opened, a question too long."""

    @classmethod
    def of_tags(cls, tags: Sequence[str], model: str, image: str | None) -> Self:
        """The answer to ``tag``; a picture in which nothing was recognised is one too."""
        return cls(", ".join(tags), Verb.TAG, tuple(tags), model=model, image=image)

    def to_json(self) -> dict[str, Any]:
        """The stable keys of ``--json``: image, task, text, tags, boxes, ok, model."""
        return {
            "image": self.image,
            "task": self.task.value,
            "text": self.text,
            "tags": list(self.tags),
            "boxes": [box.to_json() for box in self.boxes],
            "ok": self.ok,
            "model": self.model,
        }

    def detections(self) -> Any:
        """The boxes as `supervision.Detections`, in pixels; none if there is no readable box.

        ``class_name`` in its ``data`` holds the labels; within this answer, boxes of one label share a ``class_id``.
        Raises: LionError if supervision is not installed.
        """
        try:
            from supervision import Detections
        except ModuleNotFoundError as error:
            raise LionError(f"detections() needs {error.name}; pip install supervision") from error
        names = [box.label for box in self.boxes]
        return Detections(
            xyxy=np.array([box.pixel.xyxy() for box in self.boxes], np.float32).reshape(-1, 4),
            class_id=np.array([names.index(name) for name in names], int),
            data={"class_name": np.array(names, str)},
        )


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
    reason = None if text else "the model generated an empty answer"
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
