"""The pictures of a shard as bytes, in order: out of files, parquet or a tar in WebDataset's form.

What cannot be read is a record, too: its `load` raises the reason. So nothing is lost, and every input counts once.
"""

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, NoReturn

from lion.annotate.inputs import Shard
from lion.data.archives import Member, is_picture_name, parquet, picture_bytes, picture_column
from lion.data.files import LARGEST, broke_off, open_file, read_file
from lion.errors import LionError, first_line


@dataclass(frozen=True, slots=True)
class Record:
    """One input."""

    key: str
    """The path; within an archive ``PATH::MEMBER``, in parquet ``PATH::ROW`` from 0."""
    load: Callable[[], bytes]
    """The bytes of its picture file. Raises: LionError with the reason why there are none."""


def records(shard: Shard, column: str | None = None) -> Iterator[Record]:
    """The inputs of a shard. `column`: of parquet, the one with the pictures; None to choose by type and name."""
    if shard.kind == "files":
        yield from (Record(source, partial(read_file, source)) for source in shard.sources)
        return
    (source,) = shard.sources
    done = 0
    try:
        for record in _tar(source) if shard.kind == "tar" else _parquet(source, column):
            yield record
            done += 1
    except Exception as error:  # every reader of archives fails in its own way
        fix = "--retry-errors reads it again" if broke_off(source, error) else "copy it again"
        reason = first_line(error)
        yield _failed(source, f"the archive cannot be read beyond picture {done} ({reason}): {fix}")


def _failed(key: str, reason: str) -> Record:
    def load() -> NoReturn:
        raise LionError(reason)

    return Record(key, load)


def _tar(source: str) -> Iterator[Record]:
    """Pictures, each by itself; and a record that fails for each sample that has none."""
    sample, others, pictures = "", list[str](), 0
    with open_file(source) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=Member) as archive:
        for member in archive:
            if member.isdir():
                continue
            folder, slash, name = member.name.rpartition("/")
            key = folder + slash + name.partition(".")[0]
            if key != sample:
                yield from _without_picture(source, sample, others, pictures)
                sample, others, pictures = key, [], 0
            if not is_picture_name(name):
                others.append(name)
                continue
            pictures += 1
            yield _of_member(f"{source}::{member.name}", archive, member)
    yield from _without_picture(source, sample, others, pictures)


def _of_member(key: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Record:
    if not member.isfile():
        return _failed(key, "it is a link; put the picture itself into the tar")
    if member.size > LARGEST:
        return _failed(key, f"it has more than {LARGEST >> 20} MiB, too many for a picture")
    file = archive.extractfile(member)
    assert file is not None
    data = file.read()
    return Record(key, lambda: data)


def _without_picture(source: str, sample: str, others: list[str], pictures: int) -> Iterator[Record]:
    if others and not pictures:
        yield _failed(f"{source}::{sample}", f"no picture among its members ({', '.join(others[:5])})")


def _parquet(source: str, column: str | None) -> Iterator[Record]:
    with open_file(source) as file:
        table = parquet().ParquetFile(file)
        name = picture_column(table.schema_arrow, source, column)
        rows = count()
        for batch in table.iter_batches(batch_size=64, columns=[name]):
            for value in batch.column(0):
                key = f"{source}::{next(rows)}"
                yield _of_value(key, value.as_py(), source)


def _of_value(key: str, value: Any, source: str) -> Record:
    return Record(key, partial(picture_bytes, value, source))
