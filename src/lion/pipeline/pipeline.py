"""The high-level interface: captioning, VQA, dialog, grounding, region description, tagging and ranking.

Every method makes :class:`Request` objects, and :meth:`LionPipeline.answer` is the one path that all of them take.
"""

# mypy: disable-error-code="overload-overlap"
# One picture and one text give one answer, several of either give a list; a text counts as both kinds for mypy.

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any, NoReturn, Self, Unpack, get_args, overload

import torch

from lion.boxes import Box
from lion.checkpoints.loading import load
from lion.engine.look import seeing_of
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.pipeline.adapters import Parts
from lion.pipeline.answering import OnError
from lion.pipeline.continuous import answer_each, stream
from lion.pipeline.decode import Decoder, EngineDecoder
from lion.pipeline.evidence import EvidenceCache, Look, Picture, Pictures, encode_images, tag_images
from lion.pipeline.explain import explain
from lion.pipeline.explanation import Explanation
from lion.pipeline.read import Answer, Candidate
from lion.pipeline.request import (
    DecodingPreset,
    Request,
    Round,
    Tags,
    Verb,
    decoding_presets,
    listed,
    shown,
    whole_number,
    with_settings,
)
from lion.pipeline.request import DecodingSettings as Settings
from lion.pipeline.spread import One, pictures, spread, texts
from lion.prompts import Task
from lion.tagging import Tagger

Images = Picture | Pictures
Answers = list[Answer]
Rounds = Iterable[Round]
Texts = str | Iterable[str]
Ranked = tuple[Candidate, ...]


