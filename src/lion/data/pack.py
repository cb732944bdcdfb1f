"""From single files to archives: a dataset's pictures and texts as tars in WebDataset's form, and back by their sums.

A folder of thousands of files is slow to list and to copy, above all on shared disks. Tars hold the pictures as they
are, in the order of the records, and `shards.json` beside them the hash of each. Written twice, they are the same.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from pathlib import Path
from typing import Any

from PIL import Image

from lion.atomic import atomic_directory, atomic_write_json
from lion.boxes import has_written_area
from lion.data.archives import is_picture_name
from lion.data.dataset import Dataset
from lion.data.files import read_file
from lion.data.index import IndexedRecords, OnRecords, file_hash, unchanged
from lion.data.orientation import as_shown
from lion.data.sample import Record
from lion.data.sources.jsonl import row_of
from lion.errors import LionError, first_line
from lion.images import content, open_image

SUMS = "shards.json"
"""In the folder: each tar with its samples, records, bytes and SHA-256."""
Bad = tuple[str, str]
"""Id or name, and reason."""


@dataclass
class Packed:
    """What was written."""

    shards: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `SUMS`."""
    skipped: list[Bad] = field(default_factory=list)
    """Records whose pictures could not be read."""

    def total(self, column: str) -> int:
        """The sum of a column over the shards."""
        return sum(shard[column] for shard in self.shards)


def pack(records: Sequence[Record], out: Path, shard_bytes: int, report: OnRecords | None = None) -> Packed:
    """Write a new folder of tars, `00000.tar` and so on, each of about so many bytes.

    Records of the same picture that follow each other share a sample. Pictures are copied byte by byte.

    Raises: LionError if the folder is there already, or no picture can be read.
    """
    if out.exists():
        raise LionError(f"{out} is there already; name a new folder")
    packed = Packed()
    samples = _samples(records, packed.skipped, report)
    with atomic_directory(out) as folder:
        for number in count():
            if (shard := _write(folder / f"{number:05d}.tar", samples, shard_bytes)) is None:
                break
            packed.shards.append(shard)
        if not packed.shards:
            reason = f"; the first: {': '.join(packed.skipped[0])}" if packed.skipped else ""
            raise LionError(f"none of the pictures can be read{reason}")
        atomic_write_json(folder / SUMS, {"shards": packed.shards, "skipped": packed.skipped})
    return packed


def _samples(
    records: Sequence[Record], skipped: list[Bad], report: OnRecords | None
) -> Iterator[tuple[str, bytes, list[dict[str, Any]]]]:
    """(ending, picture, rows) of each sample."""
    for picture, same in groupby(map(records.__getitem__, range(len(records))), lambda record: record.image):
        of_picture = list(same)
        try:
            found = content(picture)
            data = found if isinstance(found, bytes) else read_file(found)
            yield _ending(picture, data), data, [row_of(record) for record in of_picture]
        except LionError as error:
            skipped += [(record.id, str(error)) for record in of_picture]
        if report:
            report(len(of_picture))


def _ending(picture: object, data: bytes) -> str:
    """The ending of a picture's name in the tar. Raises: LionError if neither name nor content tells its format."""
    if isinstance(picture, Path) and is_picture_name(picture.name):
        return picture.suffix.lower()
    try:
        with Image.open(io.BytesIO(data)) as opened:
            return f".{(opened.format or '').lower()}"
    except Exception as error:  # every format's reader fails in its own way
        raise LionError(f"its bytes are no picture ({first_line(error)})") from error


def _write(path: Path, samples: Iterator[tuple[str, bytes, list[dict[str, Any]]]], most: int) -> dict[str, Any] | None:
    """One tar of the samples that come next, until it is large enough; None if none comes."""
    shard: dict[str, Any] = {"name": path.name, "samples": 0, "records": 0}
    size = 0
    for suffix, picture, rows in samples:
        if not shard["samples"]:
            archive = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed below
        text = json.dumps(rows[0] if len(rows) == 1 else rows, ensure_ascii=False)
        for ending, data in ((suffix, picture), (".json", text.encode(errors="backslashreplace"))):
            member = tarfile.TarInfo(f"{path.stem}{shard['samples']:06d}{ending}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            size += 512 + len(data)
        shard["samples"] += 1
        shard["records"] += len(rows)
        if size >= most:
            break
    if not shard["samples"]:
        return None
    archive.close()
    return {**shard, "bytes": path.stat().st_size, "sha256": file_hash(path)}


def check(dataset: Dataset, folder: Path, report: OnRecords | None = None) -> Iterator[Bad]:
    """What is wrong with a dataset, by id or name.

    Records that were left out when it was read, pictures that do not open, boxes that do not fit or have no area, and
    an index and archives that are not what was written.

    `folder`: where `SUMS` may lie, whose hashes are then compared.
    """
    yield from dataset.skipped
    if isinstance(dataset.records, IndexedRecords) and not unchanged(dataset.records):
        yield str(dataset.records.folder), "the index is not what was written: delete this folder"
    yield from _sums(folder)
    opened: object = None
    for record in map(dataset.records.__getitem__, range(len(dataset.records))):
        try:
            box = as_shown(record).box
            if opened is None or record.image != opened:
                opened = None
                open_image(record.image)
                opened = record.image
            if box is not None and not has_written_area(box.clamp()):
                raise LionError(f"its box {box.xyxy()} has no area in the picture")
        except LionError as error:
            yield record.id, str(error)
        if report:
            report(1)


def _sums(folder: Path) -> Iterator[Bad]:
    try:
        shards = json.loads((folder / SUMS).read_text("utf-8"))["shards"]
        sums = {shard["name"]: shard["sha256"] for shard in shards}
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield SUMS, f"it cannot be read ({first_line(error)}): pack again"
        return
    for name, digest in sums.items():
        try:
            if file_hash(folder / name) != digest:
                yield name, f"it is not what {SUMS} says was written: copy it again"
        except OSError as error:
            yield name, f"{error.strerror}: copy it again"
