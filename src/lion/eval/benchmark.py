"""What a benchmark is: what to ask, and how to score the answers. Nothing here runs a model or writes a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lion.eval.predictions import Row
from lion.eval.score import Score
from lion.pipeline import LionPipeline


@dataclass(frozen=True, slots=True)
class Part:
    """Questions whose answers go into one file."""

    name: str
    ids: Sequence[str]
    """Names the questions, in the order they are asked."""
    ask: Callable[[Sequence[int]], list[Row]]
    """Answers the questions with these numbers (places in ``ids``), a row each."""


class Benchmark(Protocol):
    """One benchmark with its settings.

    Attributes:
        name: what ``lion eval`` calls it.
        label: name and settings in a few words joined by dashes, for folders and titles.
        samples: how many questions of each set are asked.
        settings: what else determines the questions, as plain values: answers of other settings are not mixed.
        table: the scores that the printed table shows, in its order.
        detailed: the scores whose slices the report shows as well.
    """

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def samples(self) -> int: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def table(self) -> Sequence[str]: ...
    @property
    def detailed(self) -> Sequence[str]: ...

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Benchmark:
        """The benchmark of a recorded run."""
        ...

    def parts(self, pipeline: LionPipeline, *, blind: bool) -> list[Part]:
        """Everything to ask; with ``blind`` everything once more before a grey picture."""
        ...

    def score(self, rows: Callable[[str], Mapping[str, Row]], *, blind: bool) -> dict[str, Score]:
        """The scores by name (``set/score`` or ``set/score/slice``) from each part's answers by id.

        Raises:
            LionError: questions are still unanswered.
        """
        ...
