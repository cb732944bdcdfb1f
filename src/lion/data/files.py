"""Files of this machine and, by fsspec, those that a URL names (``s3://``, ``gs://``, ``hf://``, ``memory://``)."""

import os
import re
import tarfile
import zlib
from collections.abc import Callable
from glob import glob, has_magic
from lzma import LZMAError
from typing import Any, BinaryIO, cast

from lion.errors import LionError, first_line
from lion.images import path_of

_URL = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://")

_DAMAGE = (LionError, tarfile.TarError, ValueError, LookupError, EOFError, NotImplementedError, zlib.error, LZMAError)
"""What readers of archives raise for an archive that is damaged; Arrow's errors are ValueErrors or have no errno."""

LARGEST = 512 * 2**20
"""Bytes; no picture file is larger, whatever an archive's header says."""


def is_url(path: str) -> bool:
    """Whether fsspec is to open it."""
    return _URL.match(path) is not None


def broke_off(path: str, error: Exception) -> bool:
    """Whether reading an archive ended because a connection did, so that the same again may come to its end. What is
    wrong with the archive itself is told by the readers of tars, parquet and compressed data, each in its own way."""
    if not is_url(path) or isinstance(error, _DAMAGE):
        return False
    broken = ConnectionError | TimeoutError
    return not isinstance(error, OSError) or error.errno is not None or isinstance(error, broken)


def place(path: str, beside: str = "") -> str:
    """A path as it is kept: a URL as it is, others absolute, relative ones from the folder of the file `beside`."""
    if is_url(path):
        return path
    path = path_of(path) or path
    if not beside or os.path.isabs(path):
        return os.path.abspath(path)
    return f"{beside.rpartition('/')[0]}/{path}" if is_url(beside) else os.path.join(os.path.dirname(beside), path)


def open_file(path: str) -> BinaryIO:
    """A file opened for reading. Raises: LionError that says why it cannot be."""
    return cast(BinaryIO, _tried(path, lambda: _system(path)[0].open(path, "rb") if is_url(path) else open(path, "rb")))


def read_file(path: str) -> bytes:
    """A picture file's bytes. Raises: LionError if it cannot be read, or is larger than any picture."""

    def read() -> bytes:
        with open_file(path) as file:
            return file.read(LARGEST + 1)

    data: bytes = _tried(path, read)
    if len(data) > LARGEST:
        raise LionError(f"{path} has more than {LARGEST >> 20} MiB, too many for a picture")
    return data


def read_range(path: str, start: int, size: int) -> bytes:
    """A part of a file. Raises: LionError if it cannot be read, or ends before."""

    def read() -> bytes:
        if is_url(path):
            system, name = _system(path)
            return cast(bytes, system.cat_file(name, start=start, end=start + size))
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            return file.read(size)

    data: bytes = _tried(path, read)
    if len(data) < size:
        raise LionError(f"{path} is shorter than it was, {start + size} bytes at least: copy it again")
    return data


def stamp(path: str) -> list[Any]:
    """What tells whether a file has changed without reading it: its size, and its time or what stands for one."""
    if not is_url(path):
        entry = _tried(path, lambda: os.stat(path))
        return [entry.st_size, entry.st_mtime_ns]
    about = _tried(path, lambda: _system(path)[0].info(_system(path)[1]))
    marks = ("ETag", "etag", "mtime", "LastModified", "updated", "created")
    return [about.get("size"), next((str(about[mark]) for mark in marks if mark in about), None)]


def listed(path: str) -> list[str] | None:
    """All files below a folder, or those that match a pattern, sorted; None if it is one file, or nothing.

    Links to folders are not followed, and what a pattern finds through them again, as ``**`` does, is there once.
    Raises: LionError if a URL cannot be read.
    """
    if is_url(path):
        return cast(list[str] | None, _tried(path, lambda: _listed_url(path)))
    if os.path.isdir(path):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    if has_magic(path) and not os.path.lexists(path):
        found = sorted(match for match in glob(path, recursive=True) if not os.path.isdir(match))
        return sorted({in_its_folder(match): match for match in reversed(found)}.values())
    return None


def in_its_folder(path: str) -> str:
    """A file's path without links to folders on the way to it; the file itself may be a link."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _listed_url(url: str) -> list[str] | None:
    system, path = _system(url)
    if has_magic(path) and not system.exists(path):
        found = [one for one in system.glob(path) if not system.isdir(one)]
    elif system.isdir(path):
        found = system.find(path)
    else:
        return None
    return sorted(system.unstrip_protocol(one) for one in found)


def _system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise LionError(f"{url}: URLs need fsspec; pip install 'lion-vlm[bulk]'") from error
    system, path = url_to_fs(url)
    return system, path


def _tried(path: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except LionError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise LionError(f"{path}: there is no such file; check the path") from None
    except ImportError as error:  # fsspec's advice on the package for a kind of URL
        raise LionError(f"{path}: {first_line(error)}") from error
    except OSError as error:
        raise LionError(f"{path}: {error.strerror or first_line(error)}; check the path") from error
    except Exception as error:  # of any type behind a URL, as the package that reads it has it; a path with a zero byte
        if not is_url(path) and not isinstance(error, ValueError):
            raise
        raise LionError(f"{path}: {first_line(error)}") from error
