"""``lion eval``: run, killed, resumed, scored again; and what the pages of the drawn world show is run here."""

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
PAGES = ("explanation/world.md", "how-to/evaluation_world.md")
DOCS = "\n".join((ROOT / "docs" / page).read_text() for page in PAGES)
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
    assert str(out / "report.md") in ran.out.replace("\n", "") and "grey picture" not in ran.out
    ran = run("eval", "world", "--model", world_model, "--out", out, "--blind", "--json", *FEW)
    (record,) = ran.rows
    scores = json.loads((out / "scores.json").read_text())
    assert scores.items() <= record.items() and record["blind_run"]
    assert record["model"] == str(world_model) and record["limit"] == 2
    ran = run("eval", "score", out)
    assert ran.code == 0 and "grey picture" in ran.out
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
    assert run("eval", "world", "--model", world_model, "--split", "val", "--no-tags", *FEW).code == 0
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
        "rows", "differences", "unscored", "runs", "errors",
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


def test_everything_on_drawn_pictures(run, world_model, tmp_path, monkeypatch):
    command = ("eval", "all-mini", "--model", world_model, "--out", tmp_path, "--limit", 1, "--json")
    ran = run(*command)
    assert ran.code == 0 and ran.err == ""
    asked = {row["benchmark"]: row for row in ran.rows}
    assert len(asked) > 18 and {"visdial", "mmbench", "reg-test", "refcoco+-testB", "aokvqa-mc"} <= asked.keys()
    assert all(row["samples"] == 1 and row["official"] is None and row["drawn"] for row in ran.rows)
    report = run("eval", "report", tmp_path)
    assert report.code == 0 and "## Questions, drawn" in report.out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = run("eval", "report", tmp_path)
    assert shown.code == 0 and "Questions, drawn" in shown.out and "##" not in shown.out and "| " not in shown.out


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
        (["okvqa", "--data", ".", "--decoding", "greed"], "no decoding 'greed'"),
        (["okvqa", "--data", ".", "--no-tags", "--tags-from", "t.jsonl"], "exclude each other"),
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


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("how-to/evaluation.md", (5, 1)),
        ("how-to/evaluation_own.md", (5, 1)),
        ("how-to/evaluation_drawn.md", (2, 0)),
        ("tutorials/evaluate.md", (4, 0)),
    ],
)
def test_commands_of_the_evaluation_docs(run, world_model, data, own, tmp_path, monkeypatch, page, shown):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "model").symlink_to(world_model)
    (tmp_path / "DIR").symlink_to(data)
    (tmp_path / "package" / "bundled").mkdir(parents=True)
    (tmp_path / "package" / "bundled" / "lion-mini").symlink_to(world_model)
    monkeypatch.setattr("lion.checkpoints.finding.files", lambda package: tmp_path / "package")
    text = (ROOT / "docs" / page).read_text()
    commands = re.findall(r"^\$ lion (.*)$", text, re.MULTILINE)
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert (len(commands), len(blocks)) == shown and own.name == "my.jsonl"
    for command in commands:
        words = shlex.split(command)
        few = ("--limit", 1, "--batch-size", 4) if words[0] == "eval" and words[1] not in ("score", "report") else ()
        ran = run(*words, *few)
        assert ran.code == 0 and ran.out, (command, ran.err)
    for block in blocks:
        exec(compile(block, page, "exec"), {})


def test_the_table_of_the_docs_names_every_benchmark():
    rows = [
        line
        for line in (ROOT / "docs" / "reference" / "benchmarks.md").read_text().splitlines()
        if line.count("|") == 7
    ]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    for row in ROWS:
        suffix = row.name.removeprefix(row.group or row.dataset)
        assert row.name in named or (suffix in named and (row.group or row.dataset) in named), row.name
        assert {row.tuned_prompt, *row.prompts} & set(" ".join(rows).replace(",", " ").split()), row.name


def test_python_of_the_docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/explanation/world.md", "exec"), {})
    assert Image.open("scene-0.png").size == (256, 256)


