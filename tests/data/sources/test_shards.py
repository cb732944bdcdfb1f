"""The same data as files, tars and parquet give equal samples; what is damaged is named, and passed over."""

import io
import json
import tarfile

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from lion.data.archives import InParquet, InTar
from lion.data.dataset import BadRecord
from lion.data.mixture import EpochMixture
from lion.data.pack import SUMS, check, pack
from lion.data.record_source import Augment, RecordSource
from lion.data.sources import jsonl, open_index, shards
from lion.errors import LionError
from lion.images import open_image
from tests.annotate.conftest import BrokenOff, png, write_tar

ROWS = [
    {"image": "0.png", "caption": "a ü thing", "tags": ["a", "b"]},
    {"image": "0.png", "question": "what?", "answer": "this"},
    {"image": "1.png", "question": "what?", "answer": "that", "history": [["is it?", "yes"]]},
    {"image": "2.png", "expression": "the dog", "box": [0.1, 0.2, 0.5, 0.9]},
    {"image": "3.png", "expression": "the cat", "box": [0.3, 0.2, 0.5, 0.4], "task": "reg"},
    {"image": "0.png", "caption": "again"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(png(number))
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return folder / "own.jsonl"


def as_parquet(own, path, struct=False):
    rows = [json.loads(line) for line in own.read_text().splitlines()]
    pictures = [(own.parent / row.pop("image")).read_bytes() for row in rows]
    keys = {key for row in rows for key in row}
    columns = {key: [row.get(key) for row in rows] for key in sorted(keys)}
    image = [{"bytes": data, "path": None} for data in pictures] if struct else pictures
    parquet.write_table(arrow.table({"image": image, **columns, "width": [64] * len(rows)}), path, row_group_size=2)


def test_files_tars_and_parquet_give_equal_samples(own, tmp_path):
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=20_000)
    (tmp_path / "tables").mkdir()
    as_parquet(own, tmp_path / "tables/a.parquet")
    (tmp_path / "structs").mkdir()
    as_parquet(own, tmp_path / "structs/a.parquet", struct=True)
    forms = [open_index("jsonl", own)]
    forms += [open_index("shards", tmp_path / name) for name in ("tars", "tables", "structs")]
    seen = []
    for dataset in forms:
        source = RecordSource(dataset, augment=Augment(0.5, 0.3))
        samples, bad = EpochMixture([(source, 1)], ("s", 0), 40, 1).batch(3, 0, 40)
        assert not bad
        seen.append([
            (each.task, each.instruction, each.answer, each.tags, each.meta, np.asarray(each.image).tobytes())
            for each in samples
        ])  # fmt: skip
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert len({one[:3] for one in seen[0]}) > 10


def test_a_packed_folder_is_read_as_webdataset_reads_it(own, tmp_path):
    packed = pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=1)
    assert [shard["name"] for shard in packed.shards] == [
        "00000.tar",
        "00001.tar",
        "00002.tar",
        "00003.tar",
        "00004.tar",
    ]
    assert (packed.total("samples"), packed.total("records")) == (5, 6)
    with tarfile.open(tmp_path / "tars/00000.tar") as archive:
        names = archive.getnames()
        assert names == ["00000000000.png", "00000000000.json"]
        assert archive.extractfile(names[0]).read() == png(0)
        rows = json.load(archive.extractfile(names[1]))
    assert rows == [{key: row[key] for key in row if key != "image"} for row in ROWS[:2]]
    pack(jsonl.read(own).records, tmp_path / "again", shard_bytes=1)
    assert (tmp_path / "tars" / SUMS).read_text() == (tmp_path / "again" / SUMS).read_text()
    with pytest.raises(LionError, match="is there already"):
        pack(jsonl.read(own).records, tmp_path / "again", shard_bytes=1)


def test_tars_of_others(tmp_path):
    """img2dataset's: the text in a .txt, and a .json with the caption among much else."""
    about = {"caption": "a dog", "url": "http://x", "width": 3, "status": None}
    members = [
        ("a.png", png(0)),
        ("a.txt", b"a cat\n"),
        ("b.JPG", png(1)),
        ("b.cls", b"7"),
        ("b.json", json.dumps(about)),
    ]
    path = write_tar(tmp_path / "x.tar", [(n, d if isinstance(d, bytes) else d.encode()) for n, d in members])
    records = open_index("shards", path).records
    assert [(one.id, one.answers, type(one.image)) for one in records] == [
        ("x.tar::a", ("a cat",), InTar), ("x.tar::b", ("a dog",), InTar)
    ]  # fmt: skip
    assert records[1].image.read() == png(1) and records[1].image.name == f"{path}::b.JPG"
    assert open_image(records[1].image).size == (64, 48)


