"""A file is the old or the new one, whatever happens in between."""

import errno
import json
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from lion.atomic import atomic_directory, atomic_write, atomic_write_json, check_writable, no_space_left


def test_writes_text_bytes_and_json(tmp_path):
    atomic_write(tmp_path / "new" / "a.txt", "naïve")
    atomic_write(tmp_path / "b.bin", b"\x00\xff")
    atomic_write_json(tmp_path / "c.json", {"x": [1, "ü"]})
    assert (tmp_path / "new" / "a.txt").read_bytes() == "naïve".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8")) == {"x": [1, "ü"]}


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, broken):
    target = tmp_path / "a.txt"
    atomic_write(target, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(target, "new")
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EFBIG, "File too large"),  # ulimit -f
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    SafetensorError("Error while serializing: I/O error: File too large (os error 27)"),
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_names_the_target(tmp_path, error, monkeypatch):
    def full(*_):
        raise error

    with pytest.raises(OSError) as raised, atomic_directory(tmp_path / "folder"):
        full()
    assert no_space_left(raised.value) and raised.value.filename == str(tmp_path / "folder")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError) as raised:
        atomic_write(tmp_path / "file", "text")
    assert no_space_left(raised.value) and raised.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_are_no_full_disk():
    errors = [OSError(errno.EACCES, "No space left on device"), ValueError("a bug"), KeyError(28), MemoryError()]
    assert not any(map(no_space_left, errors))


@pytest.mark.parametrize("write", [lambda path: atomic_write(path, "text"), lambda path: enter(atomic_directory(path))])
def test_an_error_names_the_target_and_not_the_file_beside_it(tmp_path, monkeypatch, write):
    def refused(self, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", lambda self, **given: None if given else refused(self))
    for name in ("write_bytes", "unlink"):
        monkeypatch.setattr(Path, name, lambda self, *_, **given: refused(self))
    with pytest.raises(PermissionError) as raised:
        write(tmp_path / "new")
    assert raised.value.filename == str(tmp_path / "new") and list(tmp_path.iterdir()) == []


def test_errors_of_other_files_stay_as_they_are(tmp_path):
    for error in (FileNotFoundError(errno.ENOENT, "gone", "other"), ConnectionError("broken")):
        with pytest.raises(type(error)) as raised, atomic_directory(tmp_path / "folder"):
            raise error
        assert raised.value is error


def test_whether_something_could_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path / "new", tmp_path / "deep" / "new", tmp_path / "file"):
        check_writable(path)
    with pytest.raises(NotADirectoryError) as raised:
        check_writable(tmp_path / "file" / "deep" / "new")
    assert raised.value.filename == str(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError) as raised:
        check_writable(tmp_path / "deep" / "new")
    assert raised.value.filename == str(tmp_path) and [entry.name for entry in tmp_path.iterdir()] == ["file"]


def enter(folder):
    with folder:
        pass


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / ("狮" * 83 + ".json")  # 254 bytes of 255
    atomic_write(path, "new")
    assert path.read_text() == "new" and len(list(tmp_path.iterdir())) == 1


def test_json_that_is_no_json_writes_nothing(tmp_path):
    with pytest.raises(ValueError):
        atomic_write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_directory_is_replaced_whole(tmp_path):
    target = tmp_path / "out"
    for text in ("one", "two"):
        with atomic_directory(target) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / f"{text}.txt").write_text(text)
    assert [path.name for path in target.rglob("*.txt")] == ["two.txt"]
    with pytest.raises(KeyboardInterrupt), atomic_directory(target) as folder:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in target.rglob("*.txt")] == ["two.txt"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
