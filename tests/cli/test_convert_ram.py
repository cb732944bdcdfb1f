"""``lion convert ram`` on the command line: from checkpoint to tags, and damage as one line."""

import json

import pytest
import torch

from tests.tagging.released import read_json, released_weights, write_checkpoint


def test_from_checkpoint_to_tags(run, pictures, tmp_path):
    files = write_checkpoint(tmp_path / "released")
    lists = ["--tags", files["tags"], "--thresholds", files["thresholds"]]
    ran = run("convert", "ram", files["source"], tmp_path / "tagger", *lists)
    assert (ran.code, ran.err) == (0, "")
    assert "12 tags, 128 px" in ran.out and "190 tensors, each filled once" in ran.out
    assert "158 used, 173 of the captioning half and 11 buffers left" in ran.out
    tagged = run("tag", pictures[0], "-m", tmp_path / "tagger", "--json")
    assert tagged.code == 0 and set(tagged.rows[0]["tags"]) <= set(read_json("config.json")["tags"])
    (row,) = run("convert", "ram", files["source"], tmp_path / "other", *lists, "--image-size", 64, "--json").rows
    assert row["image_size"] == 64 and row["interpolated"] == 8


def test_with_the_released_tags(run, tmp_path):
    tensors = {**released_weights(), "label_embed": torch.zeros(4585, 512), "new": torch.zeros(2)}
    files = write_checkpoint(tmp_path, tensors)
    ran = run("convert", "ram", files["source"], tmp_path / "tagger")
    assert ran.code == 0 and "4,585 tags" in ran.out
    assert ran.err == "lion: note: left behind 1 tensors that RAM is not known to have: new\n"
    config = json.loads((tmp_path / "tagger" / "config.json").read_text())
    assert config["id2label"]["4584"] == "zoo" and config["thresholds"][:2] == [0.65, 0.65]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "cut off or damaged"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder; name the checkpoint's file"),
        (lambda path: None, "knows 12 tags and the list has 4585"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(run, tmp_path, spoil, says):
    source = write_checkpoint(tmp_path)["source"]
    spoil(source)
    before = sorted(tmp_path.iterdir())
    ran = run("convert", "ram", source, tmp_path / "out")
    assert ran.code == 2 and ran.out == "" and says in ran.err and len(ran.err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
