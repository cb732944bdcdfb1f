"""Bytes out of files, parquet and tars; what cannot be read is a record with the reason."""

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from lion.annotate.inputs import Shard
from lion.annotate.records import records
from lion.data.archives import picture_column
from lion.errors import LionError
from tests.annotate.conftest import BrokenOff, png, write_tar


def contents(kind, path, column=None):
    """By key below the folder: the number of the picture, or the reason."""
    out = {}
    for record in records(Shard(kind, (str(path),)), column):
        key = record.key.removeprefix(str(path.parent) + "/")
        try:
            out[key] = next((n for n in range(9) if png(n) == record.load()), "other bytes")
        except LionError as error:
            out[key] = str(error)
    return out


def test_a_tar_of_samples(tmp_path):
    members = [("a/0.png", png(0)), ("a/0.json", b"{}"), ("1.txt", b"no picture"), ("2.JPG", b"text"), ("._x", b"")]
    path = write_tar(tmp_path / "x.tar", [*members, ("3.left.png", png(1)), ("3.right.png", png(2))], "4.png")
    assert contents("tar", path) == {
        "x.tar::a/0.png": 0,
        "x.tar::1": "no picture among its members (1.txt)",
        "x.tar::2.JPG": "other bytes",
        "x.tar::": "no picture among its members (._x)",
        "x.tar::3.left.png": 1,
        "x.tar::3.right.png": 2,
        "x.tar::4.png": "it is a link; put the picture itself into the tar",
    }


@pytest.mark.parametrize("keep", [10, 600, 2500, 9000, 12000, 0])
def test_a_tar_that_is_cut_off_says_so(tmp_path, keep):
    path = write_tar(tmp_path / "x.tar", [(f"{n}.png", png(n)) for n in range(3)])
    whole = path.read_bytes()
    end = 1 + max(index for index, byte in enumerate(whole) if byte)
    end += -end % 512  # of the last member, behind which two blocks of zeros end a tar
    path.write_bytes(whole[: keep or end])
    found = contents("tar", path)
    assert "cannot be read beyond picture" in found.pop("x.tar")
    assert list(found.values()) == list(range(len(found)))


def test_a_connection_that_ends_within_a_tar_is_named_with_its_own_fix(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "x.tar", [(f"{n}.png", png(n)) for n in range(3)])
    monkeypatch.setattr("lion.annotate.records.open_file", lambda source: BrokenOff(path.read_bytes(), 12_000))
    *read, last = records(Shard("tar", ("s3://bucket/x.tar",)))
    assert [one.load() for one in read] == [png(0)]
    with pytest.raises(LionError, match=r"beyond picture 1 \(Connection lost\): --retry-errors reads it again"):
        last.load()


def test_garbage_within_a_tar_is_no_end(tmp_path):
    path = write_tar(tmp_path / "x.tar", [(f"{n}.png", png(n)) for n in range(3)])
    data = bytearray(path.read_bytes())
    second = data.index(b"1.png\0")
    data[second : second + 512] = b"\x07" * 512
    path.write_bytes(data)
    found = contents("tar", path)
    assert found["x.tar::0.png"] == 0 and "beyond picture 1" in found["x.tar"] and len(found) == 2


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 100])
def test_no_tar(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    assert "beyond picture 0" in contents("tar", tmp_path / "x.tar")["x.tar"]


def test_a_compressed_tar(tmp_path):
    import gzip

    path = write_tar(tmp_path / "x.tar", [("0.png", png(0))])
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert contents("tar", tmp_path / "x.tar.gz") == {"x.tar.gz::0.png": 0}


def test_an_empty_tar_has_no_pictures(tmp_path):
    assert contents("tar", write_tar(tmp_path / "x.tar", [])) == {}


def test_parquet_of_hugging_face_images(tmp_path):
    (tmp_path / "beside.png").write_bytes(png(1))
    images = [
        {"bytes": png(0), "path": "a"},
        None,
        {"bytes": None, "path": "beside.png"},
        {"bytes": None, "path": None},
    ]
    parquet.write_table(arrow.table({"label": [1, 2, 3, 4], "image": images}), tmp_path / "x.parquet")
    null = "no picture in this row (null)"
    assert contents("parquet", tmp_path / "x.parquet") == {
        "x.parquet::0": 0,
        "x.parquet::1": null,
        "x.parquet::2": 1,
        "x.parquet::3": null,
    }


def test_parquet_of_bytes_and_of_paths(tmp_path):
    (tmp_path / "beside.png").write_bytes(png(1))
    table = arrow.table({"jpg": [png(0), None], "path": ["beside.png", str(tmp_path / "no.png")], "n": [1, 2]})
    parquet.write_table(table, tmp_path / "x.parquet")
    assert contents("parquet", tmp_path / "x.parquet")["x.parquet::0"] == 0
    found = contents("parquet", tmp_path / "x.parquet", "path")
    assert found["x.parquet::0"] == 1 and "no such file" in found["x.parquet::1"]
    assert "neither bytes nor a path" in contents("parquet", tmp_path / "x.parquet", "n")["x.parquet::0"]


def test_a_damaged_parquet_file_is_an_error_of_its_shard(tmp_path):
    parquet.write_table(arrow.table({"image": [png(n) for n in range(5)]}), tmp_path / "x.parquet")
    data = (tmp_path / "x.parquet").read_bytes()
    for damaged in (data[:100], data[100:], b""):
        (tmp_path / "x.parquet").write_bytes(damaged)
        assert "beyond picture 0" in contents("parquet", tmp_path / "x.parquet")["x.parquet"]


@pytest.mark.parametrize(
    ("columns", "column", "wanted"),
    [
        ({"a": [b"x"], "image": ["x"]}, None, "a"),
        ({"caption": ["x"], "file_name": ["x"]}, None, "file_name"),
        ({"image": [{"bytes": b"", "path": ""}], "raw": [b""]}, None, "image"),
        ({"a": [b"x"], "b": [b"x"]}, "b", "b"),
    ],
)
def test_the_column_with_pictures(columns, column, wanted):
    assert picture_column(arrow.table(columns).schema, "x.parquet", column) == wanted


@pytest.mark.parametrize(
    ("columns", "column", "message"),
    [
        ({"a": [b"x"], "b": [b"x"]}, None, "a and b may all be meant .*--column: a, b"),
        ({"n": [1], "text": ["x"]}, None, "none of its columns is known .*--column: n, text"),
        ({"n": [1]}, "image", "no column 'image'; it has n"),
    ],
)
def test_a_column_that_must_be_named(columns, column, message):
    with pytest.raises(LionError, match=message):
        picture_column(arrow.table(columns).schema, "x.parquet", column)
