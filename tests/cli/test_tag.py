"""``lion tag`` with the tagger alone, its file of tags, and the verbs that read it."""

import io
import json
import shutil

import pytest

from lion.pipeline import DecodingPreset, request
from lion.prompts import Task
from lion.tagging import RamTagger, TagFile
from tests.test_locks import holder


@pytest.fixture
def words(writes):
    """The tags each prompt held, in place of what the model writes."""

    def words(tags):
        return "no tags" if tags is None else "; ".join(tags) or "nothing found"

    def generate(self, prompts, vision, preset):
        return self.processor.tokenizer([words(prompt.tags) for prompt in prompts])["input_ids"]

    writes(generate)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_tags_go_through_a_file(run, words, checkpoint, pictures, tmp_path, suffix):
    path = tmp_path / f"tags.{suffix}"
    ran = run("tag", *pictures[:2], "--top-k", 1, "--out", path, "-m", checkpoint, "--json")
    assert (ran.code, ran.err) == (0, "")
    found = [row["tags"] for row in ran.rows]
    assert all(len(tags) == 1 for tags in found)
    read = run("caption", *pictures[:2], "--tags-from", path, "-m", checkpoint, "--json")
    assert (read.code, read.err) == (0, "")
    assert [row["tags"] for row in read.rows] == found
    assert [row["text"] for row in read.rows] == [tags[0] for tags in found]
    moved = tmp_path / "moved.png"
    shutil.copy(pictures[0], moved)  # known by what is seen, not by its name
    for verb in (["ask", moved, "what is it?"], ["locate", moved, "it"], ["describe", moved, "--box", "0,0,1,1"]):
        assert run(*verb, "--tags-from", path, "-m", checkpoint, "--json").rows[0]["tags"] == found[0]


