"""LION for people: look at a picture once, then caption it, ask about it, locate and describe things in it.

Every way of asking becomes a :class:`Request`, and :meth:`LionPipeline.answer` is the one path all of them take:
open the pictures, look (frozen parts, cached), write the instruction, batch what shares decoding settings, read boxes.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import torch

from lion.boxes import Box, parse_boxes
from lion.checkpoints.loading import load
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor, VisualFeatures
from lion.pipeline.answer import Answer, Candidate, LabelledBox, Verb
from lion.pipeline.box_only import BoxOnly
from lion.pipeline.decoding import DecodingPreset
from lion.pipeline.decoding import decoding as decoding_of
from lion.pipeline.instructions import Round, fitting, instruction_of, unit_box
from lion.pipeline.look import Evidence, Look
from lion.pipeline.ranking import candidate_ids, ranked
from lion.pipeline.request import Picture, Pictures, Request
from lion.prompts import Task, tag_words
from lion.tagging import Tagger

T = TypeVar("T")

REMEMBERED_PICTURES = 64
"""Pictures whose evidence a pipeline keeps, the latest asked about."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A request made ready for the model."""

    look: Look
    request: Request
    task: Task
    instruction: str
    tags: tuple[str, ...] | None
    """None for a prompt without tags; empty where the tagger found nothing, which the model is told."""
    note: str | None
    candidates: list[list[int]] | None
    """Token ids of the request's candidates."""