def test_contact_sheet(tmp_path, monkeypatch, capsys):
    sheet = tmp_path / "sheet.png"
    options = ["--out", str(sheet), "--columns", "2", "--rows", "1", "--pixels", "64"]
    monkeypatch.setattr(sys, "argv", ["contact_sheet.py", *options])
    runpy.run_path(str(ROOT / "examples" / "contact_sheet.py"), run_name="__main__")
    assert Image.open(sheet).size == (132, 64) and str(sheet) in capsys.readouterr().out


def test_the_picture_of_the_docs_is_there_and_small():
    (shown,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", DOCS)
    assert (ROOT / "docs" / "explanation" / shown).stat().st_size <= 300_000


# -- drawn data, own files, two models ---------------------------------------------------------------------------------

LINES = [
    {"image": "a.png", "caption": "a red cat"},
    {"image": "b.png", "caption": "a blue dog"},
    {"image": "a.png", "question": "what is it?", "answer": "cat"},
    {"image": "a.png", "expression": "the cat", "box": [0.1, 0.2, 0.5, 0.9]},
]


@pytest.fixture
def own(tmp_path):
    """A file of one's own with four tasks."""
    for name, shade in (("a.png", 40), ("b.png", 200)):
        Image.new("RGB", (40, 30), (shade, 0, 0)).save(tmp_path / name)
    path = tmp_path / "my.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


@pytest.mark.parametrize("moved", [False, True])
def test_drawn_scores_never_stand_beside_the_papers(run, world_model, tmp_path, moved):
    """Terminal, JSON, run.json, scores.json, report and gallery say so; for files copied out of their folder, too."""
    assert run("world", tmp_path / "lab", "--as", "refcoco", "--split", "test", "--size", 6, "--pixels", 64).code == 0
    lab = tmp_path / "lab"
    if moved:
        (lab / "refcoco" / "lion-world.json").unlink()
        (lab / "coco").mkdir()
        (lab / "refcoco" / "train2014").rename(lab / "coco" / "train2014")
    out = tmp_path / "out"
    command = ("eval", "refcoco-testB", "--data", lab, "--model", world_model, "--out", out, "--limit", 3)
    ran = run(*command)
    assert ran.code == 0 and "refcoco-testB (drawn)" in ran.out and "Drawn pictures: " in ran.out
    assert "84.82" not in ran.out and "5095" not in ran.out and "LION-4B" not in ran.out
    (row,) = run(*command, "--json").rows
    assert row["drawn"] and row["official"] is None and row["world"]["seed"] == 0
    for name in ("run.json", "scores.json"):
        kept = json.loads((out / "refcoco-testB" / name).read_text())
        assert kept["drawn"] and kept["world"] == row["world"]
    told = run("eval", "report", out)
    assert told.code == 0 and "Referring expressions, drawn" in told.out and "84.82" not in told.out
    assert "| refcoco-testB (drawn) |" in told.out and "Drawn pictures: " in told.out and "seed 0" in told.out
    report = json.loads((out / "report" / "report.json").read_text())
    assert [one["drawn"] for one in report["rows"]] == [True] and report["rows"][0]["paper"] == {}
    assert {one["benchmark"] for one in report["errors"]} == {"refcoco-testB (drawn)"}
    assert "refcoco-testB (drawn), " in (out / "report" / "report.html").read_text()
    ran = run(*command[:-2], "--strict")
    assert ran.code == 2 and "leave --strict out" in ran.err


def test_own_files_alone_and_beside_benchmarks(run, world_model, data, own, tmp_path):
    out = tmp_path / "out"
    ran = run("eval", own, "--model", world_model, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["my-caption", "my-rec", "my-reg", "my-vqa"]
    for name in (
        "my-caption +cider",
        "my-caption +rouge_l",
        "my-vqa +exact_match",
        "my-rec +mean_iou",
        "my-reg +cider",
    ):
        assert re.search(name, ran.out), name
    assert "LION-4B" not in ran.out and "too few samples for a standard error" in ran.out
    assert "my-reg cider" in ran.out.split("idf is 0")[1]
    told = run("eval", "report", out)
    assert told.code == 0 and "## Own files" in told.out and "not run" not in told.out and "## Notes" in told.out
    again = run("eval", "score", out, "--json")
    assert [row["benchmark"] for row in again.rows] == ["my-caption", "my-rec", "my-reg", "my-vqa"]
    command = ("eval", "gqa", own, "--model", world_model, "--data", data, "--out", tmp_path / "both", "--limit", 1)
    both = run(*command, "--json")
    assert [row["benchmark"] for row in both.rows] == ["gqa", "my-caption", "my-vqa", "my-rec", "my-reg"]
    assert {row["samples"] for row in both.rows} == {1}


def test_a_difference_from_another_model(run, world_model, own, tmp_path, says):
    command = ("eval", own, "--model", world_model)
    assert run(*command, "--out", tmp_path / "before").code == 0
    says("[0.10,0.20,0.50,0.90]")
    shown = run(*command, "--out", tmp_path / "after", "--against", tmp_path / "before")
    assert shown.code == 0 and "paired by sample" in shown.out
    rows = run(*command, "--out", tmp_path / "after", "--against", tmp_path / "before", "--json").rows
    (half, _) = next(row["differences"] for row in rows if row["benchmark"] == "my-rec")
    assert (half["score"], half["difference"], half["n"], half["interval"]) == ("accuracy@0.5", 100, 1, None)
    told = run("eval", "report", tmp_path / "before", tmp_path / "after")
    assert told.code == 0 and "## Differences" in told.out and "+100.00" in told.out


def test_mistakes_with_own_files(run, world_model, own, tmp_path):
    other = tmp_path / "more" / "my.jsonl"
    other.parent.mkdir()
    other.write_text(json.dumps({"image": "../a.png", "caption": "x"}) + "\n")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"image": "a.png", "caption": "x"}\n{"image": "a.png", "coption": "x"}\n')
    run("eval", bad, "--model", world_model, "--out", tmp_path / "run", "--skip-bad")
    for words, says in (
        ([own, other], "two of the files would be called my-caption"),
        ([bad], "bad.jsonl line 2"),
        ([tmp_path / "none.jsonl"], "there is no file"),
        (["moon", own], "no benchmark 'moon'"),
        (["okvqa", own], "--data"),
        ([own, "--prompt", "short-answer"], "my-caption has no prompt 'short-answer'"),
        ([own, "--against", tmp_path / "run"], "no run of my-caption on the same file"),
        ([own, "--against", tmp_path / "nowhere"], "no run.json"),
    ):
        ran = run("eval", *words, "--model", world_model, "--out", tmp_path / "new")
        assert ran.code == 2 and len(ran.err.splitlines()) == 1 and says in ran.err, words
    assert not (tmp_path / "new").exists()


def test_a_single_caption_has_no_cider(run, world_model, data, tmp_path):
    command = ("eval", "coco-caption", "--data", data, "--model", world_model, "--out", tmp_path, "--limit", 1)
    ran = run(*command)
    assert ran.code == 0 and re.search(r"cider +[\d.]+ +1 of 5000", ran.out)
    assert re.search(r"idf is 0; too few samples for a standard error: coco-caption cider", ran.out.replace("\n", " "))
    assert "idf is 0" in run(*command, "--json").rows[0]["scores"]["cider"]["note"]
    assert "idf is 0" in run("eval", "report", tmp_path).out


def test_a_report_names_what_is_not_scored(run, world_model, data, tmp_path, monkeypatch):
    from lion.pipeline import LionPipeline

    command = ("eval", "gqa", "vsr", "--data", data, "--model", world_model, "--out", tmp_path, "--limit", 3)
    assert run(*command).code == 0
    (tmp_path / "vsr" / "scores.json").unlink()
    told = run("eval", "report", tmp_path)
    assert told.code == 0 and f"{tmp_path / 'vsr'}: answers without scores" in told.out and "| gqa |" in told.out
    assert json.loads((tmp_path / "report" / "report.json").read_text())["unscored"] == [str(tmp_path / "vsr")]
    monkeypatch.setattr(LionPipeline, "answer", lambda *words, **settings: 1 / 0)
    assert run(*command[:-1], 5).code == 1  # goes on with more samples, and dies
    told = run("eval", "report", tmp_path)
    assert told.code == 0 and f"{tmp_path / 'gqa'}: answers without scores" in told.out
    (tmp_path / "gqa" / "scores.json").unlink()
    told = run("eval", "report", tmp_path)
    assert told.code == 2 and "not scored yet" in told.err
