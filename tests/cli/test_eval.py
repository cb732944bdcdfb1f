"""``lion eval``: asked, killed, gone on with, scored again; and what docs/world.md shows is run here."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from lion.eval import WorldBenchmark
from lion.eval.benchmarks import guessers
from lion.eval.benchmarks.world import SETS
from tests.eval import tiny_world
from tests.eval.tiny_world import forget

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "world.md").read_text()
COMMANDS = re.findall(r"^\$ lion (.*)$", DOCS, re.MULTILINE)
FEW = ("--limit", 2, "--batch-size", 4)


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    patch = pytest.MonkeyPatch()
    patch.setattr(guessers, "TRAIN_SCENES", 60)
    forget()
    yield
    patch.undo()
    forget()


@pytest.fixture(scope="session")
def world_model(tmp_path_factory):
    return tiny_world.save_checkpoint(tmp_path_factory.mktemp("models") / "tiny-world")


def test_a_table_for_people_and_json_for_programs(run, world_model, tmp_path):
    out = tmp_path / "out"
    ran = run("eval", "world", "--model", world_model, "--out", out, *FEW)
    assert (ran.code, ran.err) == (0, "")
    scores = json.loads((out / "scores.json").read_text())["scores"]
    shown = [name for name in WorldBenchmark.table if name in scores]
    assert re.findall(r"^ *(\S+/\S+) +\d", ran.out, re.MULTILINE) == shown and len(shown) > 25
    assert str(out / "report.md") in ran.out.replace("\n", "") and "itself blind" not in ran.out
    ran = run("eval", "world", "--model", world_model, "--out", out, "--blind", "--json", *FEW)
    (record,) = ran.rows
    scores = json.loads((out / "scores.json").read_text())
    assert scores.items() <= record.items() and record["blind_run"]
    assert record["model"] == str(world_model) and record["limit"] == 2
    ran = run("eval", "score", out)
    assert ran.code == 0 and "itself blind" in ran.out
    assert run("eval", "score", out, "--json").rows == [record]


def test_a_stopped_run_goes_on(run, world_model, tmp_path, monkeypatch):
    from lion.pipeline import LionPipeline

    answer, left = LionPipeline.answer, [3]

    def stops(self, requests):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return answer(self, requests)

    command = ("eval", "world", "--model", world_model, "--out", tmp_path, "--json", *FEW)
    monkeypatch.setattr(LionPipeline, "answer", stops)
    assert run(*command).code == 130
    ran = run("eval", "score", tmp_path)
    assert ran.code == 2 and "not answered yet" in ran.err
    left[0] = len(SETS) - 3
    ran = run(*command)
    assert ran.code == 0 and left[0] == 0
    assert ran.rows[0]["scores"]["vqa/accuracy"]["n"] == 2


def test_without_an_out_folder_and_without_tags(run, world_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("eval", "world", "--model", world_model, "--split", "val", "--tags-off", *FEW).code == 0
    folder = tmp_path / "outputs" / "eval" / "world-val-no-tags-tiny-world"
    rows = [json.loads(line) for line in (folder / "predictions" / "rec.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["rec-val-0", "rec-val-1"] and all(row["tags"] == [] for row in rows)


def test_a_model_without_a_tagger_is_noted(run, world_model, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in world_model.iterdir():
        if path.name != "tagger":
            (bare / path.name).symlink_to(path)
    ran = run("eval", "world", "--model", bare, "--out", tmp_path / "out", *FEW)
    assert ran.code == 0 and "has no tagger" in ran.err and "tagger/map" not in ran.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["world", "--limit", "0"], "--limit"),
        (["world", "--split", "moon"], "test and val"),
        (["world", "--model", "nowhere/at/all"], "no model folder"),
        (["moon", "--data", "."], "no benchmark 'moon'; there are flickr30k, coco-caption, "),
        (["okvqa"], "--data"),
        (["okvqa", "--data", "nowhere"], "no folder nowhere"),
        (["okvqa", "--data", ".", "--strict", "--limit", "3"], "leave one out"),
        (["okvqa", "--data", ".", "--prompt", "statement"], "it can be put as question, short-answer"),
        (["okvqa", "--data", ".", "--decoding", "greedy"], "no decoding 'greedy'"),
        (["score"], "lion eval score --help"),
        (["score", "nothing"], "no run.json"),
    ],
)
def test_mistakes(run, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    ran = run("eval", *words)
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and says in ran.err
    assert list(tmp_path.iterdir()) == []


def test_places_that_will_not_do(run, world_model, tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        ran = run("eval", "world", "--model", world_model, "--out", tmp_path / place, *FEW)
        assert ran.code == 2 and len(ran.err.splitlines()) == 1 and "choose" in ran.err


def test_commands_of_the_docs(run, world_model, tmp_path, monkeypatch):
    (tmp_path / "package" / "bundled").mkdir(parents=True)
    (tmp_path / "package" / "bundled" / "lion-mini").symlink_to(world_model)
    monkeypatch.setattr("lion.pipeline.loading.files", lambda package: tmp_path / "package")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "model").symlink_to(world_model)
    assert len(COMMANDS) > 5
    for command in COMMANDS:
        words = shlex.split(command)
        few = FEW if words[:2] == ["eval", "world"] else ()
        size = ("--size", 2) if words[0] == "world" else ()
        ran = run(*words, *few, *size)
        assert ran.code == 0 and ran.out and not ran.err, command


def test_python_of_the_docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/world.md", "exec"), {})
    assert Image.open("scene-0.png").size == (256, 256)


def test_contact_sheet(tmp_path, monkeypatch, capsys):
    sheet = tmp_path / "sheet.png"
    options = ["--out", str(sheet), "--columns", "2", "--rows", "1", "--pixels", "64"]
    monkeypatch.setattr(sys, "argv", ["contact_sheet.py", *options])
    runpy.run_path(str(ROOT / "examples" / "contact_sheet.py"), run_name="__main__")
    assert Image.open(sheet).size == (132, 64) and str(sheet) in capsys.readouterr().out


def test_the_picture_of_the_docs_is_there_and_small():
    (shown,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", DOCS)
    assert (ROOT / "docs" / shown).stat().st_size <= 300_000