def test_what_is_left_out_of_a_tar_is_named(tmp_path):
    members = [
        *[("a.png", png(0)), ("a.txt", "caf\xe9".encode("latin-1"))],
        *[("b.png", png(1)), ("b.json", b'{"caption": "one", "caption": "two"}')],
        *[("c.left.png", png(2)), ("c.right.png", png(3)), ("c.txt", b"which?")],
        *[("d.png", png(0)), ("e.txt", b"of what?")],
        *[("f.png", png(0)), ("f.txt", b"\xef\xbb\xbffine\r\n")],
    ]
    path = write_tar(tmp_path / "x.tar", members)
    dataset = shards.read(str(path), skip_bad=True)
    assert [(one.id, one.answers) for one in dataset.records] == [("x.tar::f", ("fine",))]
    says = ["a.txt: 'utf-8' codec", "'caption' is there twice", "it has 2 pictures", "no text beside it", "no picture"]
    for letter, reason, (ident, found) in zip("abcde", says, dataset.skipped, strict=True):
        assert ident == f"x.tar::{letter}" and reason in found
    with pytest.raises(BadRecord, match=r"sample a: a\.txt: 'utf-8' codec"):
        shards.read(str(path))


def test_a_damaged_archive_is_named_and_the_others_are_read(own, tmp_path):
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=1)
    first, second, third = (tmp_path / f"tars/0000{n}.tar" for n in range(3))
    first.write_bytes(first.read_bytes()[:5000])
    second.write_bytes(b"\x07" * 2000)
    (tmp_path / "tars/x.parquet").write_bytes(b"PAR1 nothing")
    dataset = open_index("shards", tmp_path / "tars")
    assert [one.id for one in dataset.records] == [f"0000{n}.tar::0000{n}000000" for n in (2, 3, 4)]
    assert [ident for ident, _ in dataset.skipped] == [str(first), str(second), str(tmp_path / "tars/x.parquet")]
    assert all("cannot be read beyond sample 0" in reason for _, reason in dataset.skipped)
    for broken in (third, tmp_path / "tars/00003.tar", tmp_path / "tars/00004.tar"):
        broken.unlink()
    with pytest.raises(
        LionError, match=r"no usable record in its archives; the first: .*00000\.tar: it cannot be read"
    ):
        open_index("shards", tmp_path / "tars")


def test_what_is_damaged_after_the_index_was_made_is_counted_named_and_replaced(own, tmp_path):
    own.write_text("\n".join(f'{{"image": "{number % 4}.png", "caption": "a"}}' for number in range(5)))
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=1)
    dataset = open_index("shards", tmp_path / "tars")
    gone, cut, noise = (tmp_path / f"tars/0000{n}.tar" for n in (1, 2, 3))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:700])
    noise.write_bytes(noise.read_bytes()[:600] + b"\x01" * 20_000)
    samples, bad = EpochMixture([(RecordSource(dataset), 1)], ("s", 0), 50, 1).batch(0, 0, 50)
    assert len(samples) == 50 and {each.id.split("::")[0] for each in samples} == {"tars:00000.tar", "tars:00004.tar"}
    reasons = {each.id.split("::")[0]: each.reason for each in bad}
    assert "there is no such file" in reasons["tars:00001.tar"] and "shorter than it was" in reasons["tars:00002.tar"]
    assert f"{noise}::00003000000.png cannot be decoded" in reasons["tars:00003.tar"]


def test_a_bad_sample_stops_the_reading_or_is_skipped_by_name(tmp_path):
    members = [("a.png", png(0)), ("a.json", b'{"question": "no answer"}'), ("b.png", png(1)), ("b.json", b"{"),
               ("c.png", png(2)), ("c.json", b'[{"caption": "good"}, 7]')]  # fmt: skip
    path = write_tar(tmp_path / "x.tar", members)
    with pytest.raises(BadRecord, match=r"x\.tar sample a: needs caption, or question and answer"):
        shards.read(str(path))
    dataset = shards.read(str(path), skip_bad=True)
    assert [one.answers for one in dataset.records] == [("good",)]
    assert [ident for ident, _ in dataset.skipped] == ["x.tar::a", "x.tar::b", "x.tar::c:1"]


