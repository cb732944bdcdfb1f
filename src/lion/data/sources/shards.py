"""Pictures with their texts in tars or parquet files, on this machine or behind a URL.

A tar is in WebDataset's form: the members of a sample follow each other and share a name up to its first dot. One is
the picture; `.json` holds an object as a line of :mod:`jsonl <lion.data.sources.jsonl>` without its `image`, or a list
of them, and `.txt` a caption, both in UTF-8. Of a parquet file one column holds the picture, others are named as the
keys of such objects. Other keys, columns and members are left alone, as archives of other programs have many.

`lion data pack` writes such tars. An archive that is damaged is named among what was skipped, as are pictures without
texts and texts without a picture; the others are read.
"""

import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from lion.data.archives import InParquet, InTar, Member, archive, is_picture_name, parquet, picture_column
from lion.data.dataset import BadRecord, Dataset
from lion.data.files import LARGEST, broke_off, listed, open_file, place, stamp
from lion.data.index import Records
from lion.data.sample import Record
from lion.data.sources.jsonl import KEYS, records_of
from lion.errors import LionError, first_line, unique_keys

_Sample = tuple[str, InTar | InParquet | None, Sequence[Any]]
"""Name, picture, and the objects that say what is asked about it, or what is wrong with them."""


def find(path: str) -> list[str]:
    """The archives that a path names: one, or those of a folder or pattern, sorted. Raises: LionError for none."""
    path = place(path)
    found = [file for file in listed(path) or [path] if archive(file)]
    if not found:
        raise LionError(f"{path} holds no .tar or .parquet files; name the folder that has them")
    if packed := [file for file in found if file.lower().endswith("gz")]:
        raise LionError(f"{packed[0]} is compressed, so that pictures cannot be read one by one: unpack it to a .tar")
    return found


def stamps(path: str) -> dict[str, Any]:
    """What tells whether the archives are those that an index was made of. Raises: LionError as `find`."""
    return {file: stamp(file) for file in find(path)}


def read(path: str, *, skip_bad: bool = False, records: Records | None = None) -> Dataset:
    """The records of all archives; see the top of this file. Pictures are located, and read when they are used.

    `records`: what they are added to, such as an index; None for a list.

    Raises: LionError if there is no archive or no record, a sample is bad, or the connection to an archive breaks off;
        names the sample and the fix.
    """
    found: Records = list[Record]() if records is None else records
    skipped: list[tuple[str, str]] = []
    for shard in find(path):
        done = 0
        try:
            for name, picture, rows in _parquet(shard) if archive(shard) == "parquet" else _tar(shard):
                done += 1
                if picture is None or not rows:
                    lacks = "texts have no picture beside them" if rows else "picture has no text beside it"
                    skipped.append((f"{os.path.basename(shard)}::{name}", f"its {lacks}, and is left out"))
                    continue
                for number, row in enumerate(rows):
                    ident = f"{os.path.basename(shard)}::{name}" + (f":{number}" if number else "")
                    try:
                        for record in _records(row, ident, picture):
                            found.append(record)
                    except LionError as error:
                        if not skip_bad:
                            raise BadRecord(f"{shard} sample {name}: {error}") from error
                        skipped.append((ident, str(error)))
        except BadRecord:
            raise
        except Exception as error:  # every reader of archives fails in its own way
            if broke_off(shard, error):
                raise LionError(f"{shard}: reading broke off ({first_line(error)}); start it again") from error
            skipped.append((shard, f"it cannot be read beyond sample {done} ({first_line(error)}): copy it again"))
    if not len(found):
        why = f"; the first: {': '.join(skipped[0])}" if skipped else ""
        raise LionError(f"{path}: no usable record in its archives{why}")
    name = os.path.basename(path.rstrip("/"))
    return Dataset(name, "shards", cast(Sequence[Record], found), len(found), skipped=skipped)


def _records(row: Any, ident: str, picture: InTar | InParquet) -> Iterator[Record]:
    if isinstance(row, LionError):
        raise row
    if not isinstance(row, dict):
        raise LionError('it is no object such as {"caption": "a dog"}')
    known = {key: row[key] for key in row if key in KEYS and key != "image" and row[key] is not None}
    return records_of(known, ident, lambda _: picture)


def _tar(shard: str) -> Iterator[_Sample]:
    with open_file(shard) as file, tarfile.open(fileobj=file, mode="r:", tarinfo=Member) as opened:
        files = (member for member in opened if member.isfile())
        for name, members in groupby(files, _key):
            pictures, rows = list[InTar](), list[Any]()
            for member in members:
                if is_picture_name(member.name):
                    pictures.append(InTar(shard, member.name, member.offset_data, member.size))
                elif (ending := member.name.rpartition(".")[2].lower()) in _TEXTS and member.size <= LARGEST:
                    text = cast(Any, opened.extractfile(member)).read()
                    rows += _read_text(_TEXTS[ending], member.name, text)
            opened.members = []  # type: ignore[attr-defined]  # or it would keep every member it has seen
            if len(pictures) > 1:
                names = " and ".join(os.path.basename(one.member) for one in pictures[:2])
                rows = [LionError(f"it has {len(pictures)} pictures, such as {names}: give each a name of its own")]
            if pictures or rows:
                yield name, pictures[0] if pictures else None, rows


def _key(member: tarfile.TarInfo) -> str:
    folder, slash, name = member.name.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _read_text(read: Callable[[bytes], list[Any]], name: str, data: bytes) -> list[Any]:
    """What a member of a sample says, or what is wrong with it, which the reader raises."""
    try:
        return read(data)
    except ValueError as error:
        return [LionError(f"{os.path.basename(name)}: {first_line(error)}")]


def _json(data: bytes) -> list[Any]:
    value = json.loads(data, object_pairs_hook=unique_keys)
    return value if isinstance(value, list) else [value]


def _text(data: bytes) -> list[Mapping[str, str]]:
    return [{"caption": data.decode("utf-8-sig").strip()}]


_TEXTS: Mapping[str, Callable[[bytes], list[Any]]] = {"json": _json, "txt": _text}


def _parquet(shard: str) -> Iterator[_Sample]:
    with open_file(shard) as file:
        table = parquet().ParquetFile(file)
        column = picture_column(table.schema_arrow, shard)
        names = [name for name in table.schema_arrow.names if name in KEYS and name != column]
        for group in range(table.num_row_groups):
            rows = table.read_row_group(group, columns=names, use_threads=False).to_pylist()
            for number, row in enumerate(rows):
                yield f"{group}.{number}", InParquet(shard, column, group, number), [row]
