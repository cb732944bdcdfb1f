"""The folder of a bulk run: shards that are whole or absent, and what tells a later run which ones are there.

OUT/manifest.json             of the run: questions, model and inputs
OUT/shards/000000.parquet     rows of a shard (or .jsonl)
OUT/errors/000000.jsonl       its inputs without an answer, with the reason; no file where there are none
OUT/done/000000.json          counts of the shard; written last, so it says that the two above are whole

Each file is written atomically under a name that the shard's number gives. So a shard that is made twice, after a kill
or by two actors, is there once.
"""

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lion.annotate.annotator import Made, Row
from lion.atomic import atomic_write, atomic_write_json
from lion.data.archives import parquet
from lion.errors import LionError
from lion.locks import FolderLock

FORMATS = ("parquet", "jsonl")
FIXED = (
    "do",
    "model_fingerprint",
    "prompt_tags",
    "if_there",
    "decoding",
    "format",
    "column",
    "shard_size",
    "input_list",
)
"""Keys of manifest.json that all shards share."""
Counts = Mapping[str, int]


class Output:
    """A run's folder, without a claim on it: actors write there for the process that has one.

    Args:
        folder: where; it may not exist yet.
        form: of the shards, one of `FORMATS`.

    Raises: LionError for another format, or parquet without pyarrow.
    """

    def __init__(self, folder: Path, form: str) -> None:
        if form not in FORMATS:
            raise LionError(f"no format '{form}'; there are {' and '.join(FORMATS)}")
        if form == "parquet":
            parquet()
        self.folder, self.form = folder, form

    def claim(self) -> FolderLock:
        """Keep other runs out. Raises: LionError if one is there, the folder holds something else or is read-only."""
        try:
            there = [one for one in self.folder.iterdir() if one.name[0] != "."] if self.folder.is_dir() else []
            if there and not (self.folder / "manifest.json").is_file():
                raise LionError(f"{self.folder} is not empty and holds no manifest.json; name another folder")
            lock = FolderLock(self.folder)
            if not os.access(self.folder, os.W_OK):
                raise LionError(f"cannot write in {self.folder}: you lack the permission (see chmod)")
        except OSError as error:
            raise LionError(f"cannot write in {self.folder}: {error.strerror or error}; name another folder") from error
        return lock

    def start(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, or find the one of the same run. Raises: LionError that names what differs."""
        for left in self.folder.rglob(".*.tmp"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        if not (found := self._manifest()):
            atomic_write_json(self.folder / "manifest.json", manifest)
            return
        for key in FIXED:
            if found.get(key) != manifest[key]:
                raise LionError(f"{self.folder} holds {_difference(found, manifest, key)}; name another folder")

    def _manifest(self) -> dict[str, Any]:
        """Of the run that is there; empty without. Raises: LionError if it is damaged."""
        path = self.folder / "manifest.json"
        try:
            return {} | json.loads(path.read_text("utf-8")) if path.is_file() else {}
        except (ValueError, TypeError) as error:
            raise LionError(f"{path} is not readable JSON; name another folder") from error

    def model(self) -> tuple[str, str | None]:
        """The model's name, and what holds for all of its answers."""
        manifest = self._manifest()
        return str(manifest["model"]), manifest.get("about")

    def shard_size(self) -> int | None:
        """Of the run that is there. Raises: LionError as `start`."""
        found = self._manifest().get("shard_size")
        return found if isinstance(found, int) else None

    def write(self, number: int, made: Made) -> Counts:
        """Write a shard, or write it again; returns its counts."""
        errors = self._path("errors", number, "jsonl")
        if made.errors:
            atomic_write(errors, _lines(made.errors))
        else:
            errors.unlink(missing_ok=True)
        shard = self._path("shards", number, self.form)
        atomic_write(shard, _parquet(made.rows, *self.model()) if self.form == "parquet" else _lines(made.rows))
        atomic_write_json(self._path("done", number, "json"), made.counts)
        return made.counts

    def done(self, shards: int) -> dict[int, Counts]:
        """Counts of the shards that are there, by number."""
        paths = ((number, self._path("done", number, "json")) for number in range(shards))
        return {number: json.loads(path.read_text()) for number, path in paths if path.is_file()}

    def drop(self, number: int) -> None:
        """Forget that a shard is there, so that it is made again."""
        self._path("done", number, "json").unlink(missing_ok=True)

    def check(self, shards: int) -> dict[str, int]:
        """Counts of all shards, as :attr:`Made.counts`, once each is known to hold what it should.

        Raises: LionError that names a shard whose files are not as they were written.
        """
        total = {"inputs": 0, "rows": 0, "errors": 0}
        done = self.done(shards)
        for number in range(shards):
            shard, errors = self._path("shards", number, self.form), self._path("errors", number, "jsonl")
            there = {"rows": self._count(shard), "errors": _count_lines(errors) if errors.is_file() else 0}
            counts = done.get(number, {})
            notes = {"notes": counts["notes"]} if "notes" in counts else {}
            if counts != {"inputs": sum(there.values()), **there, **notes}:
                mark = self._path("done", number, "json")
                raise LionError(f"{shard} is not as it was written; delete {mark} and give the command again")
            total |= {name: total.get(name, 0) + count for name, count in counts.items()}
        return total

    def rows(self, shards: int) -> Iterator[Row]:
        """All rows, in order."""
        for number in range(shards):
            path = self._path("shards", number, self.form)
            if self.form == "parquet":
                yield from parquet().read_table(path).to_pylist()
            else:
                yield from map(json.loads, path.read_text("utf-8").splitlines())

    def _path(self, kind: str, number: int, ending: str) -> Path:
        return self.folder / kind / f"{number:06d}.{ending}"

    def _count(self, path: Path) -> int:
        if not path.is_file():
            return -1
        return int(parquet().read_metadata(path).num_rows) if self.form == "parquet" else _count_lines(path)


def _difference(found: Mapping[str, Any], manifest: Mapping[str, Any], key: str) -> str:
    """In words, how the run in the folder differs from this one."""
    if key == "model_fingerprint":
        return f"answers of another model ({found.get('model')}, not {manifest['model']}, or its weights have changed)"
    if key == "input_list":
        return f"answers about other inputs ({found.get('input')}; files may have come or gone since)"
    there, here = found.get(key), manifest[key]
    if isinstance(there, dict) and isinstance(here, dict):
        inner = next(inner for inner in {**there, **here} if there.get(inner) != here.get(inner))
        key, there, here = f"{key} of {inner}", there.get(inner), here.get(inner)
    return f"answers with another {key.replace('_', ' ')} ({there}, not {here})"


def _lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _parquet(rows: list[Row], model: str, about: str | None) -> bytes:
    import pyarrow as arrow

    text, number = arrow.string(), arrow.float64()
    corners = arrow.list_(number, 4)
    box = arrow.struct({"label": text, "unit": corners, "pixel": corners, "score": number})
    answer = {"do": text, "text": text, "ok": arrow.bool_(), "reason": text, "boxes": arrow.list_(box)}
    answer |= {"confidence": number, "presence": number, "note": text}
    columns = {"key": text, "index": arrow.int64(), "sha256": text, "hash": text}
    columns |= {"width": arrow.int32(), "height": arrow.int32(), "tags": arrow.list_(text)}
    made_by = {"lion.model": model, **({"lion.about": about} if about else {})}
    schema = arrow.schema(columns | {"answers": arrow.list_(arrow.struct(answer))}, metadata=made_by)
    buffer = io.BytesIO()
    parquet().write_table(arrow.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()
