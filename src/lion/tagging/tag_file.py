"""Tags in one file, so that a tagger runs once for training, evaluation and serving.

A row is a picture: its name, the hash of its pixels, its tags in class order and the model that found them. Pictures
are looked up by hash, so files may move and change their format. ``.parquet`` needs pyarrow, ``.jsonl`` does not.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from PIL.Image import Image

from lion.atomic import atomic_write
from lion.errors import LionError, unique_keys
from lion.images import image_hash

FORMATS = (".parquet", ".jsonl")


@dataclass(frozen=True, slots=True)
class TagRow:
    """The tags of one picture; the fields are the columns of the file."""

    image: str
    """The picture's file name when it was tagged."""
    hash: str
    """`lion.images.image_hash` of it."""
    tags: tuple[str, ...]
    model: str
    """The tagger's name."""


class TagFile:
    """A :class:`~lion.tagging.Tagger` that looks tags up in a file."""

    def __init__(self, tags: Mapping[str, Sequence[str]], name: str = "the tag file") -> None:
        self._tags = {key: list(found) for key, found in tags.items()}
        self.name = name

    @property
    def fingerprint(self) -> str:
        """A hash of the content, 32 hexadecimal digits."""
        return hashlib.blake2b(json.dumps(sorted(self._tags.items())).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self._tags)

    @property
    def words(self) -> frozenset[str]:
        """Every tag that a picture of the file has."""
        return frozenset(tag for tags in self._tags.values() for tag in tags)

    def __call__(self, images: Sequence[Image]) -> list[list[str]]:
        """The tags of each picture. Raises: LionError for a picture that the file does not hold."""
        return [list(self.of(image_hash(image))) for image in images]

    def of(self, picture: str) -> list[str]:
        """The tags of the picture with this `lion.images.image_hash`. Raises as the call."""
        if picture not in self._tags:
            raise LionError(f"{self.name} has no tags of this picture; tag it too: lion tag IMAGE... --out FILE")
        return self._tags[picture]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Reads a file that `write_tags` wrote.

        Raises: LionError for no such file, an unknown or damaged one, one that gives a picture's tags twice and
            differently, or if pyarrow is needed and missing.
        """
        path = os.path.expanduser(path)
        check_format(path)
        tags: dict[str, list[str]] = {}
        try:
            for row in _read_rows(Path(path)):
                if tags.setdefault(row["hash"], found := _tags(row["tags"])) != found:
                    raise LionError(f"it gives the picture {row['hash']} twice, with different tags")
            return cls(tags, str(path))
        except LionError as error:
            raise LionError(f"{path}: {error}; keep one, or write it again with lion tag --out") from error
        except FileNotFoundError as error:
            raise LionError(f"{path}: there is no such file; write one with lion tag IMAGE... --out {path}") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LionError(f"{path} is no whole file of tags; write it again with lion tag --out") from error


def check_format(path: str | Path) -> None:
    """Raise LionError unless a file of this name can be read and written here."""
    if Path(path).suffix not in FORMATS:
        raise LionError(f"{path}: a file of tags ends in {' or '.join(FORMATS)}")
    if Path(path).is_dir():
        raise LionError(f"{path} is a folder; name a file")
    if Path(path).suffix == ".parquet":
        _parquet()


def write_tags(path: str | Path, rows: Iterable[TagRow]) -> None:
    """Write a file of tags, in the format its name ends in, whole or not at all.

    Raises: LionError for an unknown format, if pyarrow is needed and missing, or if the place cannot be written.
    """
    path = os.path.expanduser(path)
    check_format(path)
    entries = [
        {**asdict(row), "image": _as_text(row.image), "tags": list(row.tags), "model": _as_text(row.model)}
        for row in rows
    ]
    if Path(path).suffix == ".parquet":
        arrow, parquet = _parquet()
        text = arrow.string()
        columns = {"image": text, "hash": text, "tags": arrow.list_(text), "model": text}
        buffer = io.BytesIO()
        parquet.write_table(arrow.Table.from_pylist(entries, schema=arrow.schema(columns)), buffer)
        data = buffer.getvalue()
    else:
        data = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()
    try:
        atomic_write(path, data)
    except OSError as error:
        raise LionError(f"cannot write {path}: {error.strerror or error}; name another place") from error


def _as_text(name: str) -> str:
    """A file name as text; bytes that are not text are escaped."""
    return name.encode(errors="backslashreplace").decode()


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        with path.open("rb") as file:
            return _parquet()[1].read_table(file, columns=["hash", "tags"]).to_pylist()
    return [
        json.loads(line, object_pairs_hook=unique_keys)
        for line in path.read_text(encoding="utf-8-sig").split("\n")
        if line.strip()
    ]


def _tags(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag.strip() for tag in value):
        raise TypeError(f"{value!r} is no list of tags")
    return value


def _parquet() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet, an optional dependency."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise LionError("Parquet needs pyarrow: pip install pyarrow, or name a .jsonl file") from error
    return pyarrow, pyarrow.parquet
