"""Scores on disk: exact, shared between processes, and unharmed by damaged files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lion.errors import LionError
from lion.tagging import TagCache

TAGGER, PICTURE = "0f" * 16, "ab" * 16


def only_file(folder: Path) -> Path:
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


def test_scores_come_back_bit_for_bit(tmp_path: Path) -> None:
    cache, scores = TagCache(tmp_path / "cache"), torch.rand(4585)
    assert cache.read(TAGGER, PICTURE, 4585) is None
    cache.write(TAGGER, PICTURE, scores)
    found = TagCache(tmp_path / "cache").read(TAGGER, PICTURE, 4585)
    assert found is not None and torch.equal(found, scores)
    assert cache.read(TAGGER, "cd" * 16, 4585) is None
    assert cache.read("1e" * 16, PICTURE, 4585) is None


@pytest.mark.parametrize("damage", [b"", b"short", "flip", "longer", "shorter"])
def test_a_damaged_file_counts_as_absent_and_is_written_anew(tmp_path: Path, damage: bytes | str) -> None:
    cache, scores = TagCache(tmp_path), torch.rand(20)
    cache.write(TAGGER, PICTURE, scores)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    damaged = {"flip": whole[:-1] + bytes([whole[-1] ^ 1]), "longer": whole + b"\0" * 4, "shorter": whole[:-4]}
    path.write_bytes(damaged[damage] if isinstance(damage, str) else damage)
    assert cache.read(TAGGER, PICTURE, 20) is None
    cache.write(TAGGER, PICTURE, scores)
    assert path.read_bytes() == whole


def test_another_number_of_tags_is_not_mistaken_for_these(tmp_path: Path) -> None:
    cache = TagCache(tmp_path)
    cache.write(TAGGER, PICTURE, torch.rand(20))
    assert cache.read(TAGGER, PICTURE, 21) is None


def test_writers_of_the_same_picture_never_leave_half_a_file(tmp_path: Path) -> None:
    """Threads stand for processes here: what counts is that the file system sees interleaved writes and reads."""

    def hammer(value: float) -> None:
        cache = TagCache(tmp_path)
        for _ in range(50):
            cache.write(TAGGER, PICTURE, torch.full((500,), value))
            found = cache.read(TAGGER, PICTURE, 500)
            assert found is not None and (found == found[0]).all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hammer, (0.125, 0.25, 0.5, 0.75)))
    assert only_file(tmp_path)  # and no temporary file is left


def test_a_file_is_no_cache_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LionError, match="is a file; name a folder"):
        TagCache(tmp_path / "file")
