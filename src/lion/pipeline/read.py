"""Step 4, read: generated tokens, or likelihoods of candidates, become an :class:`Answer`, the same in Python and
``--json``.

No tensors here. Boxes carry both of their spaces, so nobody needs the picture's size to use them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image
from transformers import PreTrainedTokenizerBase

from lion.boxes import LabelledBox, parse_boxes, unit_box
from lion.engine import Output
from lion.errors import LionError
from lion.images import image_hash, open_image, path_of
from lion.pipeline.confidence import TokenLogprob, box_scores, confidence, token_logprobs
from lion.pipeline.drawing import preview
from lion.pipeline.evidence import Look
from lion.pipeline.prepare import Prompt
from lion.pipeline.request import Verb

if TYPE_CHECKING:
    from supervision import Detections


NOT_THERE = "not there"
"""The reason of an answer without a box, where the model says that the phrase names nothing in the picture."""


_NAN = "the model's {} NaN; load it in float32 (dtype=torch.float32), or get its weights again"


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
    """What the user should know about a good answer: that the picture is nearly black, that a dialog's oldest rounds
    were dropped, that lion-mini knows no photographs."""
    about: str | None = field(default=None, compare=False)
    """The end of the note: what holds for all answers of the model, as :attr:`LionPipeline.about`."""
    model: str = ""
    image: str | None = None
    """The picture's name as it was given; None if it came as pixels."""
    candidates: tuple[Candidate, ...] = ()
    """The candidates of the request, likeliest first, equally likely ones in the given order; empty without."""
    failed: bool = False
    """Whether the request failed before the model answered: a picture that cannot be opened, a question too long."""
    question: str | None = None
    """The question, or for ``locate`` the phrase, that it answers."""
    size: tuple[int, int] | None = None
    """(width, height) of the picture in pixels, as people see it; None if the request failed."""
    tokens: tuple[TokenLogprob, ...] = field(default=(), compare=False)
    """What was generated, with log-probabilities, ``</s>`` included; empty where nothing was, for ranked candidates, or
    from a decoder that gives none."""
    confidence: float | None = field(default=None, compare=False)
    """How sure the model is, in [0, 1]: the geometric mean of the probabilities of `tokens`; of ranked candidates, the
    best one's share of the probability of all. None without either."""
    presence: float | None = field(default=None, compare=False)
    """Of a request with `if_there`: the probability of "yes", beside "no", that the phrase names something there."""
    hash: str | None = field(default=None, compare=False)
    """Of the picture's pixels, as :attr:`Look.hash`."""
    pixels: Image.Image | None = field(default=None, compare=False)
    """The picture, where no file has it, so that a notebook can show the answer."""

    @classmethod
    def of(cls, text: str, verb: Verb, look: Look, model: str, note: str | None = None, **fields: Any) -> Self:
        """About an opened picture."""
        path = look.name and path_of(look.name)
        pixels = None if path and os.path.isfile(path) else look.image
        note = "; ".join(filter(None, (look.note, note))) or None
        return cls(
            text, verb, note=note, model=model, image=look.name, size=look.size, hash=look.hash, pixels=pixels, **fields
        )

    @classmethod
    def of_tags(cls, tags: Sequence[str], look: Look, model: str) -> Self:
        """The answer to ``tag``; a picture in which nothing was recognised is one too."""
        return cls.of(", ".join(tags), Verb.TAG, look, model, tags=tuple(tags))

    @property
    def remark(self) -> str | None:
        """The note on this answer, without what holds for all answers of the model."""
        return (self.note or "").removesuffix(self.about or "").removesuffix("; ") or None

    def with_about(self, about: str | None) -> Self:
        """With what holds for all answers of the model at the end of its note; a failed request got no answer."""
        if about is None or self.failed:
            return self
        return replace(self, note="; ".join(filter(None, (self.note, about))), about=about)

    def to_json(self) -> dict[str, Any]:
        """The stable keys of ``--json``: image, task, text, tags, boxes, ok, model, reason, question, size, note,
        confidence, presence; the last two to 4 decimals."""
        return {
            "image": self.image,
            "task": self.task.value,
            "text": self.text,
            "tags": list(self.tags),
            "boxes": [box.to_json() for box in self.boxes],
            "ok": self.ok,
            "model": self.model,
            "reason": self.reason,
            "question": self.question,
            "size": self.size and list(self.size),
            "note": self.note,
            "confidence": self.confidence and round(self.confidence, 4),
            "presence": self.presence and round(self.presence, 4),
        }

    def detections(self) -> Detections:
        """The boxes as `supervision.Detections`; see :func:`detections`, which numbers the labels of many answers."""
        return detections([self])[0]

    def __repr__(self) -> str:
        boxes = f", {len(self.boxes)} box{'es' * (len(self.boxes) > 1)}" if self.boxes else ""
        wrong = "" if self.ok else f", not ok: {self.reason}"
        name = repr(self.image)[1:-1] if self.image else "pixels"
        return f"Answer({self.text!r}, {self.task}{boxes}, {name}{wrong})"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the picture with the answer drawn; None where its file is gone or holds another."""
        try:
            picture = self.pixels or open_image(self.image or "")
            if image_hash(picture) != self.hash:
                return None
            return preview(picture, self.boxes, "" if self.boxes else self.text or str(self.reason))
        except (LionError, OSError):
            return None


def labels(answers: Iterable[Answer]) -> list[str]:
    """The labels of all boxes, each once, in the order in which they come; a label's index is its class."""
    return list(dict.fromkeys(box.label for answer in answers for box in answer.boxes))


