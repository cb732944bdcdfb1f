"""What a benchmark is: what to ask, and how to score the answers. Nothing here runs a model or writes a file."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lion.eval.predictions import Row
from lion.eval.score import Score
from lion.pipeline import LionPipeline
from lion.prompts import Task

Rows = Callable[[str], Mapping[str, Row]]
"""The answers of a part, by its name: each by the id of its question."""


@dataclass(frozen=True, slots=True)
class Part:
    """Questions whose answers go into one file."""

    name: str
    ids: Sequence[str]
    """Names the questions, in their own order."""
    ask: Callable[[Sequence[int]], list[Row]]
    """Answers the questions with these numbers (places in ``ids``), a row each."""
    pictures: Sequence[Hashable] = ()
    """What names each question's picture: all about one is asked while it is remembered; empty: in the given order."""
    lengths: Sequence[int] = ()
    """How long each question is, in any unit; given with ``pictures``."""
    look: Callable[[Sequence[int]], None] = lambda numbers: None
    """Looks at the pictures of these questions, before they are asked in one or several batches."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the answers are worth."""

    scores: Mapping[str, Score]
    """By name: ``set/score`` or ``set/score/slice``, or just ``score``."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What scores.json says besides: on how many samples the scores stand, which were skipped."""
    files: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda record: {}
    """Texts of further files by their names, to lie beside scores.json; from what that holds, and run.json."""


class Benchmark(Protocol):
    """One benchmark with its settings.

    Attributes:
        name: what ``lion eval`` calls it.
        label: name and settings in a few words joined by dashes, for folders and titles.
        limit: how many questions of each set are asked; None for all.
        tasks: whose decoding settings the answers depend on.
        settings: what else determines the answers, as plain values: answers of other settings are not mixed.
        notes: what run.json says besides.
    """

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def tasks(self) -> Sequence[Task]: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def notes(self) -> dict[str, Any]: ...

    def prepared(self, pipeline: LionPipeline) -> LionPipeline:
        """The pipeline with the benchmark's own way of answering; the given one stays as it is."""
        ...

    def parts(self, pipeline: LionPipeline, *, blind: bool) -> list[Part]:
        """Everything to ask; with ``blind`` everything once more before a grey picture."""
        ...

    def score(self, rows: Rows, *, blind: bool) -> Outcome:
        """The scores of the answers.

        Raises:
            LionError: questions are still unanswered.
        """
        ...
