"""From the arguments of a call to requests: one picture and one text give one, several of either give one for each.

Several are a list, tuple, generator, array or Series. They go pairwise, and one of anything goes with all.
"""

from dataclasses import dataclass
from typing import Any

from lion.errors import LionError
from lion.pipeline.request import listed


@dataclass(frozen=True, slots=True)
class One:
    """A list that is one value for all requests, not one value each."""

    value: object


def pictures(value: Any) -> Any:
    """Several pictures as a list, one as it is: so is an array or tensor of numbers, but of four axes a batch."""
    if not hasattr(value, "dtype") or getattr(value.dtype, "kind", "f") not in "biuf":
        return texts(value)
    return list(value) if value.ndim == 4 else value


def texts(value: Any) -> Any:
    """Several values as a list, one as it is."""
    items = listed(value)
    return value if items is None else items


def spread(**values: Any) -> list[dict[str, Any]] | dict[str, Any]:
    """The fields of each request, or of the only one where no value is a list.

    Raises: LionError for lists of different lengths.
    """
    several = {name: value for name, value in values.items() if isinstance(value, list)}
    one = {
        name: value.value if isinstance(value, One) else value for name, value in values.items() if name not in several
    }
    if not several:
        return one
    lengths = {name: len(items) for name, items in several.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} of {name}" for name, count in lengths.items())
        raise LionError(f"lists must be of one length, not {counts}; give one for all or one each")
    return [one | dict(zip(several, row, strict=True)) for row in zip(*several.values(), strict=True)]
