"""The path of every request: open the picture, tag it, :mod:`prepare <lion.pipeline.prepare>` the prompt, look,
:mod:`decode <lion.pipeline.decode>`, :mod:`read <lion.pipeline.read>`.

:class:`Answering` runs batches of requests along it and is the one place where a failed request becomes a row.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal, get_args

from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor, VisualFeatures
from lion.pipeline.decode import Decoder, TransformersDecoder
from lion.pipeline.evidence import EvidenceCache, Look, Picture, batched, encode_images, picture_name, tag_images
from lion.pipeline.prepare import Prompt, prepare
from lion.pipeline.read import Answer, read, read_ranking
from lion.pipeline.request import DecodingPreset, Request, Verb, decoding_presets
from lion.prompts import Task
from lion.tagging import Tagger

OnError = Literal["raise", "row"]
"""Raise the error of a request that cannot be answered, or return it as an answer with `failed`."""


@dataclass(slots=True)
class _Row:
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


_Prepared = tuple[_Row, Look, Prompt]


def _failure(request: Request, error: LionError | OSError, model: str) -> Answer:
    """The answer in place of an error."""
    system = isinstance(error, OSError) and error.strerror
    reason = f"{system}; check the path" if system else str(error)
    name = picture_name(request.image)
    return Answer("", request.verb, ok=False, reason=reason, model=model, image=name, failed=True)


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
    rows = [_Row(request, on_error, model) for request in requests]
    for row in rows:
        with row.attempt():
            row.look = open(row.request.image)
    return [opened for row in rows if (opened := row.look or row.answer)]


class Answering:
    """Model, processor, tagger and decoder, and the path of requests through them; safe to use from several threads.

    Attributes:
        name: the model's, as answers give it.
        decoding: the preset of each task, for requests that bring no decoding of their own.
        batch_size: pictures, or prompts, that go through the model together.
        cache: evidence of the pictures used last; clear it once weights, precision, device or tagger have changed.
    """

    def __init__(
        self,
        model: LionForConditionalGeneration,
        processor: LionProcessor,
        tagger: Tagger | None = None,
        *,
        name: str = "lion",
        batch_size: int = 8,
        decoding: str = "lion",
        decoder: Decoder | None = None,
    ) -> None:
        if batch_size < 1:
            raise LionError(f"batch_size={batch_size} must be at least 1")
        self.model = model.eval()
        self.processor = processor
        self.tagger = tagger
        self.name = name
        self.batch_size = batch_size
        self.decoding: Mapping[Task, DecodingPreset] = dict(decoding_presets(decoding))
        self.decoder: Decoder = decoder or TransformersDecoder(model, processor)
        self.cache = EvidenceCache()
        self._lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=RLock())

    def answer(self, requests: Sequence[Request], *, on_error: OnError = "raise") -> list[Answer]:
        """Answer any mix of requests, in order, ``batch_size`` at a time; no more pictures than that are held at once.

        Args:
            requests: of any verbs, pictures and decoding settings.
            on_error: ``raise`` the first error, or make each failed request an answer with ``failed`` and a reason.

        Raises: LionError for a request that cannot be answered, where errors are raised.
        """
        if on_error not in get_args(OnError):
            raise LionError(f"on_error={on_error!r} is not one of {', '.join(get_args(OnError))}")
        return [answer for batch in batched(requests, self.batch_size) for answer in self._batch(batch, on_error)]

    def _batch(self, requests: Sequence[Request], on_error: OnError) -> list[Answer]:
        rows = [_Row(request, on_error, self.name) for request in requests]
        for row in rows:
            with row.attempt():
                row.look = self.cache.open(row.request.image)
        with self._lock:  # the model has one device; pictures are opened beside it
            self._tag(rows)
            for row, look in _open_rows(rows):
                with row.attempt():
                    self._prepare(row, look)
            prompts = [(row, look, row.prompt) for row, look in _open_rows(rows) if row.prompt]
            try:
                encode_images([look for _, look, _ in prompts], self.model, self.processor, self.batch_size)
                for kind, members in self._groups(prompts).items():
                    self._decode(kind, members)
            finally:
                self.cache.trim(row.look for row in rows if row.look)
        return [row.answer for row in rows if row.answer]

    def evidence(self, looks: Sequence[Look], *, tags: bool = True) -> None:
        """Compute the visual features, and the tags, of pictures that have none yet.

        Raises: LionError as the tagger.
        """
        with self._lock:
            encode_images(looks, self.model, self.processor, self.batch_size)
            if tags and self.tagger is not None:
                tag_images(looks, self.tagger, self.batch_size)
            self.cache.trim(looks)

    def _tag(self, rows: Sequence[_Row]) -> None:
        """Run the tagger for requests that need it: all at once, and one by one if that fails."""
        if self.tagger is None:
            return
        wanted = [
            (row, look) for row, look in _open_rows(rows) if row.request.verb is Verb.TAG or row.request.tags is None
        ]
        try:
            tag_images([look for _, look in wanted], self.tagger, self.batch_size)
        except LionError:
            for row, look in wanted:
                with row.attempt():
                    tag_images([look], self.tagger, 1)

    def _prepare(self, row: _Row, look: Look) -> None:
        if row.request.verb is not Verb.TAG:
            row.prompt = prepare(row.request, self.processor, look.size, look.evidence.tags)
        elif self.tagger is None:
            raise LionError(f"'{self.name}' has no tagger: put one in its sub-folder tagger/, or name another model")
        else:
            row.answer = Answer.of_tags(look.tags, self.name, look.name)

    def _groups(self, prompts: Sequence[_Prepared]) -> dict[DecodingPreset | int, list[_Prepared]]:
        """Prompts that share a pass, whatever their tasks: with equal decoding, or with about as many candidates."""
        groups: dict[DecodingPreset | int, list[_Prepared]] = defaultdict(list)
        for row, look, prompt in prompts:
            preset = row.request.decoding or self.decoding[prompt.task]
            # Numbers of candidates in a group differ by less than a factor of 2: the fewer are padded.
            kind = preset if prompt.candidates is None else len(prompt.candidates).bit_length()
            groups[kind].append((row, look, prompt))
        return groups

    def _decode(self, kind: DecodingPreset | int, members: Sequence[_Prepared]) -> None:
        """Generate, or rank candidates where ``kind`` is no preset, for one group."""
        prompts = [prompt for _, _, prompt in members]
        vision = VisualFeatures.concatenate([look.evidence.vision for _, look, _ in members if look.evidence.vision])
        decoded: Sequence[Any]
        try:
            if isinstance(kind, int):
                decoded = self.decoder.score(prompts, vision)
            else:
                decoded = self.decoder.generate(prompts, vision, kind)
        except LionError as error:  # such as a tokenizer that cannot write boxes: the same for all of the group
            decoded = [error] * len(members)
        for (row, look, prompt), result in zip(members, decoded, strict=True):
            with row.attempt():
                if isinstance(result, LionError):
                    raise result
                if prompt.candidates is None:
                    row.answer = read(prompt, look, result, self.processor.tokenizer, self.name)
                else:
                    row.answer = read_ranking(prompt, look, result, self.name)


def _open_rows(rows: Iterable[_Row]) -> list[tuple[_Row, Look]]:
    """Rows without an answer so far, with their pictures."""
    return [(row, row.look) for row in rows if row.look and row.answer is None]
