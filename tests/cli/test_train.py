"""``lion train``: dry runs of every shipped recipe, chains that skip what is finished, mistakes in one line."""

import json
import multiprocessing
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lion.cli import main
from lion.data import pictures
from lion.train.dry_run import dry_run
from lion.train.language_modelling import LanguageModelling
from lion.train.recipe import load, shipped
from lion.train.run import build_model
from tests import processes


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pictures, "BLOCK", 16)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_shipped_recipe_dry_runs(run, monkeypatch):
    """Without a pass of the model, and without its weights."""
    monkeypatch.setattr("lion.train.dry_run.time_step", None)
    monkeypatch.setattr("lion.train.dry_run.build_model", None)
    ran = run("train", "mini", "--dry-run", "--json", "batch_size=4", "root=nowhere")
    assert ran.code == 0, ran.err
    assert {plan["name"] for plan in ran.rows} == {name for name in shipped() if name.startswith("mini-")} - {
        "mini-quick"
    }
    for plan in ran.rows:
        assert plan["samples"] == 4 * load(plan["name"]).steps and min(plan["trained"].values()) > 0
        assert plan["seconds_per_step"] is None and plan["hours"] is None
    assert ran.rows[-2]["missing"] == [f"nowhere/{name}" for name in ("stage2", "stage1", "tagger")]


def test_a_dry_run_after_a_model_was_loaded(run, monkeypatch):
    """transformers replaces torch.linspace while it loads; torch may then keep that one for `with torch.device`."""
    kept = torch.linspace
    monkeypatch.setattr("torch.linspace", lambda *ends, device="cpu", **more: kept(*ends, device=device, **more))
    ran = run("train", "mini-t5", "--dry-run", "--json")
    assert ran.code == 0, ran.err


def test_a_dry_run_says_what_it_needs_and_times_a_step_on_request(run, chain, tmp_path):
    own = str(tmp_path / "own1.yaml")
    text = run("train", own, "--dry-run").out
    assert "own1: stage1, 2 steps, 8 samples" in text and "frozen" in text and "MB for weights" in text
    assert "time" not in text and not (tmp_path / "out1").exists()
    timed = run("train", own, "--dry-run", "--time")
    assert timed.out.startswith(text) and " a step here" in timed.out.splitlines()[-1]
    (plan,) = run("train", own, "--dry-run", "--time", "--json").rows
    assert plan["hours"] == pytest.approx(plan["seconds_per_step"] * 2 / 3600)
    assert "first  out1 has to be trained" in run("train", chain, "--dry-run").out
    (tmp_path / "out1").mkdir()  # as of a run that was stopped
    assert "first  out1 has to be trained" in run("train", chain, "--dry-run").out
    refused = run("train", own, "--time")
    assert refused.code == 2 and "add --dry-run" in refused.err


def test_a_dry_run_counts_what_trains_as_the_run_does(chain, tmp_path):
    recipe = load(str(tmp_path / "own1.yaml"), ["stage=stage3", "init.model=lion-mini"])
    estimate, objective = dry_run(recipe)
    model, components = build_model(objective, torch.device("cpu"))
    assert estimate.trained == {part: sum(p.numel() for _, p in named) for part, named in components.items()}
    assert estimate.frozen == sum(p.numel() for p in model.parameters()) - sum(estimate.trained.values())


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("init.model=lion-mimi", "init.model: there is no folder lion-mimi; train what it comes from first"),
        ("init.qformer=runs/nothing", "init.qformer: there is no folder runs/nothing"),
        ("init.tagger=empty", "init.tagger: empty holds no finished tagger"),
        ("init.model=empty", "empty holds no processor"),
        ("init.qformer=empty", "'empty' holds no *.safetensors"),
    ],
)
def test_a_dry_run_is_refused_as_the_run_would_be(run, chain, tmp_path, override, says):
    (tmp_path / "empty").mkdir()
    for words in (["--dry-run"], ["--dry-run", "--json"], []):
        ran = run("train", "own1.yaml", override, *words)
        assert ran.code == 2 and says in ran.err and len(ran.err.splitlines()) == 1 and not ran.out


@pytest.fixture
def chain(tmp_path):
    """Two tiny stages in files of their own, chained."""
    world = {"source": "world", "scenes": 8, "pixels": 64}
    shared = {"model": "tiny", "steps": 2, "batch_size": 4, "optimizer": {"lr": 0.001}}
    for number, tasks in ((1, {"vqa": 1}), (2, {"rec": 1})):
        fields = {**shared, "name": f"own{number}", "stage": f"stage{number}", "out": f"out{number}"}
        fields |= {"data": [{**world, "tasks": tasks}], "init": {"model": "out1"} if number == 2 else {}}
        (tmp_path / f"own{number}.yaml").write_text(yaml.safe_dump(fields))
    (tmp_path / "chain.yaml").write_text(yaml.safe_dump({"chain": ["own1.yaml", {"recipe": "own2.yaml"}]}))
    return str(tmp_path / "chain.yaml")