def test_a_picture_that_is_not_in_the_file_is_named_and_the_others_answered(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    path = tmp_path / "tags.jsonl"
    run("tag", pictures[0], "--out", path, "-m", checkpoint)
    ran = run("caption", *pictures, "--tags-from", path, "-m", checkpoint, "--json")
    assert ran.code == 2 and [row["ok"] for row in ran.rows] == [True, False, False]
    lines = ran.err.splitlines()
    assert len(lines) == 2 and all("has no tags of this picture" in line for line in lines)
    assert str(pictures[1]) in lines[0] and str(pictures[2]) in lines[1]


def test_chat_reads_the_file_too(run, words, checkpoint, pictures, tmp_path, monkeypatch):
    path = tmp_path / "tags.jsonl"
    run("tag", pictures[0], "--top-k", 2, "--out", path, "-m", checkpoint)
    monkeypatch.setattr("sys.stdin", io.StringIO("what is it?\n"))
    ran = run("chat", pictures[0], "--tags-from", path, "-m", checkpoint, "--json")
    assert ran.code == 0 and len(ran.rows[0]["tags"]) == 2


def test_a_picture_without_tags_is_told_so(run, words, checkpoint, pictures, tmp_path):
    """An empty row is a tagger that found nothing, not a prompt without tags."""
    path = tmp_path / "tags.jsonl"
    run("tag", pictures[0], "--threshold", 1, "--out", path, "-m", checkpoint)
    ran = run("caption", pictures[0], "--tags-from", path, "-m", checkpoint, "--json")
    assert ran.rows[0]["tags"] == [] and ran.rows[0]["text"] == "nothing found"


def test_the_language_model_stays_asleep(run, checkpoint, pictures, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("LION was loaded")

    monkeypatch.setattr("lion.checkpoints.loading.load_model", refuse)
    whole, alone = (run("tag", pictures[0], "-m", model, "--json") for model in (checkpoint, f"{checkpoint}/tagger"))
    assert whole.code == alone.code == 0
    assert whole.rows[0]["tags"] == alone.rows[0]["tags"] == ["car", "tree", "sun"]
    assert (whole.rows[0]["model"], alone.rows[0]["model"]) == (checkpoint, f"{checkpoint}/tagger")


def test_what_was_tagged_before_a_stop_is_not_tagged_again(run, checkpoint, pictures, tmp_path, monkeypatch):
    path, seen, whole = tmp_path / "new" / "tags.jsonl", [], RamTagger._run

    def stopping(self, images):
        seen.append(len(images))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return whole(self, images)

    monkeypatch.setattr(RamTagger, "_run", stopping)
    command = ["tag", *pictures, "--out", path, "-m", checkpoint, "--batch-size", 1]
    stopped = run(*command)
    assert stopped.code == 130 and "stopped after 2 pictures; the same command resumes" in stopped.err
    assert not path.exists()
    assert run(*command).code == 0 and seen == [1, 1, 1, 1]
    assert len(TagFile.read(path)) == 3 and [one.name for one in path.parent.iterdir()] == ["tags.jsonl"]


def test_two_runs_that_write_one_file_do_not_meet(run, checkpoint, pictures, tmp_path):
    path = tmp_path / "tags.jsonl"
    command = ["tag", *pictures, "--out", path, "-m", checkpoint]
    with holder(tmp_path / "tags.jsonl.lion-scores") as other:
        ran = run(*command)
        assert ran.code == 2 and f"tags.jsonl.lion-scores is being written by process {other.pid}" in ran.err
        assert not path.exists() and len(ran.err.splitlines()) == 1
    assert run(*command).code == 0 and len(TagFile.read(path)) == 3
    assert sorted(one.name for one in tmp_path.iterdir()) == ["pictures", "tags.jsonl"]


def test_a_place_that_cannot_be_written_is_told_before_the_work(run, checkpoint, pictures, tmp_path):
    (tmp_path / "file").write_text("")
    ran = run("tag", *pictures, "--out", tmp_path / "file" / "tags.jsonl", "-m", checkpoint)
    assert (ran.code, ran.out) == (2, "") and "name another place" in ran.err


def test_a_mistake_leaves_nothing_behind(run, pictures, tmp_path):
    ran = run("tag", *pictures, "--out", tmp_path / "tags.jsonl", "-m", tmp_path / "nothing")
    assert ran.code == 2 and [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_bad_pictures_are_left_out_of_the_file(run, checkpoint, pictures, tmp_path):
    ran = run("tag", pictures[0], tmp_path / "none.png", "--out", tmp_path / "tags.jsonl", "-m", checkpoint)
    assert ran.code == 2 and len(ran.err.splitlines()) == 1
    assert len(TagFile.read(tmp_path / "tags.jsonl")) == 1
    assert run("tag", tmp_path / "none.png", "--out", tmp_path / "other.jsonl", "-m", checkpoint).code == 2
    assert not (tmp_path / "other.jsonl").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["tag", "PICTURE", "--threshold", "0.5", "--top-k", "3"], "exclude each other"),
        (["tag", "PICTURE", "--threshold", "1.5"], "'--threshold'"),
        (["tag", "PICTURE", "--top-k", "0"], "'--top-k'"),
        (["tag", "PICTURE", "--out", "tags.csv"], "ends in .parquet or .jsonl"),
        (["caption", "PICTURE", "--tags-from", "none.jsonl"], "no such file; write one with lion tag"),
        (["caption", "PICTURE", "--tags-from", "PICTURE"], "ends in .parquet or .jsonl"),
        (["caption", "PICTURE", "--tags-from", "a.jsonl", "--no-tags"], "use one"),
        (["caption", "PICTURE", "--tags-from", "a.jsonl", "--tags", "a"], "use one"),
        (
            ["caption", "PICTURE", "--decoding", "greed"],
            "no decoding 'greed'; there are lion, official, short, boxes, greedy",
        ),
    ],
)
def test_mistakes(run, checkpoint, pictures, command, says):
    ran = run(*(str(pictures[0]) if word == "PICTURE" else word for word in command), "-m", checkpoint)
    assert ran.code == 2 and ran.out == "" and says in ran.err and len(ran.err.splitlines()) == 1


def test_a_model_without_a_tagger_and_a_tagger_without_a_model(run, checkpoint, pictures, tmp_path):
    folder = tmp_path / "untagged"
    shutil.copytree(checkpoint, folder)
    shutil.rmtree(folder / "tagger")
    ran = run("tag", pictures[0], "-m", folder)
    assert ran.code == 2 and "has no tagger" in ran.err
    ran = run("caption", pictures[0], "-m", f"{checkpoint}/tagger")
    assert ran.code == 2 and "is a tagger alone, for lion tag" in ran.err


def test_decoding_is_chosen_and_shown(run, checkpoint, pictures, monkeypatch):
    table = dict.fromkeys(Task, DecodingPreset(num_beams=2, max_new_tokens=40, box_only=True))
    monkeypatch.setitem(request.DECODING, "boxes", table)
    free, bound = (run("locate", pictures[0], "it", "--decoding", name, "-m", checkpoint) for name in ("lion", "boxes"))
    assert free.code == 1 and bound.code == 0 and bound.out.startswith("[")
    helped = run("locate", "--help")
    shown = run("info", checkpoint)
    for name in ("lion", "official", "short", "boxes"):
        assert name in helped.out and f"decoding {name}" in shown.out
    presets = json.loads(run("info", checkpoint, "--json").out)["decoding"]
    assert "one box and nothing else" in presets["boxes"]["rec"]
