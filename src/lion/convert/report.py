"""The report of a conversion: a row for every key of the inputs and of the model, and the check that none is lost."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from lion.errors import LionError


class KeyStatus(StrEnum):
    """What became of a tensor of an input, or of a parameter of ours."""

    USED = "used"
    """Under the name it had."""
    RENAMED = "renamed"
    JOINED = "joined"
    """One of two that make up a parameter of ours."""
    COPY = "a copy"
    """A tied copy of another, or an index that follows from the shape."""
    NOT_NEEDED = "not needed"
    """An input of higher rank holds it."""
    LEFT_OVER = "left over"
    """Not part of LION, and on the list of keys that may be left behind."""
    UNKNOWN = "unknown"
    """Not part of LION, and on no list: an error."""
    STARTED = "start value"
    """A parameter in no input, on the list of those that may be initialised as for training."""
    MISSING = "missing"
    """A parameter in no input, and on no list: an error."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A tensor of an input and the parameter it makes up, or a parameter that no input holds."""

    status: KeyStatus
    source: str = ""
    released: str = ""
    ours: str = ""

    def __str__(self) -> str:
        names = " -> ".join(filter(None, (self.released, self.ours)))
        return f"{self.status:<11}  {names}" + (f"  [{self.source}]" if self.source else "")


@dataclass(frozen=True, slots=True)
class Report:
    """Every tensor of every input, and every parameter that none of them holds."""

    title: str
    rows: tuple[KeyRow, ...]

    def of(self, *statuses: KeyStatus) -> list[KeyRow]:
        """The rows with one of these statuses."""
        return [row for row in self.rows if row.status in statuses]

    def summary(self) -> str:
        """The title, and a line of counts for each input."""
        lines = [self.title]
        for source in dict.fromkeys(row.source for row in self.rows):
            counts = Counter(row.status for row in self.rows if row.source == source)
            listed = ", ".join(f"{counts[status]} {status}" for status in KeyStatus if counts[status])
            lines.append(f"{source or 'in no input'}: {listed}")
        return "\n".join(lines)

    def text(self) -> str:
        """The summary and a line for each key."""
        return "\n".join([self.summary(), "", *(str(row) for row in self.rows)]) + "\n"

    def check(self) -> None:
        """Raise LionError if a parameter is missing, or an input holds a tensor that is not part of LION."""
        if missing := self.of(KeyStatus.MISSING):
            raise LionError(
                f"the inputs lack {_some([row.ours for row in missing])} of LION; see --dry-run for every key, "
                "and give a whole checkpoint"
            )
        if unknown := self.of(KeyStatus.UNKNOWN):
            raise LionError(
                f"'{unknown[0].source}' holds what is no part of LION: {_some([row.released for row in unknown])}; "
                "see --dry-run for every key, and check that it is the right file"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
