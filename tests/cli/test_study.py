"""``lion study``: a small run of every shipped study, its page; stopping, going on, and mistakes in one line."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lion.data import pictures
from lion.studies.asking import Task
from lion.studies.schema import load_study, shipped
from lion.train.stopping import StopRequest
from tests.studies.small import overrides

ARMS = {
    "conflict": ["stage-wise", "joint-shared"],
    "decoding": ["stage-wise"],
    "hallucination": ["stage-wise", "joint-shared"],
    "routing": ["stage-wise", "joint-mixture"],
    "seeds": ["stage-wise"],
    "tags": ["none", "soft-some"],
    "visual-level": ["both", "qformer"],
}
"""The base arm of each study, and another where it has one."""


@pytest.fixture(autouse=True)
def load_once():
    """Every test of a study gets the model from disk, as it changes the gates of what it has loaded."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One folder for all studies, which share their runs, and one cache of pictures; one thread."""
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("studies")
    patch.setenv("LION_CACHE", str(folder / "cache"))
    patch.setattr(pictures, "BLOCK", 16)
    patch.chdir(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    patch.undo()


def small(name):
    only = [word for arm in ARMS[name] for word in ("--only", arm)]
    return ["study", name, *overrides(name), *only, "--out", "all", "--seeds", "2", "--questions", "2"]


def test_every_shipped_study_is_run_here():
    assert sorted(ARMS) == shipped() and len(ARMS) == 7


@pytest.mark.parametrize("name", sorted(ARMS))
def test_a_small_run_of_every_study(run, place, name):
    ran = run(*small(name), "--page", f"docs/{name}.md", "--json")
    assert ran.code == 0, ran.err
    study, (numbers,) = load_study(name), ran.rows
    page = Path(f"docs/{name}.md").read_text()
    for heading in ("# ", *["## Verdicts"] * bool(study.claims), "## Scores", "## How", "## Made by"):
        assert heading in page
    assert page.count("2 of 2") == sum(cell.arm in ARMS[name] for cell in study.cells)
    assert not re.search(r"\bnan\b", page) and f"lion study {name} steps=1" in page
    for picture in re.findall(r"\]\((.*?\.png)\)", page):
        for path in (Path("docs") / picture, (Path("docs") / picture).with_suffix(".svg")):
            assert path.stat().st_size > 2000
    assert f"docs/{name}-" in ran.err or not study.figures
    assert json.loads(Path(f"docs/{name}.json").read_text()) == numbers
    decided = [claim for claim in numbers["claims"].values() if claim["difference"]]
    assert bool(decided) == (name != "seeds")
    assert all(re.match(r"(not seen|holds by|reversed by)", claim["verdict"]) for claim in decided)
    again = run(*small(name), "--dry-run", "--json")
    assert again.rows[0]["missing runs"] == again.rows[0]["missing tests"] == 0


def test_a_dry_run_names_arms_runs_and_hours(run, place):
    ran = run("study", "conflict", "--dry-run", "--out", "none")
    assert ran.code == 0, ran.err
    assert "arm  stage-wise: connectors > stage1 > stage2 > stage3, seeds 5" in ran.out
    assert "run  connectors (6 arms): 1 of 1 missing, 400 steps, a step not timed" in ran.out
    assert "runs 51 of 51 missing" in ran.out and "tests 30 of 30 missing" in ran.out
    assert not Path("none").exists()
    timed = run(*small("seeds"), "--dry-run", "--time", "--json", "optimizer.lr=2e-3")
    (plan,) = timed.rows
    kinds = {kind["name"]: kind for kind in plan["kinds"]}
    assert kinds["stage1"]["seconds_per_step"] > 0 and kinds["stage1"]["trained"] > 100_000
    assert kinds["stage1"]["hours"] == pytest.approx(2 * kinds["stage1"]["seconds_per_step"] / 3600)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["conflit"], "did you mean conflict?"),
        (["conflict", "--only", "paper"], "its arms are stage-wise"),
        (["conflict", "stepz=1"], "did you mean steps?"),
        (["conflict", "--time"], "add --dry-run"),
        (["conflict", "stage9:steps=1"], "its runs are"),
    ],
)
def test_mistakes(run, place, words, says):
    ran = run("study", *words, "--out", "none")
    assert ran.code == 2 and says in ran.err and len(ran.err.splitlines()) == 1 and not Path("none").exists()


def test_answers_that_are_stopped_go_on(run, place, monkeypatch):
    """Ctrl-C while questions are answered: a line, exit code 130, and the same command asks what is left alone."""
    words = [*small("seeds"), "--questions", "12"]
    stops, asked = StopRequest(), list[int]()
    stops.interrupted = True

    @contextmanager
    def stop_request():
        yield stops

    def watch(meter, task, done, total, row=None, /):
        if task == "questions":
            asked.append(done)
            if done >= 40:
                stops.set()

    with monkeypatch.context() as patch:
        patch.setattr("lion.studies.asking.stop_request", stop_request)
        patch.setattr("lion.cli.output.Meter.watch", watch)
        ran = run(*words)
        assert ran.code == 130 and "the same command goes on" in ran.err and ran.err.count("stopped") == 1
        asked_so = Task(Path("runs/model"), "plain", load_study("seeds").tests["plain"]).folder.name
        kept = sum(
            len(path.read_text().splitlines()) for path in place.glob(f"all/answers/stage3-s*/{asked_so}/*/*.jsonl")
        )
        stops, said_before = StopRequest(), len(asked)
        patch.setattr("lion.cli.output.Meter.watch", lambda meter, task, done, *more: asked.append(done))
        assert run(*words).code == 0
    assert said_before and asked[-1] == 2 * 8 * 12 - kept > 0
