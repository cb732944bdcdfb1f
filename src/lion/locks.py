"""One writer a folder: the lock that resumable work holds while it writes there.

The operating system ends a lock with the process that holds it, however that ends, so none is ever stale. On a file
system without locks (some NFS mounts) nothing is held and nothing refused; elsewhere on NFS it holds between machines.
"""

import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

from lion.errors import LionError

LOCK = ".lock"
"""The file in the folder: process and host of the writer; gone when it ends well."""

_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # beyond the text, which a locked byte would hide from readers
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(handle: int) -> None:
        # Not flock, which a forked worker inherits and may hold for longer than its parent lives.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """The right to write in `folder`, which is created, until `release`, the end of a `with` block or of the process.

    To the system a process is one writer: what it locks twice is free once both have been released.
    `name`: of the lock's file, for work that shares the folder with other work.

    Raises: LionError that names process and host if another writer has it; OSError if the folder cannot be created.
    """

    def __init__(self, folder: Path, name: str = LOCK) -> None:
        key = (os.getpid(), folder.resolve() / name)
        self._held: _Held | None = _HELD.get(key) or _Held(folder, name)
        _HELD[key] = self._held

    def release(self) -> None:
        """Let others write, unless this process has locked the folder elsewhere, too."""
        self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class _Held:
    """The lock of a process on one file, for as long as something refers to it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._handle: int | None = None
        self._path, self._process = folder / name, os.getpid()
        folder.mkdir(parents=True, exist_ok=True)
        while self._handle is None:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(handle)
            except OSError as error:
                writer = os.read(handle, 300).decode(errors="replace")
                os.close(handle)
                if error.errno in _BUSY:
                    raise _busy(folder, writer) from error
                return
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(self._path)):
                    self._handle = handle
            if self._handle is None:  # the writer before has just ended, and removed the file that was opened here
                os.close(handle)
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{self._process} {socket.gethostname()}".encode())

    def __del__(self) -> None:
        if self._handle is not None and self._process == os.getpid():  # not in a fork, which has no lock
            with suppress(OSError):  # on Windows an open file stays
                self._path.unlink()
            os.close(self._handle)


_HELD: WeakValueDictionary[tuple[int, Path], _Held] = WeakValueDictionary()
"""By process, as a fork inherits the table and not the locks, and file."""


def _busy(folder: Path, writer: str) -> LionError:
    process, _, host = writer.partition(" ")
    by = f"process {process} on {host}" if host else "another process"
    return LionError(f"{folder} is being written by {by}; wait until it ends, or name another folder")
