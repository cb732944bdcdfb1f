"""The path of requests: open the picture, tag it, :mod:`prepare <lion.pipeline.prepare>` the prompt, look,
:mod:`decode <lion.pipeline.decode>`, :mod:`read <lion.pipeline.read>`.

A :class:`Batch` takes requests along it, and is the one place where a failed request becomes a row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from lion.engine.look import Seeing
from lion.errors import LionError, reason_of
from lion.model import LionProcessor, VisualFeatures
from lion.nn.inference import Read
from lion.pipeline.decode import Decoder
from lion.pipeline.evidence import Look, Picture, encode_images, picture_name, tag_images
from lion.pipeline.prepare import Prompt, prepare
from lion.pipeline.read import Answer, read_absence, read_ranking, share
from lion.pipeline.request import DecodingPreset, Request, Verb
from lion.prompts import Task
from lion.tagging import Tagger

OnError = Literal["raise", "row"]
"""Raise the error of a request that cannot be answered, or return it as an answer with `failed`."""


PRESENCE_THRESHOLD = 0.03
"""The least probability of "yes", beside "no", at which a phrase is located, chosen on the drawn world's val questions
with the first lion-mini (docs/explanation/confidence_choices.md). It is this low for phrases such as "the second car
from the left": models are asked for them in no question of yes or no, and doubt."""


@dataclass(slots=True)
class Row:
    """The state of one request in a batch."""

    request: Request
    on_error: OnError
    model: str
    look: Look | None = None
    prompt: Prompt | None = None
    answer: Answer | None = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A step of this request; an error of the user's becomes its answer where rows are wanted."""
        try:
            yield
        except (LionError, OSError) as error:
            if self.on_error == "raise":
                raise
            self.answer = _failure(self.request, error, self.model)


Prepared = tuple[Row, Look, Prompt]


class Submitted(NamedTuple):
    """A row that is being decoded."""

    row: Row
    look: Look
    prompt: Prompt
    preset: DecodingPreset
    ticket: int
    """The decoder's."""


def _failure(request: Request, error: LionError | OSError, model: str) -> Answer:
    """The answer in place of an error."""
    name, question, reason = picture_name(request.image), request.text, reason_of(error)
    return Answer("", request.verb, ok=False, reason=reason, model=model, image=name, failed=True, question=question)


def open_pictures(
    requests: Iterable[Request], open: Callable[[Picture], Look], on_error: OnError = "raise", model: str = ""
) -> list[Look | Answer]:
    """Open the pictures of requests before there is a model: each as a look, or a failed answer in its place.

    Args:
        requests: their pictures may be given in any form that ``open`` takes.
        open: opens one picture, such as :meth:`Look.open`.
        on_error: whether the first failure is raised, or each becomes an answer.
        model: name of the model, for failed answers.
    """
    batch = Batch(requests, on_error, model)
    batch.open(open)
    return [opened for row in batch.rows if (opened := row.look or row.answer)]


