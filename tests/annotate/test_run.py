"""A run from its input to its shards: what rows hold, what stops it, and that it goes on as if nothing had."""

import json
import os
import warnings

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from lion.annotate import output as output_module
from lion.annotate.annotator import Annotator
from lion.annotate.asks import parse
from lion.annotate.coco import check_coco, write_coco
from lion.annotate.inputs import find
from lion.annotate.run import shard_size
from lion.atomic import atomic_write
from lion.errors import LionError
from lion.images import image_hash, open_image
from lion.locks import FolderLock
from tests.annotate.conftest import files, png, write_tar


def rows(plan):
    return list(plan.output.rows(len(plan.shards)))


def errors(plan):
    found = (path.read_text().splitlines() for path in sorted(plan.output.folder.glob("errors/*")))
    return {os.path.basename(row["key"]): row["reason"] for lines in found for row in map(json.loads, lines)}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_hold_what_the_pipeline_answers(run, folder, pipeline, form):
    do = ["caption,tags,ask:why,locate:the dog,describe:0,0,1,0.5,presence:a dog"]
    plan, counts = run(folder, do=do, form=form)
    assert counts == {"inputs": 11, "rows": 7, "errors": 4}
    found = rows(plan)
    first = next(row for row in found if row["key"] == str(folder / "1.png"))
    picture = open_image(folder / "1.png")
    assert (first["width"], first["height"], first["hash"]) == (64, 48, image_hash(picture))
    caption, tags, ask, locate, describe, presence = first["answers"]
    alone = pipeline.caption(picture)
    assert (caption["do"], caption["text"]) == ("caption", alone.text) and first["tags"] == list(alone.tags)
    assert caption["confidence"] == pytest.approx(alone.confidence, abs=2e-4)
    assert tags["text"] == ", ".join(first["tags"]) and ask["text"] == pipeline.ask(picture, "why").text
    assert (locate["do"], locate["text"]) == ("locate:the dog", pipeline.locate(picture, "the dog").text)
    assert describe["boxes"] == [
        {"label": describe["text"], "unit": [0, 0, 1, 0.5], "pixel": [0, 0, 64, 24], "score": None}
    ]
    assert presence["text"] in ("yes", "no") and (presence["presence"] > 0.5) == (presence["text"] == "yes")
    assert presence["presence"] == pytest.approx(pipeline.locate(picture, "a dog", if_there=True).presence, abs=2e-4)


@pytest.mark.parametrize(("pictures", "size"), [(1, 8), (159, 8), (161, 9), (500, 25), (19_981, 1000), (10**6, 1000)])
def test_a_stop_loses_a_twentieth_at_most(pictures, size):
    assert shard_size(pictures) == size


def test_a_run_of_an_earlier_version_goes_on_with_its_own_shards(run, folder):
    plan, counts = run(folder, shard_size=1000)
    manifest = (plan.output.folder / "manifest.json").read_bytes()
    again, same = run(folder, shard_size=None)
    assert same == counts and (len(again.shards), again.shard_size) == (1, 1000)
    assert (plan.output.folder / "manifest.json").read_bytes() == manifest
    (plan.output.folder / "manifest.json").write_text("[]")
    with pytest.raises(LionError, match="not readable JSON"):
        run(folder, shard_size=None)