class LionPipeline:
    """A model, its processor and a tagger behind six verbs: caption, ask, chat, locate, describe_region, tags.

    Every verb takes a :class:`Look`, a path, file bytes or a PIL image, or a list of them; lists are answered in
    batches, and several questions about one picture cost one look, whose evidence is kept (:meth:`forget`).

    Attributes:
        name: what answers call the model.
        decoding: generation settings by task; replace an entry to change them.
        batch_size: pictures, or prompts, that go through the model together.
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
    ) -> None:
        if batch_size < 1:
            raise LionError(f"batch_size={batch_size} must be at least 1")
        self.model = model.eval()
        self.processor = processor
        self.tagger = tagger
        self.name = name
        self.batch_size = batch_size
        self.decoding = decoding_of(decoding)
        self._remembered: OrderedDict[str, Evidence] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        """A pipeline may be copied and sent to other processes; there the vocabulary is read anew."""
        return {name: value for name, value in vars(self).items() if name != "_box_only"}

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 8,
        decoding: str = "lion",
    ) -> LionPipeline:
        """Load a checkpoint folder or Hub repository, with its tagger if it holds one (sub-folder ``tagger``).

        Args:
            model: a folder, a Hub id (``owner/name``; the only case that uses the network), or None for the bundled
                lion-mini.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for a GPU if there is one.
            dtype: None for the checkpoint's own (never float16), and for float32 on a CPU below 4 GB of weights.
            batch_size: pictures, or prompts, that go through the model together.
            decoding: a preset of :mod:`lion.pipeline.decoding`: ``lion``, ``official``, ``short`` or ``boxes``.

        Raises:
            LionError: no such model, device or preset, not a LION checkpoint, or weights that do not fit its
                configuration.
        """
        decoding_of(decoding)  # a mistake is told before the model is loaded
        loaded = load(model, device, dtype)
        return cls(
            loaded.model, loaded.processor, loaded.tagger, name=loaded.name, batch_size=batch_size, decoding=decoding
        )

    # -- looking ------------------------------------------------------------------------------------------------------

    @overload
    def look(self, image: Picture) -> Look: ...
    @overload
    def look(self, image: Pictures) -> list[Look]: ...
    def look(self, image: Any) -> Look | list[Look]:
        """Open a picture, or several, and gather all that does not depend on a question: vision and tags.

        Raises: LionError if a picture cannot be read.
        """
        many = _is_many(image)
        looks = self._open(image if many else [image])
        self._see(looks)
        self._tag(looks)
        return looks if many else looks[0]

    def forget(self) -> None:
        """Forget the pictures seen so far; call it once weights, precision, device or tagger have changed."""
        self._remembered.clear()

    # -- asking -------------------------------------------------------------------------------------------------------

    @overload
    def caption(self, image: Picture, *, tags: Sequence[str] | None = None) -> Answer: ...
    @overload
    def caption(self, image: Pictures, *, tags: Sequence[str] | None = None) -> list[Answer]: ...
    def caption(self, image: Any, *, tags: Sequence[str] | None = None) -> Answer | list[Answer]:
        """Describe the picture in a sentence."""
        return self._each(Verb.CAPTION, image, tags=tags)

    @overload
    def ask(self, image: Picture, question: str, *, tags: Sequence[str] | None = None) -> Answer: ...
    @overload
    def ask(self, image: Any, question: Any, *, tags: Sequence[str] | None = None) -> list[Answer]: ...
    def ask(self, image: Any, question: Any, *, tags: Sequence[str] | None = None) -> Answer | list[Answer]:
        """Answer a question about the picture. Lists of pictures and of questions go pairwise; one goes with all.

        Raises: LionError if a question is empty or longer than the model's limit, which it names.
        """
        return self._each(Verb.ASK, image, text=question, tags=tags)

    @overload
    def chat(
        self, image: Picture, question: str, history: Sequence[Round] = (), *, tags: Sequence[str] | None = None
    ) -> Answer: ...
    @overload
    def chat(
        self, image: Any, question: Any, history: Sequence[Any] = (), *, tags: Sequence[str] | None = None
    ) -> list[Answer]: ...
    def chat(
        self, image: Any, question: Any, history: Sequence[Any] = (), *, tags: Sequence[str] | None = None
    ) -> Answer | list[Answer]:
        """Answer a question in the light of earlier rounds; with lists, ``history`` holds one list of rounds each.

        Rounds are (question, answer), oldest first. Those that do not fit the model's limit are dropped from the
        oldest on, and ``Answer.note`` says so.
        """
        if _is_many(image) or _is_many(question):
            return self._each(Verb.CHAT, image, text=question, tags=tags, history=list(history) or None)
        return self.answer([Request(image, Verb.CHAT, question, history=history, tags=tags)])[0]

    @overload
    def locate(self, image: Picture, phrase: str, *, tags: Sequence[str] | None = None) -> Answer: ...
    @overload
    def locate(self, image: Any, phrase: Any, *, tags: Sequence[str] | None = None) -> list[Answer]: ...
    def locate(self, image: Any, phrase: Any, *, tags: Sequence[str] | None = None) -> Answer | list[Answer]:
        """Find what a phrase refers to. ``ok`` says that a readable box came, not that the thing is there:
        LION was taught to answer every phrase with a box, so ask whether it exists first if you do not know.
        """
        return self._each(Verb.LOCATE, image, text=phrase, tags=tags)

    @overload
    def describe_region(self, image: Picture, box: Box, *, tags: Sequence[str] | None = None) -> Answer: ...
    @overload
    def describe_region(self, image: Any, box: Any, *, tags: Sequence[str] | None = None) -> list[Answer]: ...
    def describe_region(self, image: Any, box: Any, *, tags: Sequence[str] | None = None) -> Answer | list[Answer]:
        """Say what is in a box of the picture (unit or pixel space).

        Raises: LionError if the box is no `Box`, reaches outside the picture or has no area.
        """
        if not all(isinstance(one, Box) for one in (box if isinstance(box, list) else [box])):
            raise LionError(f"a box is lion.Box(x1, y1, x2, y2), not {box!r}")
        return self._each(Verb.DESCRIBE, image, box=box, tags=tags)

    @overload
    def tags(self, image: Picture) -> Answer: ...
    @overload
    def tags(self, image: Pictures) -> list[Answer]: ...
    def tags(self, image: Any) -> Answer | list[Answer]:
        """Name what is in the picture with the tagger alone.

        Raises: LionError if the model came without a tagger.
        """
        return self._each(Verb.TAG, image)

    @overload
    def rank(
        self, image: Picture, question: str, candidates: Sequence[str], *, tags: Sequence[str] | None = None
    ) -> tuple[Candidate, ...]: ...
    @overload
    def rank(
        self, image: Any, question: Any, candidates: Sequence[Any], *, tags: Sequence[str] | None = None
    ) -> list[tuple[Candidate, ...]]: ...
    def rank(self, image: Any, question: Any, candidates: Sequence[Any], *, tags: Sequence[str] | None = None) -> Any:
        """Sort given answers to a question by their likelihood, likeliest first; picture and question are read once.

        The question is worded as for :meth:`ask`; for other tasks and wordings see :attr:`Request.candidates`. With
        lists of pictures or questions, ``candidates`` is one list for all or holds one list each.

        Raises: LionError as :meth:`ask`, and if there are no candidates or one is empty.
        """
        each = any(map(_is_many, candidates))
        rows = next((len(value) for value in (image, question) if _is_many(value)), 0 if each else None)
        if rows is None:
            return self.answer([Request(image, Verb.ASK, question, tags=tags, candidates=candidates)])[0].candidates
        lists = candidates if each else [candidates] * rows
        return [row.candidates for row in self._each(Verb.ASK, image, text=question, tags=tags, candidates=lists)]

    # -- the one path -------------------------------------------------------------------------------------------------

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer any mix of requests, in order, ``batch_size`` at a time; no more pictures than that are held at once.

        Raises: LionError for the first request that cannot be answered.
        """
        return [answer for batch in _batches(requests, self.batch_size) for answer in self._answer_batch(batch)]

    def _answer_batch(self, requests: Sequence[Request]) -> list[Answer]:
        """One batch; rows that are decoded alike, or choose among about as many, go together, whatever their tasks."""
        looks = self._open([request.image for request in requests])
        pairs = list(zip(looks, requests, strict=True))
        if self.tagger is None and any(request.verb is Verb.TAG for request in requests):
            raise LionError(f"'{self.name}' has no tagger: put one in its sub-folder tagger/, or name another model")
        self._tag(look for look, request in pairs if request.verb is Verb.TAG or request.tags is None)
        answers: dict[int, Answer] = {}
        groups: dict[tuple[DecodingPreset | int, bool], dict[int, _Prompt]] = defaultdict(dict)
        for row, (look, request) in enumerate(pairs):
            task = request.verb.task
            if task is None:
                answers[row] = Answer.of_tags(look.tags, self.name, look.name)
            else:
                prompt = self._prompt(look, request, task)
                # Numbers of candidates in a group differ by less than a factor of 2: the fewer are padded.
                kind = self.decoding[task] if prompt.candidates is None else len(prompt.candidates).bit_length()
                groups[kind, prompt.tags is None][row] = prompt
        for (kind, _), members in groups.items():
            prompts = list(members.values())
            if isinstance(kind, int):
                chosen = self._rank(prompts)
                texts = [candidates[0].text for candidates in chosen]
            else:
                chosen = [()] * len(prompts)
                texts = self._generate(prompts, kind)
            for (row, prompt), text, candidates in zip(members.items(), texts, chosen, strict=True):
                answers[row] = self._answer(prompt, text, candidates)
        return [answers[row] for row in range(len(requests))]

    def _each(self, verb: Verb, image: Any, *, tags: Sequence[str] | None = None, **values: Any) -> Any:
        """Spread lists over requests: one of anything goes with all; lists must be of one length."""
        given = {"image": image, **{name: value for name, value in values.items() if value is not None}}
        lengths = {name: len(value) for name, value in given.items() if _is_many(value)}
        if not lengths:
            return self.answer([Request(verb=verb, tags=tags, **given)])[0]
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{count} of {name}" for name, count in lengths.items())
            raise LionError(f"lists must be of one length, not {counts}; give one for all or one each")
        if not _is_many(image):
            (given["image"],) = self._open([image])
        rows = [
            {name: value[row] if name in lengths else value for name, value in given.items()}
            for row in range(next(iter(lengths.values())))
        ]
        return self.answer([Request(verb=verb, tags=tags, **row) for row in rows])

    def _prompt(self, look: Look, request: Request, task: Task) -> _Prompt:
        tags = look.evidence.tags if request.tags is None else tag_words(request.tags) or None
        words, note = request.instruction, None
        if words is None:
            words, note = instruction_of(
                request.verb, self.processor, look.size, tags, request.text, request.box, request.history
            )
        elif callable(words):
            words, note = fitting(self.processor, tags, request.history, words)
        if tags and (kept := self.processor.fitting_tags(words, tags)) != tags:
            limit = (
                f"kept {len(kept)} of {len(tags)} tags: the prompt's limit is {self.processor.max_text_tokens} tokens"
            )
            tags, note = kept, "; ".join(filter(None, (note, limit)))
        candidates = None if request.candidates is None else candidate_ids(self.processor, request.candidates)
        return _Prompt(look, request, task, words, tags, note, candidates)

    def _inputs(self, prompts: Sequence[_Prompt]) -> dict[str, Any]:
        """What the model reads for prompts of which all have tags or none has."""
        looks = [prompt.look for prompt in prompts]
        self._see(looks)
        inputs = self.processor(
            text=[prompt.instruction for prompt in prompts],
            tags=None if prompts[0].tags is None else [prompt.tags or () for prompt in prompts],
            tasks=[prompt.task for prompt in prompts],
        ).to(self.model.device)
        vision = VisualFeatures.concatenate([look.evidence.vision for look in looks if look.evidence.vision])
        return {"vision": vision, **inputs}

    def _generate(self, prompts: Sequence[_Prompt], preset: DecodingPreset) -> list[str]:
        """What the model writes for each prompt."""
        limits = [self._box_only] if preset.box_only else []
        ids = self.model.generate(
            **self._inputs(prompts), do_sample=False, logits_processor=limits, **preset.as_kwargs()
        )
        return [text.strip() for text in self.processor.batch_decode(ids, skip_special_tokens=True)]

    def _rank(self, prompts: Sequence[_Prompt]) -> list[tuple[Candidate, ...]]:
        """Each prompt's candidates, likeliest first."""
        ids = [prompt.candidates or [] for prompt in prompts]
        scores = self.model.score_candidates(**self._inputs(prompts), candidates=ids)
        rows = zip(prompts, ids, scores, strict=True)
        return [ranked(prompt.request.candidates or (), own, nlls.tolist()) for prompt, own, nlls in rows]

    @cached_property
    def _box_only(self) -> BoxOnly:
        """Reading the vocabulary takes a moment, so it is done once, when first needed."""
        return BoxOnly(self.processor.tokenizer, self.processor.box_decimals)

    def _answer(self, prompt: _Prompt, text: str, candidates: tuple[Candidate, ...]) -> Answer:
        """What the model wrote or chose, read: boxes for ``locate``, and whether there is an answer at all."""
        request, look, tags = prompt.request, prompt.look, prompt.tags or ()
        boxes: list[LabelledBox] = []
        reason = None if text else "the model wrote nothing"
        if request.verb is Verb.LOCATE:
            parsed = parse_boxes(text)
            reason = None if parsed.ok else parsed.reason
            boxes = [LabelledBox.of(request.text or "", box, look.size) for box in parsed.boxes]
        elif request.verb is Verb.DESCRIBE and request.box is not None:
            boxes = [LabelledBox.of(text, unit_box(request.box, look.size), look.size)]
        ok = reason is None
        return Answer(text, request.verb, tags, tuple(boxes), ok, reason, prompt.note, self.name, look.name, candidates)

    # -- evidence -----------------------------------------------------------------------------------------------------

    def _open(self, pictures: Pictures) -> list[Look]:
        """A look at each picture, with the evidence of an earlier one if it is remembered; equal ones share theirs."""
        looks: list[Look] = []
        shared: dict[str, Evidence] = {}  # more pictures than are remembered may come at once
        for picture in pictures:
            look = picture if isinstance(picture, Look) else Look.open(picture)
            evidence = shared.setdefault(look.hash, self._remembered.pop(look.hash, look.evidence))
            self._remembered[look.hash] = evidence
            if len(self._remembered) > REMEMBERED_PICTURES:
                self._remembered.popitem(last=False)
            looks.append(look if evidence is look.evidence else Look(look.image, look.name, look.hash, evidence))
        return looks

    @torch.no_grad()
    def _see(self, looks: Iterable[Look]) -> None:
        """Run vision encoder and aggregator for pictures that have not been seen."""
        unseen = list({look.hash: look for look in looks if look.evidence.vision is None}.values())
        for batch in _batches(unseen, self.batch_size):
            pixels = self.processor.image_processor([look.image for look in batch])["pixel_values"]
            features = self.model.look(pixels.to(self.model.device, self.model.dtype))
            for row, look in enumerate(batch):
                look.evidence.vision = features.map(lambda tensor, row=row: tensor[row : row + 1].clone())

    def _tag(self, looks: Iterable[Look]) -> None:
        """Run the tagger, if there is one, for pictures that have no tags yet."""
        if self.tagger is None:
            return
        untagged = list({look.hash: look for look in looks if look.evidence.tags is None}.values())
        for batch in _batches(untagged, self.batch_size):
            for look, tags in zip(batch, self.tagger([look.image for look in batch]), strict=True):
                look.evidence.tags = tuple(tags)


def _is_many(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