def test_an_index_follows_its_archives(own, tmp_path):
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=1)
    assert len(open_index("shards", tmp_path / "tars").records) == 6
    (tmp_path / "tars/00001.tar").unlink()
    assert len(open_index("shards", tmp_path / "tars").records) == 5
    for name, problem in (("none", "holds no .tar or .parquet files"), ("x.tar.gz", "is compressed")):
        (tmp_path / "x.tar.gz").write_bytes(b"")
        with pytest.raises(LionError, match=problem):
            open_index("shards", tmp_path / name)


def test_archives_behind_a_url(own, tmp_path):
    import fsspec

    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=20_000)
    as_parquet(own, tmp_path / "tars/x.parquet")
    memory = fsspec.filesystem("memory")
    for path in (tmp_path / "tars").iterdir():
        memory.pipe(f"/bucket/{path.name}", path.read_bytes())
    try:
        dataset = open_index("shards", "memory://bucket")
        assert len(dataset.records) == 12
        assert {type(one.image) for one in dataset.records} == {InTar, InParquet}
        local = open_index("shards", tmp_path / "tars").records
        assert [a.image.read() for a in dataset.records] == [b.image.read() for b in local]
        memory.rm("/bucket/x.parquet")
        assert len(open_index("shards", "memory://bucket").records) == 6
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_connection_that_ends_leaves_no_index_behind(own, tmp_path, monkeypatch):
    """It would be kept, and lack what follows, for ever."""
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=10**9)
    data = (tmp_path / "tars/00000.tar").read_bytes()
    ends = [8_000, 2 * len(data)]
    monkeypatch.setattr(shards, "find", lambda path: ["s3://bucket/x.tar"])
    monkeypatch.setattr(shards, "stamps", lambda path: {"x": 1})
    monkeypatch.setattr(shards, "open_file", lambda path: BrokenOff(data, ends.pop(0)))
    with pytest.raises(LionError, match=r"s3://bucket/x\.tar: reading broke off \(Connection lost\); start it again"):
        open_index("shards", "s3://bucket")
    assert len(open_index("shards", "s3://bucket").records) == 6


def test_the_check_names_everything_that_is_wrong(own, tmp_path):
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=1)
    assert list(check(open_index("shards", tmp_path / "tars"), tmp_path / "tars")) == []
    broken = tmp_path / "tars/00002.tar"
    data = bytearray(broken.read_bytes())
    data[600:8000] = bytes(7400)
    broken.write_bytes(data)
    (tmp_path / "tars/00004.tar").unlink()
    found = dict(check(open_index("shards", tmp_path / "tars"), tmp_path / "tars"))
    assert set(found) == {"00002.tar", "00004.tar", "00002.tar::00002000000"}
    assert "copy it again" in found["00002.tar"] and "cannot be decoded" in found["00002.tar::00002000000"]
    (own.parent / "1.png").write_bytes(b"text")
    seen = []
    found = list(check(jsonl.read(own), own.parent, seen.append))
    assert [ident for ident, _ in found] == ["3"] and sum(seen) == 6


def test_a_picture_that_cannot_be_packed_is_named(own, tmp_path):
    records = jsonl.read(own).records
    (own.parent / "1.png").unlink()
    packed = pack(records, tmp_path / "tars", shard_bytes=10**9)
    assert packed.skipped[0][0] == "3" and packed.total("records") == 5
    assert json.loads((tmp_path / "tars" / SUMS).read_text())["skipped"][0][0] == "3"
    embedded = tmp_path / "embedded.jsonl"
    import base64

    embedded.write_text(json.dumps({"image": f"data:;base64,{base64.b64encode(png(3)).decode()}", "caption": "x"}))
    pack(jsonl.read(embedded).records, tmp_path / "bytes", shard_bytes=10**9)
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "bytes/00000.tar").read_bytes())) as archive:
        assert archive.getnames()[0].endswith(".png")
