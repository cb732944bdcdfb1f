"""``lion eval``: run, killed, resumed, scored again; and what docs/world.md shows is run here."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from lion.eval.benchmarks.paper import ROWS
from lion.eval.world.benchmark import SETS
from lion.eval.world.report import TABLE
from tests.eval import drawn, tiny_world

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "world.md").read_text()
COMMANDS = re.findall(r"^\$ lion (.*)$", DOCS, re.MULTILINE)
FEW = ("--limit", 2, "--batch-size", 4)


@pytest.fixture(autouse=True, scope="module")
def few_scenes():
    with tiny_world.few_scenes():
        yield


@pytest.fixture(scope="session")
def world_model(tmp_path_factory):
    return tiny_world.save_checkpoint(tmp_path_factory.mktemp("models") / "tiny-world")


def test_a_table_for_people_and_json_for_programs(run, world_model, tmp_path):
    out = tmp_path / "out"
    ran = run("eval", "world", "--model", world_model, "--out", out, *FEW)
    assert (ran.code, ran.err) == (0, "")
    scores = json.loads((out / "scores.json").read_text())["scores"]
    shown = [name for name in TABLE if name in scores]
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

    def stops(self, requests, **settings):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return answer(self, requests, **settings)

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


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.data(tmp_path_factory.mktemp("drawn"))


def test_benchmarks_of_the_paper(run, world_model, data, tmp_path):
    command = ("eval", "okvqa", "pope", "--data", data, "--model", world_model, "--out", tmp_path / "runs")
    ran = run(*command, "--limit", 3)
    assert (ran.code, ran.err) == (0, "")
    names = ["okvqa", "pope-adversarial", "pope-popular", "pope-random"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names
    assert re.findall(r"^ *(\S+) +(?:accuracy|f1) +[\d.]+ ± [\d.]+ +3 of (\d+)", ran.out, re.MULTILINE)[::2] == [
        ("okvqa", "5046"), ("pope-random", "3000"), ("pope-popular", "3000"), ("pope-adversarial", "3000"),
    ]  # fmt: skip
    again = run(*command, "--limit", 3, "--json")
    assert [row["benchmark"] for row in again.rows] == ["okvqa", "pope-random", "pope-popular", "pope-adversarial"]
    assert again.rows[0]["samples"] == 3 and again.rows[0]["official"] == 5046
    scored = run("eval", "score", tmp_path / "runs", "--json")
    assert {row["benchmark"]: row["scores"] for row in scored.rows} == {
        row["benchmark"]: row["scores"] for row in again.rows
    }
    told = run("eval", "report", tmp_path / "runs")
    assert told.code == 0 and told.out.startswith("# Evaluation\n") and "| okvqa | accuracy | 51.08 |" in told.out
    assert "report.html" in told.err and (tmp_path / "runs" / "report" / "report.html").stat().st_size > 10_000
    assert run("eval", "report", tmp_path / "runs", "--out", tmp_path / "r", "--json").rows[0].keys() == {
        "rows", "runs", "errors",
    }  # fmt: skip


def test_tags_of_a_file_stand_in_the_prompts(run, world_model, data, tmp_path):
    """Tagged once with lion tag, asked with those tags; another file, or the tagger, is another run."""
    command = ("eval", "okvqa", "--data", data, "--model", world_model, "--limit", 2, "--out", tmp_path / "run")
    for name, words in (("few", ("--top-k", "1")), ("top", ("--top-k", "2"))):
        assert (
            run("tag", data / "**" / "*.jpg", "--model", world_model, "--out", tmp_path / f"{name}.jsonl", *words).code
            == 0
        )
    tagged = {row["hash"]: row["tags"] for row in map(json.loads, (tmp_path / "top.jsonl").open())}
    assert run(*command, "--tags-from", tmp_path / "top.jsonl").code == 0
    answers = [*map(json.loads, (tmp_path / "run/okvqa/predictions/okvqa.jsonl").open())]
    assert len(answers) == 2
    for row in answers:
        assert len(row["tags"]) == 2 and row["tags"] in tagged.values()
    for words in ((), ("--tags-from", tmp_path / "few.jsonl")):
        ran = run(*command, *words)
        assert ran.code == 2 and "choose another --out" in ran.err
    (tmp_path / "none.jsonl").write_text("")
    ran = run(*command[:-1], tmp_path / "other", "--tags-from", tmp_path / "none.jsonl")
    assert ran.code == 2 and "okvqa record" in ran.err and "has no tags of this picture" in ran.err


def test_what_is_missing_is_told(run, world_model, data, tmp_path):
    command = ("eval", "okvqa", "--data", data, "--model", world_model, "--out", tmp_path / "run", "--json")
    ran = run(*command, "--strict")
    assert ran.code == 2 and "24 of the official 5046" in ran.err and not (tmp_path / "run").exists()
    ran = run(*command, "--skip-bad")
    assert ran.code == 0 and ran.err == "lion: note: okvqa: 24 of the official 5046 samples are there\n"


def test_everything_on_drawn_pictures(run, world_model, tmp_path):
    command = ("eval", "all-mini", "--model", world_model, "--out", tmp_path, "--limit", 1, "--json")
    ran = run(*command)
    assert ran.code == 0 and ran.err == ""
    asked = {row["benchmark"]: row for row in ran.rows}
    assert len(asked) > 18 and {"visdial", "mmbench", "reg-test", "refcoco+-testB", "aokvqa-mc"} <= asked.keys()
    assert all(row["samples"] == 1 and row["official"] is None and row["drawn"] for row in ran.rows)
    report = run("eval", "report", tmp_path)
    assert report.code == 0 and "## Questions, drawn" in report.out


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
        (["okvqa", "--data", ".", "--prompt", "statement"], "there are question, short-answer"),
        (["okvqa", "--data", ".", "--decoding", "greedy"], "no decoding 'greedy'"),
        (["okvqa", "--data", ".", "--tags-off", "--tags-from", "t.jsonl"], "exclude each other"),
        (["okvqa", "--data", ".", "--tags-from", "t.jsonl"], "write one with lion tag"),
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
    monkeypatch.setattr("lion.checkpoints.finding.files", lambda package: tmp_path / "package")
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


def test_commands_of_the_evaluation_docs(run, world_model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "model").symlink_to(world_model)
    (tmp_path / "DIR").symlink_to(data)
    (tmp_path / "package" / "bundled").mkdir(parents=True)
    (tmp_path / "package" / "bundled" / "lion-mini").symlink_to(world_model)
    monkeypatch.setattr("lion.checkpoints.finding.files", lambda package: tmp_path / "package")
    text = (ROOT / "docs" / "evaluation.md").read_text()
    commands = re.findall(r"^\$ lion (.*)$", text, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        words = shlex.split(command)
        few = ("--limit", 1, "--batch-size", 4) if words[1] not in ("score", "report") else ()
        ran = run(*words, *few)
        assert ran.code == 0 and ran.out, command
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/evaluation.md", "exec"), {})


def test_the_table_of_the_docs_names_every_benchmark():
    rows = [line for line in (ROOT / "docs" / "evaluation.md").read_text().splitlines() if line.count("|") == 7]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    for row in ROWS:
        suffix = row.name.removeprefix(row.group or row.dataset)
        assert row.name in named or (suffix in named and (row.group or row.dataset) in named), row.name
        assert {row.tuned_prompt, *row.prompts} & set(" ".join(rows).replace(",", " ").split()), row.name


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
