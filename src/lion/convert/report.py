"""What became of every key on both sides of a conversion, and whether that is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lion.errors import LionError


class Outcome(StrEnum):
    """What became of a key."""

    USED = "used"
    """Under the name it had."""
    RENAMED = "renamed"
    JOINED = "joined"
    """One of two that make up a tensor of ours."""
    COPY = "a copy"
    """A tied copy of another, or an index that follows from the shape."""
    NOT_NEEDED = "not needed"
    """An input of higher rank holds it."""
    LEFT_OVER = "left over"
    """No part of LION, and on the list of what may be left behind."""
    UNKNOWN = "unknown"
    """No part of LION, and on no list: an error."""
    STARTED = "start value"
    """Ours, in no input, and on the list of what may then start as training would."""
    MISSING = "missing"
    """Ours, in no input, and on no list: an error."""


@dataclass(frozen=True, slots=True)
class Row:
    """One key."""

    outcome: Outcome
    source: str
    """The input that holds it; empty where none does."""
    released: str
    """Its name there; empty where no input holds it."""
    ours: str
    """Our name; empty for what is no part of ours."""

    def __str__(self) -> str:
        names = " -> ".join(name for name in (self.released, self.ours) if name)
        return f"{self.outcome:<11}  {names}" + (f"  [{self.source}]" if self.source else "")


@dataclass(frozen=True, slots=True)
class Report:
    """Every key of every input, and every tensor of ours that none holds."""

    title: str
    rows: tuple[Row, ...]

    def of(self, *outcomes: Outcome) -> list[Row]:
        """The rows that ended so."""
        return [row for row in self.rows if row.outcome in outcomes]

    def summary(self) -> str:
        """Counts, input by input, one a line."""
        lines = [self.title]
        for source in dict.fromkeys(row.source for row in self.rows):
            lines.append(f"{source or 'in no input'}: {_counts(row for row in self.rows if row.source == source)}")
        return "\n".join(lines)

    def text(self) -> str:
        """The summary and a line for each key."""
        return "\n".join([self.summary(), "", *(str(row) for row in self.rows)]) + "\n"

    def check(self) -> None:
        """Raise LionError if a tensor of ours is missing, or an input holds what is no part of LION."""
        if missing := self.of(Outcome.MISSING):
            raise LionError(
                f"the inputs lack {_some(row.ours for row in missing)} of LION; see --dry-run for every key, "
                "and give a whole checkpoint"
            )
        if unknown := self.of(Outcome.UNKNOWN):
            raise LionError(
                f"'{unknown[0].source}' holds what is no part of LION: {_some(row.released for row in unknown)}; "
                "see --dry-run for every key, and check that it is the right file"
            )


def _counts(rows: Iterable[Row]) -> str:
    counts = Counter(row.outcome for row in rows)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])


def _some(names: Iterable[str]) -> str:
    all_names = list(names)
    shown = ", ".join(all_names[:2])
    return f"{shown} and {len(all_names) - 2} more" if len(all_names) > 2 else shown
