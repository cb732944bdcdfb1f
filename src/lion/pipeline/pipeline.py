"""The high-level interface: captioning, VQA, dialog, grounding, region description, tagging and ranking.

Every method makes :class:`Request` objects, and :meth:`Answering.answer` is the one path that all of them take.
"""

# mypy: disable-error-code="overload-overlap"
# One picture and one text give one answer, a list of either gives a list; a text counts as both kinds for mypy.

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, Unpack, overload

import torch

from lion.boxes import Box
from lion.checkpoints.loading import load
from lion.errors import LionError
from lion.pipeline.answering import Answering
from lion.pipeline.evidence import Look, Picture, Pictures
from lion.pipeline.read import Answer, Candidate
from lion.pipeline.request import DecodingSettings as Settings
from lion.pipeline.request import Request, Round, Verb, decoding_presets, with_settings

AnyImage = Picture | Pictures
Answers = list[Answer]
Rounds = Sequence[Round]
Histories = Sequence[Rounds]
Tags = Sequence[str] | None
Texts = str | list[str] | tuple[str, ...]


class LionPipeline(Answering):
    """A model, its processor and a tagger behind caption, ask, chat, locate, describe_region, tags and rank.

    Each takes a picture (:class:`Look`, path, file bytes or PIL image) or a list of them, answered in batches. Lists of
    pictures and of texts go pairwise; one of either goes with all. ``tags`` are those of the prompt: None for the
    tagger's, an empty list for none. Keywords of :class:`DecodingSettings` (``num_beams=1``) hold for one call.
    """

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 8,
        decoding: str = "lion",
    ) -> Self:
        """Load a checkpoint folder or Hub repository, with its tagger if it holds one (sub-folder ``tagger``).

        Args:
            model: a folder, a Hub id (``owner/name``; the only case that uses the network), or None for the bundled
                lion-mini.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for a GPU if there is one.
            dtype: None for the checkpoint's own (never float16), and for float32 on a CPU below 4 GB of weights.
            batch_size: pictures, or prompts, that go through the model together.
            decoding: a preset of :mod:`lion.pipeline.request`: ``lion``, ``official``, ``short`` or ``boxes``.

        Raises:
            LionError: no such model, device or preset, not a LION checkpoint, or weights that do not fit its
                configuration.
        """
        decoding_presets(decoding)  # a mistake is reported before the model is loaded
        loaded = load(model, device, dtype)
        return cls(
            loaded.model, loaded.processor, loaded.tagger, name=loaded.name, batch_size=batch_size, decoding=decoding
        )

    @overload
    def look(self, image: Picture, *, tags: bool = True) -> Look: ...
    @overload
    def look(self, image: Pictures, *, tags: bool = True) -> list[Look]: ...
    def look(self, image: Picture | Pictures, *, tags: bool = True) -> Look | list[Look]:
        """Open a picture, or several, and compute all that does not depend on a question: visual features and tags.

        Args:
            image: one picture or a list.
            tags: whether to run the tagger; without, it runs when a prompt first needs it.

        Raises: LionError if a picture cannot be read.
        """
        looks = [self.cache.open(picture) for picture in (image if isinstance(image, (list, tuple)) else [image])]
        self.evidence(looks, tags=tags)
        return looks if isinstance(image, (list, tuple)) else looks[0]

    @overload
    def caption(self, image: Picture, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answer: ...
    @overload
    def caption(self, image: Pictures, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answers: ...
    def caption(self, image: Any, *, tags: Tags = None, **settings: Unpack[Settings]) -> Any:
        """Describe the picture in a sentence."""
        return self._each(Verb.CAPTION, image, settings, tags=tags)

    @overload
    def ask(self, image: Picture, question: str, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answer: ...
    @overload
    def ask(self, image: AnyImage, question: Texts, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answers: ...
    def ask(self, image: Any, question: Any, *, tags: Tags = None, **settings: Unpack[Settings]) -> Any:
        """Answer a question about the picture.

        Raises: LionError if a question is empty or longer than the model's limit, which it names.
        """
        return self._each(Verb.ASK, image, settings, text=question, tags=tags)

    @overload
    def chat(
        self, image: Picture, question: str, history: Rounds = (), *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer: ...
    @overload
    def chat(
        self,
        image: AnyImage,
        question: Texts,
        history: Histories = (),
        *,
        tags: Tags = None,
        **settings: Unpack[Settings],
    ) -> Answers: ...
    def chat(
        self, image: Any, question: Any, history: Any = (), *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Any:
        """Answer a question given earlier rounds; with lists, ``history`` holds one list of rounds each.

        Rounds are (question, answer), oldest first. Those that do not fit the model's limit are dropped from the
        oldest on, and ``Answer.note`` says so.
        """
        many = _is_many(image) or _is_many(question)
        rounds = (list(history) or None) if many else _One(history)
        return self._each(Verb.CHAT, image, settings, text=question, tags=tags, history=rounds)

    @overload
    def locate(self, image: Picture, phrase: str, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answer: ...
    @overload
    def locate(self, image: AnyImage, phrase: Texts, *, tags: Tags = None, **settings: Unpack[Settings]) -> Answers: ...
    def locate(self, image: Any, phrase: Any, *, tags: Tags = None, **settings: Unpack[Settings]) -> Any:
        """Find what a phrase refers to. ``ok`` says that a readable box came, not that the object is there:
        LION was taught to answer every phrase with a box, so ask whether it exists first if you do not know.
        """
        return self._each(Verb.LOCATE, image, settings, text=phrase, tags=tags)

    @overload
    def describe_region(
        self, image: Picture, box: Box, *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answer: ...
    @overload
    def describe_region(
        self, image: AnyImage, box: Box | list[Box], *, tags: Tags = None, **settings: Unpack[Settings]
    ) -> Answers: ...
    def describe_region(self, image: Any, box: Any, *, tags: Tags = None, **settings: Unpack[Settings]) -> Any:
        """Describe what is in a box of the picture (unit or pixel space).

        Raises: LionError if the box is no `Box`, reaches outside the picture or has no area.
        """
        if not all(isinstance(one, Box) for one in (box if isinstance(box, list) else [box])):
            raise LionError(f"a box is lion.Box(x1, y1, x2, y2), not {box!r}")
        return self._each(Verb.DESCRIBE, image, settings, box=box, tags=tags)

    @overload
    def tags(self, image: Picture) -> Answer: ...
    @overload
    def tags(self, image: Pictures) -> Answers: ...
    def tags(self, image: Any) -> Any:
        """Name what is in the picture with the tagger alone.

        Raises: LionError if the model came without a tagger.
        """
        return self._each(Verb.TAG, image, {})

    @overload
    def rank(
        self, image: Picture, question: str, candidates: Sequence[str], *, tags: Tags = None
    ) -> tuple[Candidate, ...]: ...
    @overload
    def rank(
        self,
        image: AnyImage,
        question: Texts,
        candidates: Sequence[str] | Sequence[Sequence[str]],
        *,
        tags: Tags = None,
    ) -> list[tuple[Candidate, ...]]: ...
    def rank(self, image: Any, question: Any, candidates: Any, *, tags: Tags = None) -> Any:
        """Sort given answers to a question by their likelihood, likeliest first; picture and question are encoded once.

        The question is worded as for :meth:`ask`; for other tasks and wordings see :attr:`Request.candidates`. With
        lists of pictures or questions, ``candidates`` is one list for all or holds one list each.

        Raises: LionError as :meth:`ask`, and if there are no candidates or one is empty.
        """
        lists = candidates if any(map(_is_many, candidates)) else _One(candidates)
        answers = self._each(Verb.ASK, image, {}, text=question, tags=tags, candidates=lists)
        return [row.candidates for row in answers] if isinstance(answers, list) else answers.candidates

    def _each(
        self, verb: Verb, image: Any, settings: Settings, *, tags: Tags = None, **values: Any
    ) -> Answer | Answers:
        """Spread lists over requests: one of anything goes with all; lists must be of one length."""
        given = {"image": image, **{name: value for name, value in values.items() if value is not None}}
        lengths = {name: len(value) for name, value in given.items() if _is_many(value)}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{count} of {name}" for name, count in lengths.items())
            raise LionError(f"lists must be of one length, not {counts}; give one for all or one each")
        if lengths and not _is_many(image):
            given["image"] = self.cache.open(image)  # once, not for every question
        decoding = with_settings(self.decoding[verb.task], settings) if settings and verb.task else None
        rows: list[dict[str, Any]] = [
            {
                name: value[row] if name in lengths else value.value if isinstance(value, _One) else value
                for name, value in given.items()
            }
            for row in range(next(iter(lengths.values()), 1))
        ]
        answers = self.answer([Request(verb=verb, tags=tags, decoding=decoding, **row) for row in rows])
        return answers if lengths else answers[0]


class _One:
    """A list that is one value for all requests, not one value each."""

    def __init__(self, value: Sequence[Any]) -> None:
        self.value = value


def _is_many(value: Any) -> bool:
    return isinstance(value, (list, tuple))