def test_a_chain_trains_in_order_and_skips_what_is_finished(run, chain):
    first = run("train", chain, "own2:validation.every=9", "own2:validation.samples=4")
    assert first.code == 0, first.err
    assert "own1: 2 steps" in first.out and "own2: 2 steps" in first.out and "rec/mean_iou" in first.out
    again = run("train", chain, "--json")
    assert again.code == 0 and [row["name"] for row in again.rows] == ["own1", "own2"]
    assert again.err.count("is finished") == 2
    refused = run("train", chain, "steps=3")
    assert refused.code == 2 and "another recipe" in refused.err and "--restart" in refused.err
    assert run("train", chain, "steps=3", "--restart").code == 0


@pytest.fixture
def three(tmp_path, chain):
    """Two tiny stages that need nothing of each other, and one that needs both."""
    (tmp_path / "own3.yaml").write_text((tmp_path / "own1.yaml").read_text().replace("own1", "own3"))
    last = yaml.safe_load((tmp_path / "own2.yaml").read_text())
    last |= {"init": {"model": "out1", "image_adapter": "out3"}}
    (tmp_path / "own2.yaml").write_text(yaml.safe_dump(last))
    other = yaml.safe_load((tmp_path / "own3.yaml").read_text()) | {"out": "out3", "seed": 5}
    (tmp_path / "own3.yaml").write_text(yaml.safe_dump(other))
    Path(chain).write_text(yaml.safe_dump({"chain": ["own1.yaml", "own3.yaml", "own2.yaml"]}))
    return chain


def test_recipes_that_need_nothing_of_each_other_train_side_by_side(run, three, tmp_path, monkeypatch):
    """The same models as one after another without workers, bars of each, and a failure that leaves one line."""
    shown = []
    spawn, fork = multiprocessing.get_context, lambda method: processes.context()
    monkeypatch.setattr("lion.train.side_by_side.get_context", fork)
    monkeypatch.setattr("lion.cli.output.Meter.watch", lambda _, *report: shown.append(report))
    ran = run("train", three, f"root={tmp_path}/two", "own1:workers=1", "--at-once", "2", "--json")
    assert ran.code == 0, ran.err
    assert {row["name"] for row in ran.rows[:2]} == {"own1", "own3"} and ran.rows[2]["name"] == "own2"
    steps = [report for report in shown if report[0] != "drawing pictures"]
    ends = {(name, done) for name, done, total, row in steps if done == total and row["loss"] > 0}
    assert ends == {(f"own{number}", 2) for number in (1, 2, 3)}
    assert run("train", three, f"root={tmp_path}/one").code == 0
    for out in ("out1", "out2", "out3"):
        first, second = (load_file(tmp_path / root / out / "model.safetensors") for root in ("two", "one"))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    again = run("train", three, f"root={tmp_path}/two", "--at-once", "3")
    assert again.code == 0 and again.err.count("is finished") == 3
    (tmp_path / "off").mkdir()
    (tmp_path / "off/out1").write_text("a file where a folder is to be")
    (tmp_path / "one.yaml").write_text("chain: [own1.yaml]")
    monkeypatch.setattr("lion.train.side_by_side.get_context", spawn)  # a new process indeed, as users have it
    ran = run("train", tmp_path / "one.yaml", f"root={tmp_path}/off", "--at-once", "2")
    monkeypatch.setattr("lion.train.side_by_side.get_context", fork)
    assert ran.code == 2 and "Traceback" not in ran.err and f"{tmp_path}/off/out1" in ran.err.splitlines()[-1]
    broken = run("train", three, f"root={tmp_path}/new", "own3:optimizer.lr=1e30", "steps=40", "--at-once", "2")
    assert broken.code == 2 and "lower optimizer.lr" in broken.err.splitlines()[-1] and "Traceback" not in broken.err


