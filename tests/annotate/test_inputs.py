"""Pictures and archives found and cut."""

import os

import fsspec
import pytest

from lion.annotate.inputs import Shard, cut, digest, find
from lion.errors import LionError
from tests.annotate.conftest import png


def names(given):
    return [path.rpartition("/")[2] for path in find(str(given))[0]]


def test_a_folder_is_sorted_and_says_what_it_leaves_out(folder):
    found, note = find(str(folder))
    assert found == sorted(found) and all(os.path.isabs(path) for path in found)
    assert names(folder) == [
        *(f"{number}.png" for number in range(5)), "cut.png", "empty.jpg", "gone.png", "héllo 世界.png", "twin.png",
        "text.jpg",
    ]  # fmt: skip
    assert note == f"{folder}: left out, as hidden or no pictures by their names: notes.md"


def test_patterns_lists_braces_and_single_files(folder, tmp_path):
    assert names(folder / "[0-2].png") == ["0.png", "1.png", "2.png"]
    assert names(folder / "**" / "t*.png") == ["twin.png"]
    (folder / "round").symlink_to(folder)
    assert names(folder / "**" / "t*.png") == ["twin.png"]
    (folder / "round").unlink()
    assert names(folder / "{1..3}.png") == ["1.png", "2.png", "3.png"]
    assert names(folder / "{0,4}.png") == ["0.png", "4.png"]
    (tmp_path / "list.txt").write_text(f"in/1.png\r\n\n{folder}/0.png\nin/1.png\nin/no such.png\na.tar\n")
    assert names(tmp_path / "list.txt") == ["1.png", "0.png", "1.png", "no such.png", "a.tar"]
    (folder / "{a,b}.png").write_bytes(png())
    assert names(folder / "{a,b}.png") == ["{a,b}.png"]
    for number in range(8, 11):
        (tmp_path / f"{number:03}.tar").touch()
    assert names(tmp_path / "{008..010}.tar") == ["008.tar", "009.tar", "010.tar"]


@pytest.mark.parametrize("given", ["nothing", "none*.png", "{0..3}.tar"])
def test_nothing_there(tmp_path, given):
    with pytest.raises(LionError, match=r"no such file|holds no pictures"):
        find(str(tmp_path / given))


def test_nothing_in_it(tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    (tmp_path / "empty").mkdir()
    for given in ("list.txt", "empty"):
        with pytest.raises(LionError, match="holds no pictures"):
            find(str(tmp_path / given))


def test_the_cut_is_a_function_of_the_list():
    shards = cut(["a.png", "b.tar", "c.png", "d.parquet", "e.png"], 2)
    assert shards == [
        Shard("files", ("a.png", "c.png")),
        Shard("files", ("e.png",)),
        Shard("tar", ("b.tar",)),
        Shard("parquet", ("d.parquet",)),
    ]
    assert [shard.pictures for shard in shards] == [2, 1, None, None]
    assert digest(shards) == digest(cut(["a.png", "b.tar", "c.png", "d.parquet", "e.png"], 2))
    assert digest(shards) != digest(shards[1:])


def test_urls():
    system = fsspec.filesystem("memory")
    system.pipe({"/in/b.png": png(1), "/in/x/a.tar": b"", "/in/list.txt": b"b.png\nmemory://in/x/a.tar\n"})
    try:
        assert find("memory://in")[0] == ["memory:///in/b.png", "memory:///in/x/a.tar"]
        assert names("memory://in/*.png") == ["b.png"]
        assert find("memory://in/list.txt")[0] == ["memory://in/b.png", "memory://in/x/a.tar"]
        with pytest.raises(LionError, match="nosuch"):
            find("nosuch://in/a.png*")
    finally:
        system.rm("/in", recursive=True)
