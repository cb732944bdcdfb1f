"""Archives of pictures: tars in WebDataset's form and parquet files; their pictures stay there until they are read."""

import os
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Self

from lion.data.files import is_url, open_file, place, read_file, read_range
from lion.errors import LionError, first_line
from lion.images import suffixes

ARCHIVES: dict[str, Literal["parquet", "tar"]] = {
    ".parquet": "parquet",
    ".tar": "tar",
    ".tar.gz": "tar",
    ".tgz": "tar",
}
PATH_COLUMNS = ("image", "image_path", "path", "file_path", "filepath", "file_name", "filename", "file")
"""Columns of text that are taken for paths, the first that is there."""


@dataclass(frozen=True, slots=True)
class InTar:
    """A picture in a tar, read by its place there."""

    shard: str
    member: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.shard}::{self.member}"

    def read(self) -> bytes:
        """The picture file's bytes. Raises: LionError if the tar cannot be read, or is shorter than it was."""
        return read_range(self.shard, self.offset, self.size)


@dataclass(frozen=True, slots=True)
class InParquet:
    """A picture in a parquet file: the cell of a column, by row group and row in it."""

    shard: str
    column: str
    group: int
    row: int

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.shard}::{self.group}.{self.row}"

    def read(self) -> bytes:
        """The picture file's bytes. Raises: LionError if the cell holds none, or the file cannot be read."""
        try:
            value = _column(self.shard, self.group, self.column)[self.row].as_py()
        except LionError:
            raise
        except Exception as error:  # pyarrow has many
            raise LionError(f"{self.name} cannot be read ({first_line(error)}): copy the file again") from error
        return picture_bytes(value, self.shard)


@lru_cache(maxsize=1)
def _column(path: str, group: int, column: str) -> Any:
    """A column of a row group; the last one is kept, for readers in the order of the file."""
    return _parquet_file(path).read_row_group(group, columns=[column], use_threads=False).column(0)


@lru_cache(maxsize=32)
def _parquet_file(path: str) -> Any:
    return parquet().ParquetFile(open_file(path) if is_url(path) else path, memory_map=not is_url(path))


def picture_bytes(value: Any, source: str) -> bytes:
    """The picture of a parquet file's cell: bytes, a path, or a struct of both. Raises: LionError if it has none."""
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if isinstance(data, str):
        data, path = None, data
    if isinstance(data, bytes):
        return data
    if data is not None:
        raise LionError(f"the column holds {type(data).__name__}, neither bytes nor a path; name another: --column")
    if path:
        return read_file(place(path, beside=source))
    raise LionError("no picture in this row (null)")


def archive(path: str) -> Literal["parquet", "tar"] | None:
    """The kind of archive that a file's name says it is."""
    return next((kind for ending, kind in ARCHIVES.items() if path.lower().endswith(ending)), None)


def is_picture_name(name: str) -> bool:
    """Whether a file's ending is one that Pillow reads."""
    return os.path.splitext(name)[1].lower() in suffixes()


class Member(tarfile.TarInfo):
    """A member of a tar that has to end as tars do: the standard library takes any damage for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the stubs lack it
            raise
        except tarfile.HeaderError as error:
            raise LionError(f"{first_line(error)}, where a member or the end should be") from error


def picture_column(schema: Any, source: str, column: str | None = None) -> str:
    """The column with pictures: the one named, else a struct of bytes and path (an image of Hugging Face's datasets),
    else bytes, else a text with a name of `PATH_COLUMNS`.

    Raises: LionError that names the columns, if it is not there or several may be meant.
    """
    import pyarrow.types as kinds

    names = list(schema.names)
    if column is not None:
        if column not in names:
            raise LionError(f"{source} has no column '{column}'; it has {', '.join(names)}")
        return column
    fields = [schema.field(name) for name in names]
    structs = [one.name for one in fields if kinds.is_struct(one.type) and one.type.get_field_index("bytes") >= 0]
    binary = [one.name for one in fields if kinds.is_binary(one.type) or kinds.is_large_binary(one.type)]
    text = [one.name for one in fields if kinds.is_string(one.type) or kinds.is_large_string(one.type)]
    paths = [name for name in PATH_COLUMNS if name in text][:1]
    found = structs or binary or paths
    if len(found) != 1:
        which = "none of its columns is known" if not found else f"{' and '.join(found)} may all be meant"
        raise LionError(f"{source}: {which} to hold the pictures; name one with --column: {', '.join(names)}")
    return found[0]


def parquet() -> Any:
    """The module pyarrow.parquet. Raises: LionError without pyarrow."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise LionError("Parquet needs pyarrow; pip install 'lion-vlm[bulk]'") from error
    return pyarrow.parquet
