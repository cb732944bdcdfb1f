"""Files that are either the old or the new one, never half of each, whenever the process dies.

The bytes go to a temporary file beside the target, reach the disk, and only then take the target's name.
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any


def _beside(target: Path) -> Path:
    """A free name in the target's own folder: renaming is atomic only within one file system."""
    return target.with_name(f"{_hidden(target)}{secrets.token_hex(4)}.tmp")


def _hidden(target: Path) -> str:
    """How such names begin; short, because a name may be as long as the file system takes."""
    return f".{target.name[:50]}."


def unfinished(target: Path) -> Path | None:
    """Something that a process which was killed left beside the target, if there is one."""
    return next(target.parent.glob(f"{escape(_hidden(target))}*.tmp"), None)


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed left half-written in the folder, where nobody may be writing."""
    for left in folder.glob(f".*.{'[0-9a-f]' * 8}.tmp"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _sync(path: Path) -> None:
    """Flush a file or a folder (the names in it) to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_space_left(error: BaseException) -> bool:
    """Whether a full disk, or an exhausted quota or limit, is what an error of any library is about."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return _code_of(error) is not None  # safetensors, tokenizers and torch have errors of their own


def _code_of(error: BaseException) -> int | None:
    return next((code for code in _FULL if os.strerror(code) in str(error)), None)


def why_full(error: BaseException) -> str:
    """What `no_space_left` has found, and what helps."""
    code = error.errno if isinstance(error, OSError) else _code_of(error)
    fix = "raise the limit of a file's size (ulimit -f)" if code == errno.EFBIG else "make room"
    return f"{os.strerror(code or errno.ENOSPC)}; {fix}"


def _name_target(error: BaseException, target: Path, temporary: Path) -> None:
    """Raise an OSError with the target's name for one that names the temporary file, or, as writing to an open file
    does where the disk is full, none."""
    if no_space_left(error):
        code = _code_of(error) or errno.ENOSPC
        raise OSError(code, os.strerror(code), str(target)) from error
    if isinstance(error, OSError) and Path(str(error.filename)) == temporary:
        raise OSError(error.errno, error.strerror, str(target)) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before long work whether something of that name could be written; nothing is.

    Raises: OSError with the folder that is none, or where this process may not write.
    """
    there = next(folder for folder in Path(path).absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        code = errno.EACCES if there.is_dir() else errno.ENOTDIR
        raise OSError(code, os.strerror(code), str(there))


def atomic_write(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Write ``data`` (text as UTF-8) to ``path``, creating its folder; an existing file is replaced in one step.

    Raises: OSError as ``open`` does, of a full disk with the target's name; the target is then untouched and the
    temporary file gone.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        _sync(temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):  # of a folder that may not be written in
            temporary.unlink(missing_ok=True)
        _name_target(error, target, temporary)
        raise
    _sync(target.parent)


def atomic_write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as readable JSON with a final newline, atomically.

    Raises: TypeError or ValueError for what JSON cannot hold (NaN and infinity included), before anything is written.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(path, text.encode(errors="backslashreplace"))  # bytes of a name that are no text, as JSON writes them


@contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill the folder that is handed out; when the block ends well it takes the name ``path``.

    An older folder of that name is replaced (moved aside first: no system call swaps folders everywhere, so for an
    instant neither name exists, but never a half-filled one). If the block raises, the old folder stays as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        temporary.mkdir()
        yield temporary
        for entry in temporary.rglob("*"):
            _sync(entry)
        _sync(temporary)
        old = _beside(target) if target.exists() else None
        if old:
            os.replace(target, old)
        os.replace(temporary, target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _name_target(error, target, temporary)
        raise
    _sync(target.parent)
    if old:
        shutil.rmtree(old)
