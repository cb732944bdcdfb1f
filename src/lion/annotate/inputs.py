"""From what the command names to shards: pictures and archives found, and cut.

The cut is a function of the list of inputs alone, so a run that is started again makes the same shards.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from lion.data.archives import archive, is_picture_name
from lion.data.files import is_url, listed, place, read_file
from lion.errors import LionError

LISTS = (".txt", ".lst")

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")
_NAMED = 3
"""Files left out of a folder that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Shard:
    """What becomes one output shard: pictures by their paths, or one archive of them."""

    kind: Literal["files", "parquet", "tar"]
    sources: tuple[str, ...]

    @property
    def pictures(self) -> int | None:
        """How many inputs it has; None if only reading tells."""
        return len(self.sources) if self.kind == "files" else None


def find(given: str) -> tuple[list[str], str | None]:
    """Every picture file and archive that a name means, and a line on what was left out, if anything was.

    The name is a folder (with all that is in it), a pattern, a brace list (``{000..099}``, ``{a,b}``), a list of paths
    (``.txt``, ``.lst``: one a line, relative ones from the list's folder), a parquet file, a tar or a picture.

    Raises: LionError if there is no such thing, or nothing in it.
    """
    found: list[str] = []
    left_out: list[str] = []
    for name in _braces(place(given)):
        files = listed(name)
        if files is None and name.lower().endswith(LISTS):
            found += _lines(name)
        elif files is None:
            if not is_url(name) and not os.path.lexists(name):
                raise LionError(f"{name}: there is no such file or folder; check the path")
            found.append(name)
        else:
            below = len(name) if os.path.isdir(name) else None  # hidden folders in a folder, not above it, are left out
            usable = [file for file in files if (archive(file) or is_picture_name(file)) and not _hidden(file, below)]
            found += usable
            left_out += sorted(set(files) - set(usable))
    if not found:
        raise LionError(f"{given} holds no pictures, parquet files or tars; name another input")
    return found, _note(given, left_out)


def cut(sources: Sequence[str], size: int) -> list[Shard]:
    """Shards of the sources: `size` pictures each, in order, and behind them each archive by itself."""
    pictures = [source for source in sources if not archive(source)]
    shards = [Shard("files", tuple(pictures[start : start + size])) for start in range(0, len(pictures), size)]
    return shards + [Shard(kind, (source,)) for source in sources if (kind := archive(source))]


def digest(shards: Iterable[Shard]) -> str:
    """32 hex digits of the list of inputs: their paths, not what the files hold."""
    out = hashlib.blake2b(digest_size=16)
    for source in chain.from_iterable(shard.sources for shard in shards):
        out.update(os.fsencode(source) + b"\0")
    return out.hexdigest()


def _hidden(path: str, below: int | None) -> bool:
    """Whether a file is hidden, or a folder that it is in, from that letter of the path on."""
    return "/." in path[below:] if below is not None else path.rpartition("/")[2].startswith(".")


def _braces(name: str) -> Iterator[str]:
    """A name for each value of its braces; a file that has such a name is meant itself."""
    group = None if os.path.lexists(name) else _BRACES.search(name)
    if group is None:
        yield name
        return
    if group[3] is None:
        width = len(group[1]) if group[1].startswith("0") else 0
        values = [f"{number:0{width}}" for number in range(int(group[1]), int(group[2]) + 1)]
    else:
        values = group[3].split(",")
    for value in values:
        yield from _braces(name[: group.start()] + value + name[group.end() :])


def _lines(path: str) -> list[str]:
    lines = os.fsdecode(read_file(path)).removeprefix("\ufeff").splitlines()
    return [place(line.strip(), beside=path) for line in lines if line.strip()]


def _note(given: str, left_out: Sequence[str]) -> str | None:
    if not left_out:
        return None
    names = ", ".join(path.rpartition("/")[2] for path in left_out[:_NAMED])
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return f"{given}: left out, as hidden or no pictures by their names: {names}{more}"
