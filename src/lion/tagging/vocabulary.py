"""RAM's tags: 4,585 English names, each with its score threshold, in class order."""

import os
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self

from lion.errors import LionError


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tag names and their thresholds, in class order."""

    names: tuple[str, ...]
    thresholds: tuple[float, ...] | None
    """None where they are not known."""

    @classmethod
    def released(cls) -> Self:
        """The released RAM's, from its own files."""
        folder = files("lion") / "tagging"
        return cls(_names(folder / "ram_tag_list.txt"), _thresholds(folder / "ram_tag_list_threshold.txt"))

    @classmethod
    def read(cls, names: str | Path | None = None, thresholds: str | Path | None = None) -> Self:
        """From files with one name, and one number, a line; the released ones where `names` is None.

        Raises: LionError if a file is missing or not text, a name is empty or doubled, a threshold is no number from 0
        to 1, or there is not one per name.
        """
        own = cls.released() if names is None else cls(_names(Path(os.path.expanduser(names))), None)
        if thresholds is not None:
            own = replace(own, thresholds=_thresholds(Path(os.path.expanduser(thresholds))))
        if own.thresholds is not None and len(own.thresholds) != len(own.names):
            raise LionError(
                f"{len(own.thresholds)} thresholds for {len(own.names)} tags; give one a line, in their order"
            )
        return own


def _lines(path: Path | Traversable) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise LionError(f"{path} is not a readable text file ({error}); give one with an entry a line") from error


def _names(path: Path | Traversable) -> tuple[str, ...]:
    names = _lines(path)
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name or name in seen:
            what = f"names {name!r} a second time" if name else "is empty"
            raise LionError(f"{path}, line {number}: it {what}; give every tag once, one a line")
        seen.add(name)
    if not names:
        raise LionError(f"{path} is empty; give one tag a line")
    return tuple(names)


def _thresholds(path: Path | Traversable) -> tuple[float, ...]:
    values = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            value = float(line)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= 1:
            raise LionError(f"{path}, line {number}: {line!r} is no number from 0 to 1; give one threshold a line")
        values.append(value)
    return tuple(values)