def test_side_by_side_is_not_for_several_processes(run, chain, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    ran = run("train", chain, "--at-once", "2")
    assert ran.code == 2 and "leave it out under accelerate launch" in ran.err


def train_chain(chain, root, errors):
    """``lion train``, in a process of its own, of runs that never end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with errors.open("w") as sys.stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr("lion.train.side_by_side.get_context", lambda method: multiprocessing.get_context("fork"))
        code = main(["train", chain, f"root={root}", "steps=100000", "--at-once", "2"])
    sys.exit(code)


def test_accelerates_files_are_found_by_name(run):
    for name, kind in (("ddp", "MULTI_GPU"), ("fsdp2", "FSDP")):
        ran = run("train", "--accelerate-config", name)
        assert ran.code == 0 and yaml.safe_load(Path(ran.out.strip()).read_text())["distributed_type"] == kind
    ran = run("train", "--accelerate-config", "zero3")
    assert ran.code == 2 and ran.err.endswith("there is no zero3; there are ddp, fsdp2\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_scheduler_s_signal_is_no_failure_once_the_run_is_saved(run, chain, tmp_path, monkeypatch, number, code):
    sent = []

    def loss(self, model, batch, whole=LanguageModelling.loss):
        if not sent:
            sent.append(os.kill(os.getpid(), number))
        return whole(self, model, batch)

    monkeypatch.setattr(LanguageModelling, "loss", loss)
    ran = run("train", chain, f"root={tmp_path}")
    assert ran.code == code
    (line,) = [line for line in ran.err.splitlines() if "stopped" in line]
    assert line.endswith("note: stopped after step 1 of 2; the same command, without any --restart, resumes")
    assert (tmp_path / "out1/checkpoints/step-0000001").is_dir()


def test_a_stopped_chain_lets_all_its_runs_save(three, tmp_path):
    errors = tmp_path / "stderr"
    chain_of_runs = processes.context().Process(target=train_chain, args=(three, tmp_path, errors))
    chain_of_runs.start()
    logs = [tmp_path / out / "train.jsonl" for out in ("out1", "out3")]
    while not all(log.is_file() and log.stat().st_size for log in logs):
        assert chain_of_runs.is_alive(), errors.read_text()
        time.sleep(0.1)
    os.kill(chain_of_runs.pid, signal.SIGINT)
    chain_of_runs.join(60)
    assert chain_of_runs.exitcode == 130
    assert "the same command, without any --restart, resumes" in errors.read_text()
    for log in logs:
        (saved,) = (log.parent / "checkpoints").iterdir()
        assert int(re.search(r"\d+", saved.name)[0]) == len(log.read_text().splitlines())


def test_a_chain_can_end_with_questions(run, chain, tmp_path):
    fields = yaml.safe_load(Path(chain).read_text())
    Path(chain).write_text(yaml.safe_dump({**fields, "questions": 2}))
    ran = run("train", chain, f"root={tmp_path}/runs")
    assert ran.code == 0, ran.err
    assert "out2 on world-test" in ran.out and "blind" in ran.out
    scores = json.loads((tmp_path / "runs/scores/scores.json").read_text())
    assert scores["limit"] == 2 and "rec" in str(scores)
    again = run("train", chain, f"root={tmp_path}/runs", "own2:seed=3", "--restart")
    assert again.code == 0 and "out2 on world-test" in again.out, again.err
    for wrong in ("many", -1):
        Path(chain).write_text(yaml.safe_dump({**fields, "questions": wrong}))
        ran = run("train", chain)
        assert ran.code == 2 and "is not a number of test questions" in ran.err


def test_the_curves_of_a_chain_are_drawn_while_it_trains_and_after(run, chain, tmp_path):
    assert (
        run("train", chain, f"root={tmp_path}/runs", "own2:validation.every=2", "own2:validation.samples=2").code == 0
    )
    drawn = run("train", "--plot", tmp_path / "runs")
    assert (drawn.code, drawn.out) == (0, "curves.png: out1, out2\n") and (tmp_path / "curves.png").stat().st_size
    again = run("train", "--plot", tmp_path / "runs/out2", "runs/out1", "--out", "both.svg")
    assert again.out == "both.svg: out2, out1\n" and "rec accuracy@0.5" in (tmp_path / "both.svg").read_text()
    assert len(list((tmp_path / "runs/out2/samples").iterdir())) == 2
    for words, says in (
        (("own1.yaml", "--out", "curves.png"), "--out names the figure of --plot"),
        (("--plot", "nowhere"), "nowhere holds no run"),
        (("--plot", "runs", "--out", "curves.doc"), "must end in .png"),
    ):
        ran = run("train", *words)
        assert ran.code == 2 and says in ran.err and len(ran.err.splitlines()) == 1


def test_services_are_checked_before_anything_is_trained(run, chain, tmp_path, monkeypatch):
    monkeypatch.setattr("lion.train.trackers.find_spec", lambda name: None)
    for words in (("--log-to", "wandb"), ("own2:log_to=[wandb]",)):
        ran = run("train", chain, *words)
        assert ran.code == 2 and ran.err == "lion: error: log_to: wandb is not installed: pip install wandb\n"
    ran = run("train", chain, "--log-to", "comet")
    assert ran.code == 2 and "must be 'wandb' or 'trackio' (it is comet)" in ran.err
    assert not list(tmp_path.glob("out*"))


def test_mistakes_are_one_line(run, chain):
    for words, message in (
        (("mini-stage11",), "did you mean mini-stage1?"),
        (("mini-stage1", "steps=zero"), "mini-stage1: steps: must be a whole number"),
        (("mini-stage1", "fast"), "an override is key=value"),
        (("mini-stage1", "steps=100", "seed=1", "steps=200"), "steps: is given after steps, which it would replace"),
        (("mini-stage2", "root=nowhere"), "there is no folder nowhere/"),
    ):
        ran = run("train", *words)
        assert ran.code == 2 and message in ran.err and len(ran.err.splitlines()) == 1


def test_help_lists_the_recipes(run):
    out = run("train", "--help").out
    assert "mini-stage1" in out and "mini-quick" in out
