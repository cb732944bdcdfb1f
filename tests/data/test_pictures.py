"""The cache of pictures: drawn once, in blocks, and told as it goes on."""

import time
from functools import partial

import numpy as np
import pytest

from lion.data import pictures
from lion.data.pictures import Pictures
from lion.errors import LionError


def draw(number):
    return np.full((2, 2, 3), number, np.uint8)


@pytest.mark.parametrize(("cores", "count"), [(1, 3), (8, 3), (1, 9), (2, 9)])
def test_progress_is_told_after_each_block(tmp_path, monkeypatch, cores, count):
    monkeypatch.setenv("LION_CACHE", str(tmp_path))
    monkeypatch.setattr(pictures, "BLOCK", 4)
    monkeypatch.setattr(pictures.os, "cpu_count", lambda: cores)
    told = []
    pool = Pictures("some", count, draw)
    pool.prepare(lambda *progress: told.append(progress))
    blocks = -(-count // 4)
    assert told == [("drawing pictures", 4 * done, 4 * blocks) for done in range(1, blocks + 1)]
    assert [pool[number].max() for number in range(count)] == list(range(count))
    pool.prepare(lambda *progress: told.append(progress))
    assert len(told) == blocks


def test_a_cache_that_cannot_be_written_is_named_before_anything_is_drawn(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "file" / "lion"))
    with pytest.raises(LionError, match=r"cannot write the cache .*/file/lion: .*/file: .*; set LION_CACHE"):
        Pictures("some", 3, pytest.fail).prepare()


def test_a_failure_is_told_at_once_and_what_waits_is_not_drawn(tmp_path, monkeypatch):
    """Of 60,000 scenes all were drawn before the first one's error came out."""
    monkeypatch.setenv("LION_CACHE", str(tmp_path))
    monkeypatch.setattr(pictures, "BLOCK", 1)
    monkeypatch.setattr(pictures.os, "cpu_count", lambda: 2)
    with pytest.raises(ValueError, match="number 0"):
        Pictures("some", 1000, partial(_fails, tmp_path)).prepare()
    assert len(list(tmp_path.glob("drawn-*"))) < 500


def _fails(folder, number):
    if number == 0:
        raise ValueError("number 0")
    (folder / f"drawn-{number}").touch()
    time.sleep(0.002)
    return draw(number)
