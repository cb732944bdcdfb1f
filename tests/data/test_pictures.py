"""The cache of pictures: drawn once, in blocks, and told as it goes on."""

import numpy as np
import pytest

from lion.data import pictures
from lion.data.pictures import Pictures


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
