"""``lion world``: scenes as files."""

import json
import re

import pytest
from PIL import Image


def test_a_split_is_written_and_a_second_joins_it(run, tmp_path):
    out = tmp_path / "world"
    ran = run("world", out, "--size", 3, "--pixels", 64)
    assert (ran.code, ran.err) == (0, "") and str(out) in ran.out
    assert run("world", out, "--size", 2, "--split", "test", "--seed", 1, "--pixels", 64).code == 0
    lines = (out / "train" / "metadata.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert Image.open(out / "train" / json.loads(lines[0])["file_name"]).size == (64, 64)
    assert len(list((out / "test").glob("*.png"))) == 2


def test_a_split_is_written_as_another_dataset(run, tmp_path):
    ran = run("world", tmp_path, "--as", "refcoco", "--size", 3, "--split", "test", "--pixels", 64)
    assert (ran.code, ran.err) == (0, "") and "as refcoco (testA, testB)" in ran.out
    assert {path.name for path in (tmp_path / "refcoco").iterdir()} == {
        "refs(unc).p", "instances.json", "train2014", "lion-world.json",
    }  # fmt: skip
    assert run("world", tmp_path, "--as", "refcoco", "--size", 2, "--pixels", 64).code == 0
    again = run("world", tmp_path, "--as", "refcoco", "--size", 3, "--pixels", 64)
    assert again.code == 2 and "is there already" in again.err and len(again.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--as", "imagenet"], "choose one of aokvqa, coco-caption"),
        (["--as", "pope", "--split", "moon"], "train, val, test"),
        (["--size", "0"], "--size"),
        (["--split", "moon"], "train, val, test"),
        (["--pixels", "2"], "--pixels"),
    ],
)
def test_mistakes(run, tmp_path, options, says):
    ran = run("world", tmp_path / "world", *options)
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and says in ran.err
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize("options", [[], ["--as", "refcoco"]])
def test_more_than_the_disk_holds_is_refused_before_it_is_filled(run, tmp_path, options):
    ran = run("world", tmp_path / "new" / "world", "--size", 10**13, *options)
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and not (tmp_path / "new").exists()
    assert re.search(
        r"10,000,000,000,000 scenes take some [\d,]+ GB, and .* has [\d,.]+ GB left; lower --size", ran.err
    )


def test_a_tilde_is_the_home_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run("world", "~/drawn", "--size", 1, "--pixels", 32).code == 0
    assert (tmp_path / "drawn/train/000000.png").is_file()
    missing = run("eval", "okvqa", "--data=~/nowhere", "--out=~/run")
    assert missing.code == 2 and f"{tmp_path}/nowhere" in missing.err and not (tmp_path / "~").exists()


def test_places_that_will_not_do(run, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    for place in ("file", "file/below", "full"):
        ran = run("world", tmp_path / place, "--size", 1)
        assert ran.code == 2 and len(ran.err.splitlines()) == 1
