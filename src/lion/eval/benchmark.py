"""The interface of a benchmark: its questions and their scoring. Nothing here runs a model or writes a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.eval.predictions import Prediction
from lion.eval.questions import QuestionSet
from lion.metrics import Estimate
from lion.pipeline import DecodingPreset, LionPipeline
from lion.prompts import Task

ReadPredictions = Callable[[str], Mapping[str, Prediction]]
"""Gives the predictions of a question set, by its name: a mapping from question id to prediction."""


def read_all(read: ReadPredictions, name: str, ids: Sequence[str]) -> Mapping[str, Prediction]:
    """The predictions of a question set with these ids. Raises: LionError if one is missing."""
    found = read(name)
    if missing := [key for key in ids if key not in found]:
        count = f"{len(missing)} of {len(ids)} are not answered yet, the first is {missing[0]}"
        raise LionError(f"{name}: {count}; start the same lion eval again")
    return found


@dataclass(frozen=True, slots=True)
class Result:
    """A run's scores and the data written with them."""

    scores: Mapping[str, Estimate]
    """By name: ``set/score``, ``set/score/slice`` or ``score``."""
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By score name, the entries beside the score in scores.json: baselines and target."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of scores.json: number of samples, skipped samples."""
    files: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda record: {}
    """Texts of further files by name, from the record that run.json and scores.json make together."""


@dataclass(frozen=True, slots=True)
class SampleScore:
    """One prediction with its own score, to find and show errors by."""

    group: str
    """Title of its section in the gallery: the benchmark or one of its question sets."""
    id: str
    prompt: str
    generated: str
    reference: str
    score: float
    """1 is correct, 0 is wrong; REC's is the IoU, a caption's the CIDEr, at most 1."""
    image: Callable[[], Image.Image]
    box: Box | None = None
    """The reference box of REC, the given box of REG; unit square."""
    predicted_box: Box | None = None
    right_from: float = 1.0
    """The score from which it is no error: REC's IoU of 0.5."""


class Benchmark(Protocol):
    """One benchmark with its settings.

    Attributes:
        name: its name in ``lion eval``.
        limit: number of samples of each question set; None for all.
        settings: all that determines the predictions besides model and decoding; a folder holds those of one.
    """

    @property
    def name(self) -> str: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def label(self) -> str:
        """Name and settings joined by dashes, for folders and titles."""
        return self.name

    @property
    def notes(self) -> dict[str, Any]:
        """Further keys of run.json."""
        return {}

    def decoding(self, pipeline: LionPipeline) -> Mapping[Task, DecodingPreset]:
        """The decoding settings that the predictions depend on, by task."""
        return pipeline.decoding

    def max_prompt_tokens(self, pipeline: LionPipeline) -> int:
        """The prompts' limit in tokens."""
        return pipeline.processor.max_text_tokens

    def question_sets(self, pipeline: LionPipeline, *, blind: bool) -> list[QuestionSet]:
        """All questions; with ``blind`` all of them once more with a grey image and no tags."""
        ...

    def score(self, read: ReadPredictions, *, blind: bool) -> Result:
        """Score the predictions. Raises: LionError if some are missing."""
        ...

    def sample_scores(self, read: ReadPredictions) -> list[SampleScore]:
        """The score of each single prediction. Raises: LionError if some are missing."""
        ...