def detections(answers: Sequence[Answer]) -> list[Detections]:
    """The boxes of each answer as `supervision.Detections`, in pixels; none where there is no readable box.

    ``class_name`` in their ``data`` holds the labels, ``confidence`` the scores where all boxes have one. Equal labels
    have equal ``class_id`` in all of them, so they may be merged. Raises: LionError if supervision is not installed.
    """
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise LionError(f"detections need {error.name}; pip install supervision") from error
    classes = {label: number for number, label in enumerate(labels(answers))}
    scored = all(box.score is not None for answer in answers for box in answer.boxes)
    return [
        Detections(
            xyxy=np.array([box.pixel.xyxy() for box in answer.boxes], np.float32).reshape(-1, 4),
            confidence=np.array([box.score for box in answer.boxes], np.float32) if scored else None,
            class_id=np.array([classes[box.label] for box in answer.boxes], int),
            data={"class_name": np.array([box.label for box in answer.boxes], str)},
        )
        for answer in answers
    ]


def read(
    prompt: Prompt,
    look: Look,
    output: Output,
    tokenizer: PreTrainedTokenizerBase,
    model: str,
    stop: Sequence[str] = (),
) -> Answer:
    """The answer in generated tokens, up to the first text of ``stop``; ``model`` is its name. A box that cannot be
    read is reported, never invented.

    Raises: LionError where the model's scores are no numbers.
    """
    if any(map(math.isnan, output.logprobs)):
        raise LionError(_NAN.format("scores are"))
    text = str(tokenizer.decode(output.ids, skip_special_tokens=True))
    for end in stop:
        text = text.split(end)[0]
    answer = _answer(prompt, look, text.strip(), model)
    tokens = token_logprobs(output, tokenizer)
    boxes = answer.boxes
    if answer.task is Verb.LOCATE:
        scores = box_scores(output, tokens, [box.unit for box in boxes], tokenizer)
        boxes = tuple(replace(box, score=score) for box, score in zip(boxes, scores, strict=True))
    return replace(answer, boxes=boxes, tokens=tokens, confidence=confidence(tokens))


def read_ranking(prompt: Prompt, look: Look, nlls: Sequence[float], model: str) -> Answer:
    """The likeliest candidate as the answer, with all candidates in order of likelihood.

    Raises: LionError as :func:`ranked`.
    """
    candidates = ranked(prompt.request.candidates or (), prompt.candidates or [], nlls)
    answer = _answer(prompt, look, candidates[0].text, model, candidates)
    return replace(answer, confidence=share(candidates[0].nll, nlls))


def read_absence(prompt: Prompt, look: Look, model: str) -> Answer:
    """The answer where the phrase of a prompt names nothing in the picture."""
    return Answer.of(
        "",
        prompt.request.verb,
        look,
        model,
        prompt.note,
        tags=prompt.tags or (),
        ok=False,
        reason=NOT_THERE,
        question=prompt.request.text,
        presence=prompt.presence,
    )


def share(nll: float, nlls: Sequence[float]) -> float:
    """A candidate's share of the probability of all, given their negative log-likelihoods."""
    return 1 / sum(math.exp(min(nll - other, 700.0)) for other in nlls)


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
    return Answer.of(
        text,
        request.verb,
        look,
        model,
        prompt.note,
        tags=prompt.tags or (),
        boxes=boxes,
        ok=reason is None,
        reason=reason,
        candidates=candidates,
        question=request.text,
        presence=prompt.presence,
    )


class Detokenizer:
    """The text of an answer as its tokens come, a word at a time; joined, the pieces are the text of :func:`read`.

    Held back are a word that may go on, and what may turn out to be the beginning of a text that ends the answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str] = ()) -> None:
        self.tokenizer, self.stop = tokenizer, stop
        self._sent = ""

    def add(self, ids: Sequence[int]) -> str:
        """What is certain of the answer, given all tokens so far, and was not before."""
        words = str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        words = words[: max(words.rfind(" "), 0)]
        held = max((size for stop in self.stop for size in range(len(stop)) if words.endswith(stop[:size])), default=0)
        words = words[: len(words) - held].rstrip()
        return self.end(words) if len(words) > len(self._sent) else ""

    def end(self, text: str) -> str:
        """The rest of the answer's whole text."""
        if not text.startswith(self._sent):
            return ""
        rest, self._sent = text[len(self._sent) :], text
        return rest


def ranked(texts: Sequence[str], ids: Sequence[Sequence[int]], nlls: Sequence[float]) -> tuple[Candidate, ...]:
    """Candidates, likeliest first; equally likely ones stay in the given order.

    Raises: LionError for a negative log-likelihood that is NaN, which has no place in an order.
    """
    if any(map(math.isnan, nlls)):
        raise LionError(_NAN.format("loss of a candidate is"))
    given = [
        Candidate(text, nll, len(row), index)
        for index, (text, row, nll) in enumerate(zip(texts, ids, nlls, strict=True))
    ]
    return tuple(sorted(given, key=lambda candidate: candidate.nll))
