"""``lion data``: what it prints and how it ends."""

import json
import re
from pathlib import Path

import pytest

from tests.annotate.conftest import png

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number))
    rows = [{"image": f"{number}.png", "caption": "a thing"} for number in range(3)]
    rows.append({"image": "2.png", "expression": "it", "box": [0, 0, 0.5, 0.5]})
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_an_index_says_what_it_holds_and_where(run, own, tmp_path):
    ran = run("data", "index", own)
    assert ran.code == 0 and "4 records (caption 3, rec 1, reg 1), 0 left out" in ran.out
    assert f"MB in {tmp_path / 'cache/index'}" in ran.out
    (own / "own.jsonl").write_text('{"image": "0.png", "caption": "a"}\n{"image": "gone.png", "caption": "a"}')
    ran = run("data", "index", own / "own.jsonl")
    assert ran.code == 2 and "line 2" in ran.err and "skip bad records with --skip-bad" in ran.err
    ran = run("data", "index", own / "own.jsonl", "--skip-bad")
    assert ran.code == 0 and "left out 2: its picture" in ran.err and "1 records (caption 1), 1 left out" in ran.out


def test_packed_indexed_and_checked(run, own, tmp_path):
    out = tmp_path / "out"
    ran = run("data", "pack", own, out)
    assert ran.code == 0 and "3 pictures with 4 records" in ran.out and f"in 1 tars in {out}" in ran.out
    ran = run("data", "pack", own, out)
    assert ran.code == 2 and "is there already" in ran.err
    ran = run("data", "check", out)
    assert (ran.code, ran.out, ran.err) == (0, "4 records of out: all fine\n", "")
    data = (out / "00000.tar").read_bytes()
    (out / "00000.tar").write_bytes(data[:700] + bytes(5000) + data[5700:])
    ran = run("data", "check", out)
    assert ran.code == 2 and ran.out == "4 records of out: 2 problems\n"
    assert "00000.tar: it is not what shards.json says" in ran.err and "00000.tar::00000000000: " in ran.err


def test_a_dataset_in_its_original_files(run, tmp_path):
    assert run("world", tmp_path, "--size", 3, "--as", "refcoco", "--split", "val", "--pixels", 64).code == 0
    ran = run("data", "check", tmp_path, "--as", "refcoco", "--split", "val")
    assert ran.code == 0 and ran.out.endswith("records of refcoco: all fine\n")
    assert "rec" in run("data", "index", tmp_path, "--as", "refcoco", "--split", "val").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["index", "nowhere"], "holds no .tar or .parquet files; name the folder that has them"),
        (["index", "nowhere.jsonl"], "there is no file"),
        (["index", ".", "--as", "x"], "there is no dataset 'x'; choose one of"),
        (["pack", ".", "out"], "holds no JSONL or CSV file; name the file"),
        (["check", "s3x://b"], "s3x://b: "),
    ],
)
def test_mistakes(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    ran = run("data", *words)
    assert ran.code == 2 and message in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize(("page", "number"), [("data", 2), ("data_at_scale", 1), ("archives", 2)])
def test_commands_and_lines_of_the_docs(run, tmp_path, monkeypatch, page, number):
    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(r"^```json\n(.*?)^```$", (HOW_TO / "data.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my_pictures.jsonl").write_text(lines)
    (tmp_path / "a.jpg").write_bytes(png(0))
    assert run("world", "DIR", "--size", 3, "--as", "refcoco", "--split", "val", "--pixels", 64).code == 0
    commands = re.findall(r"^\$ lion (data .*)$", (HOW_TO / f"{page}.md").read_text(), re.MULTILINE)
    assert len(commands) == number
    for command in commands:
        ran = run(*command.split())
        assert (ran.code, ran.err) == (0, ""), command
