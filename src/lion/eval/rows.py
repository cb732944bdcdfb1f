"""A scored run as lines of the paper's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lion.eval.benchmarks.dataset import titled
from lion.eval.benchmarks.own import row_of
from lion.eval.document import grouped_notes
from lion.metrics.statistics import FEWEST

NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One line of a table; all numbers times 100, ``value`` None if it was not run."""

    table: str
    benchmark: str
    score: str
    paper: Mapping[str, float]
    """The paper's numbers by model."""
    value: float | None = None
    standard_error: float | None = None
    """None for too few samples, too."""
    samples: int | None = None
    official: int | None = None
    skipped: int = 0
    model: str = ""
    setting: str = ""
    commit: str = ""
    date: str = ""
    hardware: str = ""
    drawn: bool = False
    note: str = ""
    """Why the value or its standard error says nothing, if it does not."""

    @property
    def title(self) -> str:
        """The benchmark, and whether its pictures are drawn."""
        return titled(self.benchmark, self.drawn)

    @property
    def ours(self) -> str:
        """Value and standard error."""
        error = "" if self.standard_error is None else f" ± {self.standard_error:.2f}"
        return NOT_RUN if self.value is None else f"{self.value:.2f}{error}"

    @property
    def count(self) -> str:
        """Number of samples, of the official number."""
        if self.samples is None:
            return ""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return (f"{self.samples} of {self.official}" if self.official else str(self.samples)) + skipped

    def paper_of(self, model: str) -> str:
        """The paper's number of a model; empty without one."""
        return f"{self.paper[model]:.2f}" if model in self.paper else ""


def row_notes(rows: Sequence[ScoreRow]) -> list[str]:
    """What the rows' notes say, with the names of their scores."""
    return grouped_notes([(f"{row.title} {row.score}", row.note) for row in rows])


def score_rows(record: Mapping[str, Any]) -> list[ScoreRow]:
    """The lines of a scored run of one of the paper's benchmarks or of an own file."""
    row, scores = row_of(record), record["scores"]
    settings, drawn = record["settings"], record["drawn"]
    way = "ranked" if settings["mode"] == "rank" else f"decoding {settings['decoding']}"
    tags = "with tags" if settings["tags"] and record["tagger"] else "without tags"
    return [
        ScoreRow(
            f"{row.table}, drawn" if drawn else row.table,
            row.name,
            name,
            {} if drawn else row.paper.get(name, {}),
            100 * scores[name]["value"],
            100 * scores[name]["standard_error"] if scores[name]["n"] >= FEWEST else None,
            scores[name]["n"],
            record["official"] if scores[name]["n"] == record["samples"] else None,
            len(record["skipped"]),
            record["model"],
            f"prompt {settings['prompt']}, {way}, {tags}",
            (record["commit"] or "unknown")[:10],
            record["date"][:10],
            record["hardware"],
            drawn,
            scores[name].get("note", ""),
        )
        for name in row.headline
        if name in scores
    ]