def test_what_is_hidden_below_a_folder_is_left_out_and_named(tmp_path):
    home = tmp_path / ".hidden" / "pictures"  # above it, it is the user's own
    for path in (home / "a.png", home / "deep" / "b.png", home / ".thumbnails" / "a.png", home / "deep" / ".c.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    found, note = find(str(home))
    assert found == [str(home / "a.png"), str(home / "deep" / "b.png")]
    assert note and note.endswith("left out, as hidden or no pictures by their names: a.png, .c.png")


def test_every_input_is_once_in_rows_or_errors(run, folder):
    plan, _ = run(folder)
    keys = [row["key"] for row in rows(plan)]
    assert len(set(keys)) == 7 and {os.path.basename(key) for key in keys} >= {"twin.png", "0.png", "héllo 世界.png"}
    twins = [row for row in rows(plan) if os.path.basename(row["key"]) in ("0.png", "twin.png")]
    assert twins[0]["sha256"] == twins[1]["sha256"] and twins[0]["answers"] == twins[1]["answers"]
    found = errors(plan)
    assert sorted(found) == ["cut.png", "empty.jpg", "gone.png", "text.jpg"]
    assert "cannot be decoded" in found["cut.png"] and "empty" in found["empty.jpg"]
    assert "no such file" in found["gone.png"] and "not a picture" in found["text.jpg"]
    manifest = json.loads((plan.output.folder / "manifest.json").read_text())
    assert (manifest["shards"], manifest["do"], manifest["model"]) == (4, ["caption", "locate:the dog"], "tiny")


def test_archives_are_shards(run, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    write_tar(given / "a.tar", [(f"{n}.png", png(n)) for n in range(4)] + [("5.txt", b"")])
    parquet.write_table(arrow.table({"image": [png(1), None, b"text"]}), given / "b.parquet")
    (given / "c.png").write_bytes(png(2))
    plan, counts = run(given, do=["caption"])
    assert counts == {"inputs": 9, "rows": 6, "errors": 3} and len(plan.shards) == 3
    assert [os.path.basename(row["key"]) for row in rows(plan)] == [
        "c.png", "a.tar::0.png", "a.tar::1.png", "a.tar::2.png", "a.tar::3.png", "b.parquet::0",
    ]  # fmt: skip
    assert [row["index"] for row in rows(plan)] == [0, 0, 1, 2, 3, 0]


def test_a_picture_is_looked_at_once_whatever_is_asked(run, folder, counted):
    run(folder, do=["caption,tags,ask:why,locate:the dog"], shard_size=100)
    assert counted == {"vision": 6, "tagger": 6}  # 0.png and twin.png are equal
    run(folder, "again", do=["tags"], shard_size=100)
    assert counted == {"vision": 6, "tagger": 12}


def test_no_tags_means_none(run, folder):
    plan, _ = run(folder, do=["caption"], tags=[])
    assert all(row["tags"] is None for row in rows(plan))
    plan, _ = run(folder, "tagged", do=["caption,tags"], tags=[])
    assert all(row["tags"] for row in rows(plan))


def test_a_finished_run_does_nothing(run, folder, monkeypatch):
    plan, counts = run(folder)
    before = files(plan.output.folder)
    monkeypatch.setattr(Annotator, "shard", None)
    assert run(folder)[1] == counts and files(plan.output.folder) == before


@pytest.mark.parametrize("moment", range(12))
def test_a_run_killed_in_any_write_goes_on_to_the_same_files(run, folder, monkeypatch, moment):
    plan, counts = run(folder, "whole", do=["tags"])
    writes = []

    def killed(path, data):
        writes.append(path)
        if len(writes) == moment + 1:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f".{path.name}.0.tmp").write_bytes(
                data[:7] if isinstance(data, bytes) else data[:7].encode()
            )
            raise KeyboardInterrupt
        atomic_write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr("lion.atomic.atomic_write", killed)
        patch.setattr(output_module, "atomic_write", killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder, "killed", do=["tags"])
    ended, again = run(folder, "killed", do=["tags"])
    assert again == counts
    assert files(ended.output.folder) == files(plan.output.folder)


def test_a_run_killed_between_shards_makes_the_rest_only(run, folder, monkeypatch):
    plan, _ = run(folder, "whole")
    made = []
    shard = Annotator.shard

    def counted(self, pictures, advance):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(shard(self, pictures, advance))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Annotator, "shard", counted)
        with pytest.raises(KeyboardInterrupt):
            run(folder, "killed")
        made.clear()
        patch.setattr(Annotator, "shard", lambda *words: made.append(shard(*words)) or made[-1])
        ended, _ = run(folder, "killed")
    assert len(made) == 2
    assert files(ended.output.folder) == files(plan.output.folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do": ["caption"]}, "another do"),
        ({"shard_size": 4}, "another shard size"),
        ({"form": "jsonl"}, "another format"),
        ({"tags": []}, "another prompt tags"),
        ({"if_there": True}, "another if there"),
        ({"column": "image"}, "another column"),
    ],
)
def test_other_settings_are_refused_by_name(run, folder, settings, message):
    run(folder)
    with pytest.raises(LionError, match=message):
        run(folder, **settings)


def test_other_inputs_model_and_decoding_are_refused(run, folder, pipeline):
    run(folder)
    decoding = pipeline.decoding
    pipeline.decoding = {task: type(preset)(max_new_tokens=5) for task, preset in decoding.items()}
    with pytest.raises(LionError, match="another decoding of caption"):
        run(folder)
    pipeline.decoding, box_decimals = decoding, pipeline.processor.box_decimals
    try:
        pipeline.processor.box_decimals = 3
        with pytest.raises(LionError, match="another model"):
            run(folder)
    finally:
        pipeline.processor.box_decimals = box_decimals
    (folder / "new.png").write_bytes(png(9))
    with pytest.raises(LionError, match="other inputs"):
        run(folder)


def test_errors_can_be_tried_again(run, folder):
    plan, _ = run(folder)
    (folder / "cut.png").write_bytes(png(6))
    assert run(folder)[1]["errors"] == 4
    assert run(folder, retry_errors=True)[1] == {"inputs": 11, "rows": 8, "errors": 3}
    (folder / "empty.jpg").write_bytes(png(7))
    (folder / "gone.png").unlink()
    (folder / "gone.png").write_bytes(png(8))
    (folder / "text.jpg").write_bytes(png(9))
    assert run(folder, retry_errors=True)[1] == {"inputs": 11, "rows": 11, "errors": 0}
    assert errors(plan) == {}


def test_a_shard_that_was_changed_is_named(run, folder):
    plan, _ = run(folder, form="jsonl")
    shard = plan.output.folder / "shards" / "000001.jsonl"
    shard.write_text(shard.read_text() * 2)
    with pytest.raises(LionError, match=r"000001.jsonl is not as it was written; delete .*000001.json"):
        run(folder, form="jsonl")
    shard.unlink()
    with pytest.raises(LionError, match="not as it was written"):
        run(folder, form="jsonl")
    (plan.output.folder / "done" / "000001.json").unlink()
    assert run(folder, form="jsonl")[1]["inputs"] == 11


