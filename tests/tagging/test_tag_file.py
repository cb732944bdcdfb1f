"""A file of tags: what is written is read, pictures are known by what is seen, and damage is one line."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from lion.errors import LionError
from lion.images import image_hash
from lion.tagging import TagFile, Tagger, TagRow, write_tags
from lion.tagging.tag_file import FORMATS, check_format

RED, BLUE, GREY = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "grey"))
ROWS = [
    TagRow("red.png", image_hash(RED), ("ball", "crème brûlée"), "ram"),
    TagRow("blue.png", image_hash(BLUE), (), "ram"),
]


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "new" / f"tags{request.param}"


def test_what_is_written_is_read(path: Path) -> None:
    write_tags(path, ROWS)
    found: Tagger = TagFile.read(path)
    assert found([BLUE, RED, RED.convert("RGBA")]) == [[], ["ball", "crème brûlée"], ["ball", "crème brûlée"]]
    assert len(TagFile.read(str(path))) == 2
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_names_that_break_lines_or_are_no_text(path: Path) -> None:
    write_tags(path, [TagRow("a\u2028b\x85c.png", image_hash(RED), ("ball",), "r\udcffm")])
    assert TagFile.read(path)([RED]) == [["ball"]]


def test_a_folder_is_no_place_for_it(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(LionError, match="is a folder; name a file"):
        check_format(path)


def test_a_picture_that_is_not_in_the_file(path: Path) -> None:
    write_tags(path, ROWS)
    with pytest.raises(LionError, match="has no tags of this picture; tag it too"):
        TagFile.read(path)([RED, GREY])


def test_other_programs_read_it(tmp_path: Path) -> None:
    import pyarrow.parquet

    for suffix in FORMATS:
        write_tags(tmp_path / f"tags{suffix}", ROWS)
    lines = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text().splitlines()]
    assert lines == pyarrow.parquet.read_table(tmp_path / "tags.parquet").to_pylist()
    assert lines[0] == {
        "image": "red.png", "hash": image_hash(RED), "tags": ["ball", "crème brûlée"], "model": "ram",
    }  # fmt: skip


@pytest.mark.parametrize(
    "damage", [b"", b"PAR1 or not", b"\xff\xfe", b'{"hash": "a"}\n', b'{"hash": "a", "tags": "b"}\n', b"[]\n"]
)
def test_damaged_files_are_one_line(path: Path, damage: bytes) -> None:
    if path.suffix == ".jsonl" and not damage:
        return  # no line is no picture
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(LionError, match="is no whole file of tags"):
        TagFile.read(path)


def test_cut_off(path: Path) -> None:
    write_tags(path, ROWS)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LionError, match="is no whole file of tags"):
        TagFile.read(path)


def test_places_and_formats(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LionError, match="there is no such file; write one with lion tag"):
        TagFile.read(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LionError, match="cannot write"):
        write_tags(tmp_path / "file" / path.name, ROWS)
    for use in (TagFile.read, lambda name: write_tags(name, ROWS)):
        with pytest.raises(LionError, match=r"ends in \.parquet or \.jsonl"):
            use(tmp_path / "tags.csv")


def test_without_pyarrow_parquet_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for use in (TagFile.read, lambda name: write_tags(name, ROWS)):
        with pytest.raises(LionError, match=r"pip install pyarrow, or name a \.jsonl"):
            use(tmp_path / "tags.parquet")
    write_tags(tmp_path / "tags.jsonl", ROWS)
    assert len(TagFile.read(tmp_path / "tags.jsonl")) == 2


def test_a_picture_whose_name_is_no_text(path: Path) -> None:
    write_tags(path, [TagRow("caf\udce9.png", image_hash(RED), ("ball",), "ram")])
    assert TagFile.read(path)([RED]) == [["ball"]]


def test_a_picture_twice_is_one_where_its_tags_are(path: Path) -> None:
    write_tags(path, [ROWS[0], TagRow("copy.png", ROWS[0].hash, ROWS[0].tags, "ram")])
    assert len(TagFile.read(path)) == 1
    write_tags(path, [ROWS[0], TagRow("copy.png", ROWS[0].hash, ("cat",), "other")])
    with pytest.raises(
        LionError, match=rf"{path.name}: it gives the picture {ROWS[0].hash} twice, with different tags"
    ):
        TagFile.read(path)


def test_a_key_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "tags.jsonl").write_text('{"hash": "a", "tags": ["x"], "tags": ["y"]}\n')
    with pytest.raises(LionError, match=r"tags\.jsonl: the key 'tags' is there twice"):
        TagFile.read(tmp_path / "tags.jsonl")


def test_a_file_from_windows_is_read_and_a_blank_tag_is_none(tmp_path: Path) -> None:
    row = '{"hash": "a", "tags": ["x"]}\r\n'
    (tmp_path / "tags.jsonl").write_bytes(("\ufeff" + row).encode())
    assert TagFile.read(tmp_path / "tags.jsonl").words == {"x"}
    (tmp_path / "tags.jsonl").write_text(row.replace('"x"', '"x", " "'))
    with pytest.raises(LionError, match="no whole file of tags"):
        TagFile.read(tmp_path / "tags.jsonl")


def test_the_home_folder_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tags("~/tags.jsonl", ROWS)
    assert len(TagFile.read("~/tags.jsonl")) == 2 == len(TagFile.read(tmp_path / "tags.jsonl"))
