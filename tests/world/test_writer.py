"""Writing the world: complete, repeatable, resumable, careful with what is there, and read by `datasets`."""

import json

import pytest
from PIL import Image

from lion.errors import LionError
from lion.world import render, scene
from lion.world.writer import write
from tests.test_locks import holder


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_everything_is_written(tmp_path):
    done = []
    root = write(tmp_path / "out", 5, seed=3, split="test", pixels=64, progress=lambda: done.append(1))
    assert len(done) == 5
    rows = [json.loads(line) for line in (root / "test" / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == [f"{index:06d}.png" for index in range(5)]
    for index, row in enumerate(rows):
        now = scene("test", index, seed=3)
        assert Image.open(root / "test" / row["file_name"]).tobytes() == render(now, 64).tobytes()
        assert row["objects"]["category"] == [obj.category for obj in now.objects]
        assert row["objects"]["bbox"] == [list(obj.box.to_pixel(64, 64).xywh()) for obj in now.objects]
        assert {one["kind"] for one in row["pope"]} == {"pope-random", "pope-popular", "pope-adversarial"}
        assert row["captions"] and row["questions"] and row["expressions"] and row["dialog"] and row["tags"]
    coco = json.loads((root / "annotations" / "test.json").read_text())
    assert len(coco["images"]) == 5
    assert len(coco["annotations"]) == sum(len(row["objects"]["bbox"]) for row in rows)
    assert [one["id"] for one in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    assert all((root / one["file_name"]).exists() for one in coco["images"])


def test_one_writer_a_split(tmp_path):
    write(tmp_path, 1, pixels=64)
    with holder(tmp_path / "train") as other:
        with pytest.raises(LionError, match=f"train is being written by process {other.pid} on"):
            write(tmp_path, 1, pixels=64)
        write(tmp_path, 1, split="val", pixels=64)
        other.stdin.close()
    assert not list(tmp_path.rglob(".*"))


def test_a_stopped_run_goes_on(tmp_path):
    whole = write(tmp_path / "whole", 6, pixels=64)

    class Stop(Exception):
        pass

    calls = iter(range(3))

    def stop():
        if next(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        write(tmp_path / "part", 6, pixels=64, progress=stop)
    kept = (tmp_path / "part" / "train" / "000001.png").stat().st_mtime_ns
    assert not (tmp_path / "part" / "train" / "metadata.jsonl").exists()
    part = write(tmp_path / "part", 6, pixels=64)
    assert (part / "train" / "000001.png").stat().st_mtime_ns == kept
    assert files(part) == files(whole)


def test_an_empty_picture_is_drawn_again(tmp_path):
    whole = files(write(tmp_path, 2, pixels=64))
    (tmp_path / "train" / "000001.png").write_bytes(b"")
    assert files(write(tmp_path, 2, pixels=64)) == whole


def test_splits_share_a_folder(tmp_path):
    write(tmp_path, 2, split="train", pixels=64)
    write(tmp_path, 2, split="val", pixels=64)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"train", "val", "annotations"}


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LionError, match="not empty"):
        write(tmp_path, 2, pixels=64)
    assert files(tmp_path) == {"mine.txt": b"mine"}
    with pytest.raises(LionError, match="is a file"):
        write(tmp_path / "mine.txt", 2, pixels=64)
    other = write(tmp_path / "out", 2, pixels=64)
    with pytest.raises(LionError, match="seed=0"):
        write(other, 2, seed=1, pixels=64)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"split": "dev"}, {"pixels": 9}])
def test_wrong_arguments_write_nothing(tmp_path, wrong):
    with pytest.raises(LionError):
        write(tmp_path / "out", **{"size": 2, **wrong})
    assert not (tmp_path / "out").exists()


def test_datasets_reads_it(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    write(tmp_path / "out", 3, split="train", pixels=64)
    write(tmp_path / "out", 2, split="val", pixels=64)
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 3, "validation": 2}
    row = loaded["train"][0]
    assert row["image"].size == (64, 64)
    assert row["captions"] and row["objects"]["bbox"]


def test_a_damaged_note_is_an_error_that_says_so(tmp_path):
    write(tmp_path, 2, split="test", pixels=64)
    (tmp_path / "world-test.json").write_text("{")
    with pytest.raises(LionError, match=r"world-test\.json is damaged; choose another folder"):
        write(tmp_path, 2, split="test", pixels=64)