def test_out_must_be_a_place_of_its_own(run, folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(LionError, match="not empty and holds no manifest"):
        run(folder, "other")
    with pytest.raises(LionError, match="lies in the input"):
        run(folder, "in/out")
    with pytest.raises(LionError, match="cannot write in"):
        run(folder, "other/mine.txt/out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("{")
    with pytest.raises(LionError, match="not readable JSON"):
        run(folder)


def test_a_read_only_place_is_refused(run, folder, monkeypatch):
    monkeypatch.setattr("lion.annotate.output.os.access", lambda *_: False)
    with pytest.raises(LionError, match=r"cannot write in .*permission"):
        run(folder)


def test_a_second_writer_is_refused(run, folder, monkeypatch):
    def busy(*_):
        raise LionError("being written by process 1")

    monkeypatch.setattr(FolderLock, "__init__", busy)
    with pytest.raises(LionError, match="process 1"):
        run(folder)


def test_a_wrong_column_is_said_before_a_model_is_needed(run, tmp_path):
    parquet.write_table(arrow.table({"a": [b""], "b": [b""]}), tmp_path / "x.parquet")
    with pytest.raises(LionError, match="a and b may all be meant"):
        run(tmp_path / "x.parquet")
    assert not (tmp_path / "out").exists()


def test_progress_reaches_its_end(pipeline, tmp_path, folder):
    from lion.annotate.run import Job, Plan, annotate

    write_tar(folder / "x.tar", [(f"{n}.png", png(n)) for n in range(4)])
    seen = []
    plan = Plan(str(folder), tmp_path / "out", Job(parse(["caption"]), shard_size=3))
    annotate(plan, lambda: pipeline, lambda *words: seen.append(words))
    assert seen[-1] == (15, 15) and [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert all(done <= total for done, total in seen)


def test_coco(run, folder, tmp_path):
    plan, _ = run(folder, do=["describe:0,0,0.5,0.5"])
    check_coco(tmp_path / "x.coco.json", plan.job.asks)
    write_coco(plan.output.rows(len(plan.shards)), *plan.output.model(), tmp_path / "x.coco.json")
    document = json.loads((tmp_path / "x.coco.json").read_text())
    assert len(document["images"]) == 7 and document["annotations"][0]["bbox"] == [0, 0, 32, 24]
    with pytest.raises(LionError, match=r"end in \.coco\.json"):
        check_coco(tmp_path / "x.json", plan.job.asks)
    with pytest.raises(LionError, match="nothing in --do gives any"):
        check_coco(tmp_path / "x.coco.json", parse(["caption"]))


def test_names_that_are_no_text(run, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    with open(os.fsencode(given) + b"/\xff.png", "wb") as file:
        file.write(png(0))
    with open(os.fsencode(given) + b"/\xfe.png", "wb") as file:
        file.write(b"")
    plan, counts = run(given)
    assert counts == {"inputs": 2, "rows": 1, "errors": 1}
    assert rows(plan)[0]["key"].endswith("\\udcff.png")


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_what_is_true_of_a_picture_or_of_the_model_stays_with_the_rows(run, pipeline, tmp_path, monkeypatch, form):
    (tmp_path / "scans").mkdir()
    for name, peak in (("a", 4095), ("b", 65535), ("c", 1023)):
        Image.fromarray(np.full((9, 9), peak, np.uint16)).save(tmp_path / "scans" / f"{name}.png")
    monkeypatch.setattr(pipeline.model.config, "domain", "drawn scenes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning in a process that reads would name no file
        plan, counts = run(tmp_path / "scans", form=form, do=["caption", "tags"], shard_size=2)
        assert run(tmp_path / "scans", form=form, do=["caption", "tags"], shard_size=2)[1] == counts
    assert counts == {"inputs": 3, "rows": 3, "errors": 0, "notes": 2}
    notes = [[answer["note"] for answer in row["answers"]] for row in rows(plan)]
    assert notes[1] == [None, None]
    for of_row, bits in ((notes[0], 12), (notes[2], 10)):
        assert len(set(of_row)) == 1 and f"if it holds {bits} bits" in of_row[0]
    manifest = json.loads((plan.output.folder / "manifest.json").read_text())
    assert manifest["about"] == pipeline.about and "drawn scenes only" in manifest["about"]
    if form == "parquet":
        metadata = parquet.read_schema(plan.output.folder / "shards" / "000000.parquet").metadata
        assert metadata[b"lion.about"].decode() == pipeline.about and metadata[b"lion.model"] == b"tiny"


def test_a_run_begun_before_counts_of_notes_goes_on(run, folder):
    plan, counts = run(folder)
    manifest = plan.output.folder / "manifest.json"
    old = {name: value for name, value in json.loads(manifest.read_text()).items() if name != "about"}
    manifest.write_text(json.dumps(old))
    (plan.output.folder / "done" / "000001.json").unlink()
    assert run(folder)[1] == counts and json.loads(manifest.read_text()) == old