class LionPipeline(Parts):
    """A model, its processor and a tagger behind caption, ask, chat, locate, describe_region, tags and rank.

    Each takes a picture (:class:`Look`, path, file bytes or PIL image) or several, answered in batches. Several
    pictures and several texts (lists, tuples, arrays, Series, generators) go pairwise; one of either goes with all.
    ``tags`` are those of the prompts, see :data:`~lion.pipeline.request.Tags`. Keywords of :class:`DecodingSettings`
    (``num_beams=1``) hold for one call. A pipeline is safe to use from several threads. In signatures ``Images`` and
    ``Texts`` mean one or several, ``Settings`` those keywords.

    Attributes:
        name: the model's, as answers give it.
        decoding: the preset of each task, for requests that bring no decoding of their own.
        batch_size: pictures, or prompts, that go through the model together.
        cache: evidence of the pictures used last; clear it once weights, precision, device or tagger have changed.
        seeing: the model's ``look`` as the engine runs it; reads weights anew once they have changed.
        lock: held while the model is used, which has one device.
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
        self.batch_size = whole_number("batch_size", batch_size)
        self.model = model.eval()
        self.processor = processor
        self.tagger = tagger
        self.name = name
        self.decoding: Mapping[Task, DecodingPreset] = dict(decoding_presets(decoding))
        self.decoder: Decoder = decoder or EngineDecoder(model, processor, self.batch_size)
        self.cache = EvidenceCache()
        self.seeing = seeing_of(model)
        self.lock, self._variants = RLock(), {}

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        tagger: str | Path | None = None,
        batch_size: int = 8,
        decoding: str = "lion",
        adapters: str | Path | None = None,
    ) -> Self:
        """Load a checkpoint folder or Hub repository, with its tagger if it holds one (sub-folder ``tagger``).

        Warns: DrawnScenesWarning where the model is lion-mini or made from it; LionWarning where there is no tagger.

        Args:
            model: a folder, a Hub id (``owner/name``; the only case that uses the network), or None for the bundled
                lion-mini.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for a GPU if there is one.
            dtype: None for the checkpoint's own (never float16), and for float32 on a CPU below 4 GB of weights.
            tagger: a tagger, or the model whose tagger is to be used (``lion-mini``); None for the model's own.
            batch_size: pictures, or prompts, that go through the model together.
            decoding: a preset of :data:`DECODING`: ``lion``, ``official``, ``short``, ``boxes`` or ``greedy``.
            adapters: a file of ``lion finetune``, put on the model; to switch between several see `load_adapters`.

        Raises:
            LionError: no such model, device, dtype or preset, not a LION checkpoint, or weights that do not fit its
                configuration.
        """
        decoding_presets(decoding)  # a mistake is reported before the model is loaded
        whole_number("batch_size", batch_size)
        loaded = load(model, device, dtype, tagger, adapters)
        loaded.warn(stacklevel=3)
        return cls(
            loaded.model, loaded.processor, loaded.tagger, name=loaded.name, batch_size=batch_size, decoding=decoding
        )

    def __repr__(self) -> str:
        return f"LionPipeline({self.name}, {self.model.dtype} on {self.model.device})"

    def __call__(self, *given: object, **more: object) -> NoReturn:
        """Raise LionError: there is a method for each verb."""
        raise LionError("call a verb: .caption(picture), .ask(picture, question), .locate(picture, phrase), ...")

    def answer(self, requests: Iterable[Request], *, on_error: OnError = "raise") -> Answers:
        """Answer any mix of requests, in order.

        Args:
            requests: of any verbs, pictures and decoding settings.
            on_error: ``raise`` the first error, or make each failed request an answer with ``failed`` and a reason.

        Raises: LionError for a request that cannot be answered, where errors are raised.
        """
        rows = listed(requests)
        if rows is None or not all(isinstance(row, Request) for row in rows):
            raise LionError("answer takes a list of lion.pipeline.Request; for one question see ask, locate, ...")
        return list(self.answer_each(rows, on_error=on_error))

    def answer_each(self, requests: Iterable[Request], *, on_error: OnError = "raise") -> Iterator[Answer]:
        """Answer requests without end: each answer in its turn, while those behind it are decoded.

        No more than three batches of ``batch_size`` requests are taken ahead of the answers.

        Args and errors are those of :meth:`answer`. Raises: LionError for another ``on_error``, at once.
        """
        if on_error not in get_args(OnError):
            raise LionError(f"on_error={on_error!r} is not one of {', '.join(get_args(OnError))}")
        return answer_each(self, requests, on_error)

    def stream(self, request: Request) -> Generator[str, None, Answer]:
        """Answer one request in pieces of text, as words are found; joined they are the ``text`` of the answer, which
        the generator returns.

        Decoding is greedy, whatever beams are set: with beams, no word is certain before the last. Ranked candidates,
        tags, and what a decoder without tokens between generates, come in one piece.

        Raises: LionError as :meth:`answer`, when the first piece is taken.
        """
        return stream(self, request)

    @overload
    def look(self, image: Picture, *, tags: bool = True) -> Look: ...
    @overload
    def look(self, image: Pictures, *, tags: bool = True) -> list[Look]: ...
    def look(self, image: Images, *, tags: bool = True) -> Look | list[Look]:
        """Open a picture, or several, and compute all that does not depend on a question: visual features and tags.

        Args:
            image: one picture or several.
            tags: whether to run the tagger; without, it runs when a prompt first needs it.

        Raises: LionError if a picture cannot be read, or as the tagger.
        """
        several = pictures(image)
        looks = [self.cache.open(picture) for picture in (several if isinstance(several, list) else [several])]
        with self.lock:
            encode_images(looks, self.seeing, self.processor, self.batch_size)
            if tags:
                tag_images(looks, self.tagger, self.batch_size)
            self.cache.trim(looks)
        return looks if isinstance(several, list) else looks[0]

    @overload
    def caption(self, image: Picture, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answer: ...
    @overload
    def caption(self, image: Pictures, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answers: ...
    def caption(self, image: Images, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answer | Answers:
        """Describe the picture in a sentence."""
        return self._each(Verb.CAPTION, image, tags, settings)

    @overload
    def ask(self, image: Picture, question: str, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answer: ...
    @overload
    def ask(self, image: Images, question: Texts, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answers: ...
    def ask(
        self, image: Images, question: Texts, *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer | Answers:
        """Answer a question about the picture.

        Raises: LionError if a question is empty or longer than the model's limit, which it names.
        """
        return self._each(Verb.ASK, image, tags, settings, text=question)

    @overload
    def chat(
        self, image: Picture, question: str, history: Rounds = (), *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer: ...
    @overload
    def chat(
        self,
        image: Images,
        question: Texts,
        history: Iterable[Rounds] = (),
        *,
        tags: Tags = None,
        **settings: Unpack[Settings],
    ) -> Answers: ...
    def chat(
        self,
        image: Images,
        question: Texts,
        history: Rounds | Iterable[Rounds] = (),
        *,
        tags: Tags = None,
        **settings: Unpack[Settings],
    ) -> Answer | Answers:
        """Answer a question given earlier rounds; with several, ``history`` holds a list of rounds for each.

        Rounds are (question, answer), oldest first. Those that do not fit the model's limit are dropped from the
        oldest on, and ``Answer.note`` says so.
        """
        image, question, history = pictures(image), texts(question), texts(history)
        several = isinstance(image, list) or isinstance(question, list)
        rounds = history if several and isinstance(history, list) and history else One(history)
        return self._each(Verb.CHAT, image, tags, settings, text=question, history=rounds)

    @overload
    def locate(
        self, image: Picture, phrase: str, *, if_there: bool = False, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer: ...
    @overload
    def locate(
        self, image: Images, phrase: Texts, *, if_there: bool = False, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answers: ...
    def locate(
        self, image: Images, phrase: Texts, *, if_there: bool = False, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer | Answers:
        """Find what a phrase refers to. ``ok`` says that a readable box came, not that the object is there: LION was
        taught to answer every phrase with a box. With ``if_there`` it is asked first, and where it says no the answer
        has no box, ``ok=False`` and the reason "not there"; :attr:`Answer.presence` is how probable it finds it.
        """
        return self._each(Verb.LOCATE, image, tags, settings, text=phrase, if_there=if_there)

    @overload
    def describe_region(
        self, image: Picture, box: Box, *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer: ...
    @overload
    def describe_region(
        self, image: Images, box: Box | Iterable[Box], *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answers: ...
    def describe_region(
        self, image: Images, box: Box | Iterable[Box], *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer | Answers:
        """Describe what is in a box of the picture (unit or pixel space).

        Raises: LionError if the box is no `Box`, reaches outside the picture or has no area.
        """
        boxes = texts(box)
        if not all(isinstance(one, Box) for one in (boxes if isinstance(boxes, list) else [boxes])):
            raise LionError(f"a box is lion.Box(x1, y1, x2, y2), not {shown(box)}")
        return self._each(Verb.DESCRIBE, image, tags, settings, box=boxes)

    @overload
    def tags(self, image: Picture) -> Answer: ...
    @overload
    def tags(self, image: Pictures) -> Answers: ...
    def tags(self, image: Images) -> Answer | Answers:
        """Name what is in the picture with the tagger alone.

        Raises: LionError if the model came without a tagger.
        """
        return self._each(Verb.TAG, image, None, {})

    @overload
    def rank(self, image: Picture, question: str, candidates: Iterable[str], *, tags: Tags = None) -> Ranked: ...
    @overload
    def rank(
        self, image: Images, question: Texts, candidates: Iterable[str] | Iterable[Iterable[str]], *, tags: Tags = None
    ) -> list[Ranked]: ...
    def rank(
        self,
        image: Images,
        question: Texts,
        candidates: Iterable[Texts],
        *,
        tags: Tags = None,
        **settings: Unpack[Settings],
    ) -> Ranked | list[Ranked]:
        """Sort given answers to a question by their likelihood, likeliest first; picture and question are encoded once.

        The question is worded as for :meth:`ask`; for other tasks and wordings see :attr:`Request.candidates`. With
        several pictures or questions, ``candidates`` is one list for all or holds one list each.

        Raises: LionError as :meth:`ask`, if there are no candidates or one is empty, and for settings of decoding.
        """
        given = texts(candidates)
        lists = isinstance(given, list) and any(listed(one) is not None for one in given)
        rows = given if lists else One(() if given is None else given)
        answers = self._each(Verb.ASK, image, tags, settings, text=question, candidates=rows)
        return [row.candidates for row in answers] if isinstance(answers, list) else answers.candidates

    def explain(
        self,
        image: Picture,
        text: str | None = None,
        *,
        verb: Verb | None = None,
        box: Box | None = None,
        history: Rounds = (),
        tags: Tags = None,
        **settings: Unpack[Settings],
    ) -> Explanation:
        """Answer, and tell where the model looked and what its router weighs; :func:`~lion.pipeline.save_explanation`
        draws it. The answer is that of the verb: ``ask`` for a text, ``caption`` without, or the one that is named.

        Raises: LionError as the verb; for ``tag``, which no part of the model but the tagger answers.
        """
        verb = verb or (Verb.CAPTION if text is None else Verb.ASK)
        look = self.cache.open(image)
        given = Request(look, verb, text, box, [*history], texts(tags))
        task = given.verb.task
        request = replace(given, decoding=with_settings(self.decoding[task], settings) if task else None)
        return explain(self, request, self.answer([request])[0])

    def _each(self, verb: Verb, image: Images, tags: Tags, settings: Settings, **values: Any) -> Answer | Answers:
        """Answer the verb for every picture and value; several of either give a list."""
        several = pictures(image)
        picture = several if isinstance(several, list) else self.cache.open(several)  # once, not for every question
        decoding = with_settings(self.decoding[verb.task], settings) if settings and verb.task else None
        fields = spread(image=picture, **{name: texts(value) for name, value in values.items()})
        same: dict[str, Any] = {"verb": verb, "tags": texts(tags), "decoding": decoding}
        if isinstance(fields, list):
            return self.answer([Request(**same, **row) for row in fields])
        return self.answer([Request(**same, **fields)])[0]
