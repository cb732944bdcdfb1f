"""The index: what was read comes back equal, it is used for as long as its files are what they were, and is small."""

import gc
import json
import os
import pickle
import warnings

import numpy as np
import pytest

from lion.boxes import Box
from lion.data import index
from lion.data.index import IndexedRecords, IndexWriter, rows_by_task, some, unchanged
from lion.data.sample import Record
from lion.data.sources import jsonl, open_index
from lion.data.writers import write_as
from lion.errors import LionError
from lion.prompts import Task
from tests import processes
from tests.annotate.conftest import png


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def own(tmp_path):
    """A file with every kind of line, and one that is bad."""
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    lines = [
        {"image": "0.png", "caption": "a thing — ü", "tags": ["a", "b"]},
        {"image": "1.png", "question": "what?", "answer": "this", "history": [["is it?", "yes"]]},
        {"image": "1.png", "question": "what?", "answer": "that"},
        {"image": "2.png", "expression": "the dog", "box": [0.1, 0.2, 0.3000000001, 0.4]},
        {"image": "none.png", "caption": "no picture"},
        {"image": "data:;base64,aGVsbG8=", "caption": "bytes"},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)))
    return path


def test_records_come_back_equal(own):
    dataset, plain = open_index("jsonl", own, skip_bad=True), jsonl.read(own, skip_bad=True)
    assert isinstance(dataset.records, IndexedRecords)
    assert list(dataset.records) == dataset.records[:] == list(plain.records)
    assert (dataset.name, dataset.split, dataset.counted) == (plain.name, plain.split, plain.counted)
    assert list(dataset.skipped) == plain.skipped and dataset.hashes == plain.hashes
    rows = rows_by_task(dataset.records)
    assert {task: list(map(int, found)) for task, found in rows.items()} == rows_by_task(plain.records)
    assert dataset.records[-1] == plain.records[-1] == dataset.records[np.uint64(4)]
    with pytest.raises(IndexError):
        dataset.records[5]
    assert unchanged(dataset.records)


@pytest.mark.parametrize("name", ["refcoco", "vqav2", "visdial", "mmbench"])
def test_an_official_dataset_comes_back_but_for_what_scoring_needs(tmp_path, name):
    from lion.data.sources import READERS, read

    split = next(iter(READERS[name].info.splits))
    write_as(name, tmp_path, 4, split={"dev": "test"}.get(split, split), pixels=64)
    plain, dataset = read(name, tmp_path, split), open_index(name, tmp_path, split)
    fields = ("id", "image", "task", "question", "expression", "box", "history", "answers", "choices", "also")
    for one, other in zip(plain.records, dataset.records, strict=True):
        assert all(getattr(one, field) == getattr(other, field) for field in fields)
        assert other.meta.get("size") == (tuple(one.meta["size"]) if "size" in one.meta else None)


def test_it_is_built_once_and_again_when_the_file_has_changed(own, monkeypatch):
    built = []
    build = index._build
    monkeypatch.setattr(index, "_build", lambda *arguments: (built.append(1), build(*arguments)))
    first = open_index("jsonl", own, skip_bad=True)
    assert len(open_index("jsonl", own, skip_bad=True).records) == 5 and len(built) == 1
    os.utime(own, (1, 1))  # touched, and the same by its hash
    open_index("jsonl", own, skip_bad=True)
    assert len(built) == 1
    own.write_text(own.read_text() + '\n{"image": "0.png", "caption": "one more"}')
    assert len(open_index("jsonl", own, skip_bad=True).records) == 6 and len(built) == 2
    assert first.records[0].answers == ("a thing — ü",), "who has the old one open goes on reading it"
    (open_index("jsonl", own, skip_bad=True).records.folder / "index.json").write_text("{")
    assert len(open_index("jsonl", own, skip_bad=True).records) == 6 and len(built) == 3
    with pytest.raises(LionError, match=r"none\.png is not there"):  # another setting is another index
        open_index("jsonl", own)


def test_what_was_not_finished_is_not_there_and_not_open(own, tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(LionError):
            open_index("jsonl", own)
        gc.collect()
    assert not [one for one in told if "cache/index" in str(one.message)]
    assert [path.name for path in (tmp_path / "cache/index").iterdir()] == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_full_disk_hides_no_error_of_the_reading(tmp_path):
    (tmp_path / "records.jsonl").symlink_to("/dev/full")
    with pytest.raises(LionError, match="line 7"), IndexWriter(tmp_path) as writer:
        writer.append(Record("0", "0.png", Task.CAPTION, answers=("a cat",)))
        raise LionError("line 7 is bad")


def test_a_worker_maps_the_files_itself(own):
    records = open_index("jsonl", own, skip_bad=True).records
    packed = pickle.dumps(records)
    assert len(packed) < 500 and list(pickle.loads(packed)) == list(records)


def test_many_records_and_progress(tmp_path):
    seen = []
    writer = IndexWriter(tmp_path, seen.append)
    for number in range(25_000):
        also = (Task.REG,) if number % 2 else ()
        box = Box(0, 0, 0.5, (1 + number) / 25_000)
        writer.append(Record(str(number), tmp_path, Task.REC, expression="it", box=box, answers=("it",), also=also))
    writer.append(Record("hidden", tmp_path, Task.VQA, "what?"))
    writer.finish()
    records = IndexedRecords(tmp_path)
    assert seen == [10_000, 10_000] and len(records) == 25_001 == len(writer)
    assert records[12_345].box == Box(0, 0, 0.5, 12_346 / 25_000)
    rows = rows_by_task(records)
    assert set(rows) == {Task.REC, Task.REG} and len(rows[Task.REC]) == 25_000 and int(rows[Task.REG][100]) == 201
    assert [one.id for one in some(records, 3)] == ["0", "8334", "16668"] and len(list(some(records, 10**6))) == 25_001


def _open(path, cache, out):
    os.environ["LION_CACHE"] = str(cache)
    out.put(len(open_index("jsonl", path, skip_bad=True).records))


def test_processes_that_need_the_same_index_build_it_once_and_all_use_it(own, tmp_path):
    context = processes.context()
    out = context.Queue()
    started = [context.Process(target=_open, args=(own, tmp_path / "shared", out)) for _ in range(3)]
    for process in started:
        process.start()
    assert [out.get(timeout=60) for _ in started] == [5, 5, 5]
    for process in started:
        process.join(60)
    assert len(list((tmp_path / "shared/index").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(own, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "file" / "lion"))
    with pytest.raises(LionError, match=r"cannot write the cache .*; set LION_CACHE"):
        open_index("jsonl", own, skip_bad=True)
