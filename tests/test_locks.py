"""One writer a folder: refused while another writes, free as soon as that one has ended, however it ended."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lion.errors import LionError
from lion.locks import LOCK, FolderLock

HOLD = """import sys; from pathlib import Path; from lion.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]), sys.argv[2])"""
SAY_AND_WAIT = "print(flush=True); sys.stdin.read()"


def holder(folder, name=LOCK, *more):
    """A process that holds the folder's lock until its stdin is closed."""
    code = "\n".join([HOLD, *more, SAY_AND_WAIT])
    started = subprocess.Popen(
        [sys.executable, "-c", code, folder, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert started.stdout.readline() == b"\n"
    return started


def test_the_second_writer_is_told_who_writes_and_the_next_may(tmp_path):
    folder = tmp_path / "new" / "run"
    with holder(folder) as first:
        with pytest.raises(LionError) as error:
            FolderLock(folder)
        by = f"process {first.pid} on {socket.gethostname()}"
        assert str(error.value) == f"{folder} is being written by {by}; wait until it ends, or name another folder"
        first.stdin.close()
        first.wait()
    with FolderLock(folder):
        assert (folder / LOCK).read_text().startswith(f"{os.getpid()} ")
    assert list(folder.iterdir()) == []


def test_a_lock_dies_with_its_process_although_its_workers_live(tmp_path):
    """A worker that was forked from it may take a while to notice."""
    with holder(
        tmp_path, LOCK, "import os", "worker = os.fork()", "worker or (sys.stdin.read(), os._exit(0))"
    ) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert (tmp_path / LOCK).is_file(), "killed, so it could not tidy up"
        FolderLock(tmp_path).release()
        first.stdin.close()  # ends the worker


def test_a_fork_that_ends_leaves_its_parent_s_lock(tmp_path):
    with holder(
        tmp_path, LOCK, "import os", "worker = os.fork()", "worker or sys.exit()", "os.waitpid(worker, 0)"
    ) as first:
        with pytest.raises(LionError, match=f"process {first.pid} on"):
            FolderLock(tmp_path)
        first.stdin.close()


def test_a_process_is_one_writer_until_all_of_it_has_let_go(tmp_path):
    """A notebook makes its evaluation anew while the name still holds the one before."""
    first, second = FolderLock(tmp_path), FolderLock(tmp_path / ".." / tmp_path.name)
    first.release()
    first.release()
    try_elsewhere = [sys.executable, "-c", HOLD, tmp_path, LOCK]
    refused = subprocess.run(try_elsewhere, capture_output=True, text=True)
    assert f"is being written by process {os.getpid()} on" in refused.stderr
    del second
    assert subprocess.run(try_elsewhere).returncode == 0 and list(tmp_path.iterdir()) == []


def test_a_name_of_its_own_locks_apart(tmp_path):
    with holder(tmp_path) as other, FolderLock(tmp_path, ".mine.lock"):
        other.stdin.close()


@pytest.mark.parametrize("text", ["", "12", "99999999 elsewhere", "\0\xff"])
def test_what_a_killed_process_left_blocks_nobody(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    FolderLock(tmp_path).release()


def test_a_file_removed_by_the_writer_before_is_no_lock(tmp_path, monkeypatch):
    import lion.locks as locks

    lock, tries = locks._lock, []

    def just_removed(handle):
        lock(handle)
        tries.append(handle)
        if len(tries) == 1:
            (tmp_path / LOCK).unlink()
        if len(tries) == 2:  # another one has made it anew
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()

    monkeypatch.setattr(locks, "_lock", just_removed)
    with FolderLock(tmp_path):
        assert len(tries) == 3 and (tmp_path / LOCK).read_text()


def test_a_file_system_without_locks_refuses_nobody(tmp_path, monkeypatch):
    def unsupported(handle):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("lion.locks._lock", unsupported)
    with FolderLock(tmp_path), FolderLock(tmp_path):
        pass


def test_a_folder_that_cannot_be_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        FolderLock(Path(tmp_path / "file" / "run"))