class Batch:
    """Requests that go through the model together. The steps are called in the order in which they stand here.

    Args:
        requests: of any verbs; each becomes a row.
        on_error: whether the first failure is raised, or each becomes its row's answer and later steps pass it over.
        model: the model's name, as answers give it.
    """

    def __init__(self, requests: Iterable[Request], on_error: OnError, model: str) -> None:
        self.model = model
        self.rows = [Row(request, on_error, model) for request in requests]

    @property
    def looks(self) -> list[Look]:
        """The pictures that could be opened."""
        return [row.look for row in self.rows if row.look]

    @property
    def answers(self) -> list[Answer]:
        """After the last step an answer for each request."""
        return [row.answer for row in self.rows if row.answer]

    @property
    def _unanswered(self) -> list[tuple[Row, Look]]:
        return [(row, row.look) for row in self.rows if row.look and row.answer is None]

    @property
    def prepared(self) -> list[Prepared]:
        """Rows that a decoder is to answer."""
        return [(row, look, row.prompt) for row, look in self._unanswered if row.prompt]

    def fail(self, error: LionError) -> None:
        """Every request has this error."""
        for row in self.rows:
            with row.attempt():
                raise error

    def open(self, open: Callable[[Picture], Look]) -> None:
        """Open every picture."""
        for row in self.rows:
            with row.attempt():
                row.look = open(row.request.image)

    def tag(self, tagger: Tagger | None, batch_size: int) -> None:
        """Run the tagger for requests that need it, all at once and one by one if that fails; answer ``tag``."""
        needed = [(row, look) for row, look in self._unanswered if row.request.tags is None or _is_tag(row)]
        try:
            tag_images([look for _, look in needed], tagger, batch_size)
        except LionError:
            for row, look in needed:
                with row.attempt():
                    tag_images([look], tagger, 1)
        for row, look in self._unanswered:
            with row.attempt():
                if _is_tag(row) and tagger is None:
                    hint = "put one in its sub-folder tagger/, or name another model"
                    raise LionError(f"'{self.model}' has no tagger: {hint}")
                if _is_tag(row):
                    row.answer = Answer.of_tags(look.tags, look, self.model)

    def prepare(self, processor: LionProcessor, positions: int | None = None) -> None:
        """Make the prompts; ``positions`` as in :func:`~lion.pipeline.prepare.prepare`."""
        for row, look in self._unanswered:
            with row.attempt():
                row.prompt = prepare(row.request, processor, look.size, look.evidence.tags, positions)

    def encode(self, seeing: Read[Seeing], processor: LionProcessor, batch_size: int) -> None:
        """Compute visual features where a prompt needs them."""
        encode_images([look for _, look, _ in self.prepared], seeing, processor, batch_size)

    def score(self, decoder: Decoder, processor: LionProcessor, positions: int | None = None) -> None:
        """Score given answers: rank the candidates of requests that have some, and ask whether what a phrase names is
        there for those that want to know. Answers the former, and of the latter those where it is not."""
        asked: list[tuple[Prepared, Prompt]] = []
        for row, look, prompt in self.prepared:
            with row.attempt():
                if prompt.candidates is not None:
                    asked.append(((row, look, prompt), prompt))
                elif row.request.if_there:
                    question = prepare(row.request.presence(), processor, look.size, look.evidence.tags, positions)
                    asked.append(((row, look, prompt), question))
        if not asked:
            return
        scores = decoder.score([question for _, question in asked], features(each for each, _ in asked))
        for ((row, look, prompt), _), nlls in zip(asked, scores, strict=True):
            with row.attempt():
                if prompt.candidates is not None:
                    row.answer = read_ranking(prompt, look, nlls, self.model)
                    continue
                presence = share(nlls[0], nlls)  # of yes, beside no
                row.prompt = replace(prompt, presence=presence)
                if presence < PRESENCE_THRESHOLD:
                    row.answer = read_absence(row.prompt, look, self.model)

    def submit(self, decoder: Decoder, decoding: Mapping[Task, DecodingPreset]) -> list[Submitted]:
        """Give the decoder the prompts to generate for: all at once, and one by one if it cannot take one of them."""
        members = [row for row in self.prepared if row[2].candidates is None]
        presets = [row.request.decoding or decoding[prompt.task] for row, _, prompt in members]
        prompts = [prompt for _, _, prompt in members]
        if not members:
            return []
        try:
            tickets = decoder.submit(prompts, features(members), presets)
        except LionError:  # such as a tokenizer that cannot write boxes
            submitted = []
            for member, preset in zip(members, presets, strict=True):
                with member[0].attempt():
                    (ticket,) = decoder.submit([member[2]], features([member]), [preset])
                    submitted.append(Submitted(*member, preset, ticket))
            return submitted
        rows = zip(members, presets, tickets, strict=True)
        return [Submitted(*member, preset, ticket) for member, preset, ticket in rows]


def features(members: Iterable[Prepared]) -> VisualFeatures:
    """The visual features of rows, in their order."""
    return VisualFeatures.concatenate([look.evidence.vision for _, look, _ in members if look.evidence.vision])


def _is_tag(row: Row) -> bool:
    return row.request.verb is Verb.TAG
