"""The loop, checkpoints and the run around them, on a toy: curves, resumption after SIGKILL, refusals."""

import json
import math
import os
import shutil
import signal
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lion.atomic import no_space_left
from lion.data.sample import BadSample
from lion.errors import LionError, LionWarning
from lion.train.log import RunLog
from lion.train.loop import fit, learning_rate
from lion.train.parallel import make_accelerator
from lion.train.recipe.schema import OptimizerSettings
from lion.train.run import logged_scores, make_run, train
from lion.train.stopping import Stopped
from tests import processes
from tests.test_locks import holder
from tests.train.toy import Toy, ToyModel, recipe


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def curve(folder: Path) -> list[tuple[int, float, float]]:
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"], row["grad_norm"]) for row in rows]


def test_a_run_logs_every_step_exports_and_is_not_run_twice(tmp_path):
    toy = recipe(tmp_path / "run", validation={"every": 6, "samples": 1}, steps=40)
    record = train(toy, objective=Toy(toy))
    rows = [json.loads(line) for line in (tmp_path / "run/train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert {"loss", "per_task", "lr", "grad_norm", "samples_per_second"} < set(rows[0])
    assert [row["step"] for row in rows if "grad_norms" in row] == [1, *range(5, 41, 5)]
    for row in rows[4::5]:
        parts = row["grad_norms"]
        assert math.hypot(parts["body"], parts["head"]) == pytest.approx(row["grad_norm"], rel=1e-4), "the clipped one"
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    scores = [json.loads(line) for line in (tmp_path / "run/validation.jsonl").read_text().splitlines()]
    assert [row["step"] for row in scores] == [0, 6, 12, 18, 24, 30, 36, 40]
    assert record["scores_at_start"] == {"error": scores[0]["error"]}
    assert record["scores"]["error"] == scores[-1]["error"] < scores[0]["error"] and record["samples"] == 320
    assert list((tmp_path / "run/tensorboard").glob("events*"))
    assert set(load_file(tmp_path / "run/model.safetensors")) == set(ToyModel().state_dict())
    again = Toy(toy)
    assert train(toy, objective=again) == record and not again.prepared


def test_counting_a_runs_arithmetic_changes_nothing_of_it(tmp_path, monkeypatch, one_thread):
    plain, counted = (recipe(tmp_path / name) for name in ("plain", "counted"))
    train(plain, objective=Toy(plain))
    monkeypatch.setattr("lion.train.run.peak_flops", lambda device, dtype: 1e9)
    train(counted, objective=Toy(counted))
    rows = [json.loads(line) for line in (tmp_path / "counted/train.jsonl").read_text().splitlines()]
    assert all(0 < row["mfu"] < 1 for row in rows) and curve(tmp_path / "plain") == curve(tmp_path / "counted")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("plain", "counted")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_finished_run_of_another_recipe_is_refused_and_restart_replaces_it(tmp_path):
    first = recipe(tmp_path, steps=4)
    train(first, objective=Toy(first))
    other = recipe(tmp_path, steps=5)
    with pytest.raises(LionError, match=r"another recipe.*--restart"):
        train(other, objective=Toy(other))
    assert train(other, objective=Toy(other), restart=True)["steps"] == 5


@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_that_holds_other_things_is_left_as_it_is(tmp_path, restart):
    (tmp_path / "recipe.yaml").write_text("name: mine  # with comments\n")
    (tmp_path / "dog.png").write_bytes(b"a picture")
    toy = recipe(tmp_path, steps=4)
    with pytest.raises(
        LionError, match=f"{tmp_path} holds files that no training run wrote; choose another out=FOLDER"
    ):
        train(toy, objective=Toy(toy), restart=restart)
    assert (tmp_path / "dog.png").read_bytes() == b"a picture"
    assert (tmp_path / "recipe.yaml").read_text() == "name: mine  # with comments\n"


def test_a_run_stopped_before_its_log_began_goes_on(tmp_path, monkeypatch):
    toy = recipe(tmp_path / "run", steps=4)

    def stopped(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lion.train.run.RunLog", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(toy, objective=Toy(toy))
    assert train(toy, objective=Toy(toy))["steps"] == 4


def test_a_run_killed_at_its_start_left_a_folder_of_a_run(tmp_path):
    toy = recipe(tmp_path / "run", steps=4)
    train(toy, objective=Toy(toy))
    (written,) = tmp_path.glob("*/recipe.yaml")
    for name in ("new", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(written.read_text())
    new, other = recipe(tmp_path / "new", steps=5), recipe(tmp_path / "other", steps=5)
    assert train(new, objective=Toy(new))["steps"] == 5
    (other.folder / "notes.txt").write_text("mine")
    with pytest.raises(LionError, match="holds files that no training run wrote"):
        train(other, objective=Toy(other), restart=True)
    (other.folder / "notes.txt").unlink()
    (other.folder / "recipe.yaml").write_text("name: mine\nstage: stage1\n")  # written by hand, and a run's it is not
    with pytest.raises(LionError, match="holds files that no training run wrote"):
        train(other, objective=Toy(other))


def test_two_runs_never_write_to_one_folder(tmp_path):
    toy = recipe(tmp_path / "run")
    with holder(toy.folder) as other:
        for restart in (False, True):
            with pytest.raises(LionError, match=f"run is being written by process {other.pid} on"):
                train(toy, objective=Toy(toy), restart=restart)
        other.stdin.close()
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Toy(toy, poison=1))
    assert not (toy.folder / ".lock").exists(), "a failed run lets go of its folder"
    record = train(toy, objective=Toy(toy))
    with holder(toy.folder) as other:
        assert train(toy, objective=Toy(toy)) == record, "what is finished is only read"
        other.stdin.close()


@pytest.mark.parametrize("place", ["recipe.yaml", "step", "log", "state", "checkpoint", "export", "record"])
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path, monkeypatch, place):
    toy = recipe(tmp_path / "run", validation={"every": 6, "samples": 1})

    def fails(*arguments, **settings):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    class Full(Toy):
        def batch(self, step, shard=0):
            if place == "step" and step == 4:
                raise OSError(28, "No space left on device", "/cache/pictures")
            return super().batch(step, shard)

        def export(self, model, out):
            if place == "export":
                fails()
            super().export(model, out)

    def line(self, name, row, write=RunLog._line):
        if row["step"] == 5:
            raise OSError(28, "No space left on device")
        write(self, name, row)

    def write(path, data):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        if place == "log":
            patch.setattr("lion.train.log.RunLog._line", line)
        if place in ("state", "checkpoint"):
            patch.setattr(
                f"lion.train.checkpoint.{'save_file' if place == 'checkpoint' else 'atomic_write_json'}", fails
            )
        if place in ("recipe.yaml", "record"):
            patch.setattr(f"lion.train.run.{'atomic_write' if place == 'recipe.yaml' else 'atomic_write_json'}", write)
        with pytest.raises(LionError) as error:
            train(toy, objective=Full(toy))
    named = "/cache/pictures" if place == "step" else tmp_path / "run"
    assert str(error.value).startswith(str(named)) and "\n" not in str(error.value)
    end = ": No space left on device; make room, and the same command, without any --restart, resumes"
    assert str(error.value).endswith(end)
    assert no_space_left(error.value.__cause__)
    assert not list(toy.folder.rglob("*.tmp"))
    assert train(toy, objective=Toy(toy))["steps"] == 12
    assert [step for step, *_ in curve(toy.folder)] == list(range(1, 13))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_record_is_named_with_its_fix(tmp_path, text):
    toy = recipe(tmp_path, steps=4)
    train(toy, objective=Toy(toy))
    (toy.folder / "finished.json").write_text(text)
    with pytest.raises(LionError, match="--restart"):
        train(toy, objective=Toy(toy))
    assert train(toy, objective=Toy(toy), restart=True)["steps"] == 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("state.json", "{"),
        ("state.json", "[]"),
        ("trained.safetensors", "{"),
        ("optimiser.safetensors", ""),
        ("random-0.json", "{"),
        ("random-0.json", "{}"),
        ("random-0.json", None),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_serves(tmp_path, name, text):
    toy = recipe(tmp_path, checkpoint={"every": 3, "keep": 2})
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Toy(toy, poison=7))
    newest = tmp_path / "checkpoints/step-0000006"
    if text is None:
        (newest / name).unlink()
    else:
        (newest / name).write_text(text)
    with pytest.raises(LionError, match=r"step-0000006 is damaged; delete it"):
        train(toy, objective=Toy(toy))
    shutil.rmtree(newest)
    assert train(toy, objective=Toy(toy))["steps"] == toy.steps


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    first = recipe(tmp_path)
    with pytest.raises(LionError, match="nan"):
        train(first, objective=Toy(first, poison=7))
    other = recipe(tmp_path, seed=1)
    with pytest.raises(LionError, match="step-0000006 belongs to another recipe"):
        train(other, objective=Toy(other))


def test_a_stage_does_not_start_from_a_run_that_has_not_finished(tmp_path):
    before, after = recipe(tmp_path / "one"), recipe(tmp_path / "two", init={"model": str(tmp_path / "one")})
    with pytest.raises(LionError, match="nan"):
        train(before, objective=Toy(before, poison=7))
    with pytest.raises(LionError, match=r"toy: init.model: the run in .*one has not finished; let it go on first"):
        train(after, objective=Toy(after))
    assert not after.folder.exists()
    train(before, objective=Toy(before))
    assert train(after, objective=Toy(after))["steps"] == 12


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(tmp_path):
    toy = recipe(tmp_path)
    with pytest.raises(LionError, match=r"step 5: the loss is nan.*toy-4-0-0, toy-4-0-1"):
        train(toy, objective=Toy(toy, poison=4))


@pytest.mark.parametrize(("poison", "back"), [({4}, [3]), ({0}, [0]), ({4, 7, 11}, [3, 6, 9]), ({3, 4}, [3, 3])])
def test_a_step_that_is_not_finite_is_left_out_from_the_checkpoint_on(tmp_path, poison, back, one_thread):
    """The weights are those of a run that never took the step."""
    toy = recipe(tmp_path / "run", checkpoint={"every": 3, "rewinds": 3}, validation={"every": 6, "samples": 1})
    with pytest.warns(LionWarning) as said:
        record = train(toy, objective=Toy(toy, poison=poison))
    lines = [str(each.message) for each in said if "rewinds" in str(each.message)]
    assert lines == [
        f"toy: step {bad + 1}: the loss is nan; back to step {step} and past it ({number} of checkpoint.rewinds=3)"
        for number, (bad, step) in enumerate(zip(sorted(poison), back, strict=True), start=1)
    ]
    assert record["steps_left_out"] == [bad + 1 for bad in sorted(poison)]
    assert (record["samples"], record["bad_samples"]) == (8 * (12 - len(poison)), 8 * len(poison))
    assert [step for step, *_ in curve(toy.folder)] == [step + 1 for step in range(12) if step not in poison]
    rows = [json.loads(line) for line in (toy.folder / "bad_samples.jsonl").read_text().splitlines()]
    reason = "its step was left out, where the loss was nan"
    assert rows == [
        {"step": bad + 1, "id": f"toy-{bad}-0-{row}", "reason": reason} for bad in sorted(poison) for row in range(8)
    ]
    scored = [json.loads(line)["step"] for line in (toy.folder / "validation.jsonl").read_text().splitlines()]
    assert scored == [0, 6, 12]

    other = recipe(tmp_path / "other", checkpoint={"every": 3})
    run = make_run(other, Toy(other), make_accelerator())
    run.progress.left_out = {bad + 1: [] for bad in poison}  # known from the start
    fit(run)
    run.log.close()
    weights = load_file(toy.folder / "model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in run.bare_model.state_dict().items())


def test_more_steps_than_may_be_left_out_end_the_run(tmp_path):
    toy = recipe(tmp_path, checkpoint={"every": 3, "rewinds": 1})
    with (
        pytest.warns(LionWarning, match="back to step 3"),
        pytest.raises(LionError, match=r"step 8: the loss is nan.*leave such steps out \(checkpoint.rewinds=1\)"),
    ):
        train(toy, objective=Toy(toy, poison={4, 7}))
    more = recipe(tmp_path, checkpoint={"every": 3, "rewinds": 2})
    with pytest.warns(LionWarning, match=r"back to step 6 and past it \(2 of"):
        record = train(more, objective=Toy(more, poison={4, 7}))
    assert record["steps_left_out"] == [5, 8], "a resumed run knows what was left out before"


def test_a_step_that_was_left_out_stays_so_when_the_run_is_killed(tmp_path, one_thread):
    toy = recipe(tmp_path / "whole", checkpoint={"every": 3, "rewinds": 1})
    with pytest.warns(LionWarning, match="back to step 3"):
        train(toy, objective=Toy(toy, poison=4))
    toy = recipe(tmp_path / "killed", checkpoint={"every": 3, "rewinds": 1})
    assert processes.run(train_poisoned_and_be_killed, toy.folder) == -signal.SIGKILL
    assert train(toy, objective=Toy(toy))["steps_left_out"] == [5]
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    assert (tmp_path / "killed/bad_samples.jsonl").read_text() == (tmp_path / "whole/bad_samples.jsonl").read_text()


def train_poisoned_and_be_killed(out: Path) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    toy = recipe(out, checkpoint={"every": 3, "rewinds": 1})
    objective = Killed(toy)
    objective.poison = {4}
    train(toy, objective=objective)


def test_a_bad_sample_is_counted_and_named(tmp_path):
    toy = recipe(tmp_path)
    assert train(toy, objective=Toy(toy, bad=2))["bad_samples"] == 1
    row = json.loads((tmp_path / "bad_samples.jsonl").read_text())
    assert row == {"step": 3, "id": "broken.png", "reason": "truncated"}


@pytest.mark.parametrize("workers", [0, 2])
def test_accumulated_micro_batches_are_the_shards_of_the_step(tmp_path, workers):
    toy = recipe(tmp_path, gradient_accumulation=3, steps=2, workers=workers, optimizer={"lr": 0.01})
    seen = []

    class Spy(Toy):
        def loss(self, model, batch):
            seen.append(batch.ids[0])
            return super().loss(model, batch)

    assert train(toy, objective=Spy(toy))["samples"] == 48
    assert seen == [f"toy-{step}-{shard}-0" for step in (0, 1) for shard in (0, 1, 2)]


def test_frozen_parts_stay_as_they_were_statistics_included(tmp_path):
    toy = recipe(tmp_path)
    objective = Toy(toy)
    torch.manual_seed(0)
    train(toy, objective=objective)
    trained = load_file(tmp_path / "model.safetensors")
    assert trained["frozen.1.num_batches_tracked"] == 0
    assert trained["body.1.num_batches_tracked"] == 12


def test_the_learning_rate_rises_stays_and_falls_each_component_with_its_factor(tmp_path):
    settings = {"lr": 1.0, "warmup": 2, "decay": 0.4}
    rates = [learning_rate(OptimizerSettings(**settings), 10, step) for step in range(11)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    cosine = [learning_rate(OptimizerSettings(**settings, shape="cosine"), 10, step) for step in (6, 8, 10)]
    assert cosine == pytest.approx([1, 0.5, 0])
    assert learning_rate(OptimizerSettings(lr=1.0, decay=0), 10, 9) == 1
    whole = [learning_rate(OptimizerSettings(lr=1.0, warmup=2, decay=1), 10, step) for step in (0, 1, 2, 6, 10)]
    assert whole == pytest.approx([0.5, 1, 1, 0.5, 0]), "it falls from where the rise ends"
    assert learning_rate(OptimizerSettings(lr=1.0, warmup=10, decay=1), 10, 9) == 1

    toy = recipe(tmp_path, stage="pretrain-vit", data=[{"source": "world", "scenes": 1}], lr_scale={"heads": 0.5})

    class Named(Toy):
        def trainable(self, model):
            body, head = super().trainable(model).values()
            return {"vision_encoder": body, "heads": head}

        def batch(self, step, shard=0):
            if step == 11:
                seen.update({group["component"]: group["lr"] for o in run.optimizers for group in o.param_groups})
            return super().batch(step, shard)

    seen: dict[str, float] = {}
    objective = Named(toy)
    run = make_run(toy, objective, make_accelerator())
    fit(run)
    run.log.close()
    assert seen["heads"] == pytest.approx(seen["vision_encoder"] / 2) and seen["heads"] > 0


class Killed(Toy):
    """Is killed in the middle of step 8."""

    def loss(self, model, batch):
        if batch.ids[0].startswith("toy-7-"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(model, batch)


def train_and_be_killed(out: Path) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    toy = recipe(out, validation={"every": 2, "samples": 1})
    train(toy, objective=Killed(toy))


def test_a_run_killed_mid_step_resumes_to_the_same_curve_and_weights(tmp_path, one_thread):
    whole, killed = (
        recipe(tmp_path / name, validation={"every": 2, "samples": 1}, workers=workers)
        for name, workers in (("whole", 0), ("killed", 1))
    )
    train(whole, objective=Toy(whole))
    assert processes.run(train_and_be_killed, tmp_path / "killed") == -signal.SIGKILL
    left = sorted(path.name for path in (tmp_path / "killed/checkpoints").iterdir())
    assert left == ["step-0000003", "step-0000006"]
    unfinished = (
        tmp_path / "killed/checkpoints/.step-0000009.0123abcd.tmp"
    )  # as a kill in the middle of saving leaves it
    shutil.copytree(tmp_path / "killed/checkpoints/step-0000006", unfinished)
    assert not (tmp_path / "killed/finished.json").exists()
    train(killed, objective=Toy(killed))
    assert not unfinished.exists()
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    validations = [(tmp_path / name / "validation.jsonl").read_text() for name in ("whole", "killed")]
    without_time = [[{**json.loads(x), "seconds": 0} for x in text.splitlines()] for text in validations]
    assert without_time[0] == without_time[1]


class KilledWhileExporting(Toy):
    def export(self, model, out):
        super().export(model, out)
        os.kill(os.getpid(), signal.SIGKILL)


def train_and_be_killed_at_the_end(out: Path) -> None:
    """In a process of its own."""
    toy = recipe(out)
    train(toy, objective=KilledWhileExporting(toy))


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    toy = recipe(tmp_path / "run")
    assert processes.run(train_and_be_killed_at_the_end, toy.folder) == -signal.SIGKILL
    assert [path.name for path in toy.folder.rglob("model.safetensors")]
    (toy.folder / "samples").mkdir()
    for name in (".finished.json", "samples/.step-0000006.png", "checkpoints/.step-0000009"):
        (toy.folder / f"{name}.0123abcd.tmp").write_text("half")
    mine = toy.folder / ".mine.tmp"
    mine.write_text("no name of ours")
    assert train(toy, objective=Toy(toy))["steps"] == 12
    assert list(toy.folder.rglob("*.tmp")) == [mine]


EARLIER = Path(__file__).parents[1] / "golden" / "earlier_run"
"""A run of the toy that commit 87f6310 left after a NaN in step 8, and the log of an undisturbed one."""


def test_a_run_that_an_earlier_version_began_resumes(tmp_path, one_thread):
    shutil.copytree(EARLIER, tmp_path, dirs_exist_ok=True)
    toy = recipe(tmp_path, gradient_accumulation=2, optimizer={"lr": 0.01, "warmup": 3, "muon": 1.0})
    assert train(toy, objective=Toy(toy))["samples"] == 12 * 2 * 8
    whole = [json.loads(line) for line in (EARLIER / "whole.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    for row, wanted in zip(rows, whole, strict=True):
        assert list(row)[:5] == list(wanted)[:5], "and what earlier versions did not log"
        assert row["per_task"]["sum"] == pytest.approx(wanted["per_task"]["sum"], rel=1e-4), "on any processor"
        assert [row["step"], row["lr"]] == [wanted["step"], wanted["lr"]]


def test_the_caller_sees_how_far_a_run_is_and_that_it_resumed(tmp_path):
    toy, seen = recipe(tmp_path), []

    def watch(task, done, total, row={}, /):  # noqa: B006
        seen.append((task, done, total, row.get("loss")))

    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Toy(toy, poison=7))
    train(toy, objective=Toy(toy), watch=watch)
    losses = {step: loss for step, loss, _ in curve(tmp_path)}
    assert seen[0] == ("toy", 6, 12, None)
    assert seen[-1] == ("toy", 12, 12, losses[12]) and all(loss == losses[step] for _, step, _, loss in seen[1:])


@pytest.mark.parametrize("at_start", [True, False])
def test_a_run_killed_before_its_first_checkpoint_scores_its_start_once(tmp_path, at_start):
    toy = recipe(tmp_path, validation={"every": 12, "samples": 1, "at_start": at_start})
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Toy(toy, poison=1))
    record = train(toy, objective=Toy(toy))
    rows = [json.loads(line)["step"] for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert rows == [0, 12][not at_start :] and ("scores_at_start" in record) == at_start


def test_records_that_a_dataset_left_out_are_logged_once(tmp_path):
    class Skipping(Toy):
        def skipped(self):
            return [BadSample("mine:3", "no box")]

    toy = recipe(tmp_path)
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Skipping(toy, poison=7))
    assert train(toy, objective=Skipping(toy, bad=8))["bad_samples"] == 2
    rows = [json.loads(line) for line in (tmp_path / "bad_samples.jsonl").read_text().splitlines()]
    assert [(row["step"], row["id"]) for row in rows] == [(1, "mine:3"), (9, "broken.png")]


def test_how_answers_were_decoded_stands_beside_the_scores(tmp_path):
    class Generating(Toy):
        decoding = "greedy, at most 7 tokens"

    toy = recipe(tmp_path, validation={"every": 6, "samples": 1})
    record = train(toy, objective=Generating(toy))
    rows = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert [row["decoding"] for row in rows] == ["greedy, at most 7 tokens"] * 3
    assert record["decoding"] == "greedy, at most 7 tokens" and set(record["scores"]) == {"error"}
    assert logged_scores(toy)[12] == record["scores"]


@pytest.mark.parametrize(("change", "alike"), [({}, True), ({"every": 4}, True), ({"samples": 2}, False)])
@pytest.mark.parametrize("decoding", ["greedy", "5 beams"])
def test_scores_are_set_beside_those_of_the_start_if_they_are_of_the_same(tmp_path, change, alike, decoding):
    class Generating(Toy):
        decoding = "greedy"

    toy = recipe(tmp_path, validation={"every": 12, "samples": 1})
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Generating(toy, poison=7))
    Generating.decoding = decoding
    toy = recipe(tmp_path, validation={"every": 12, "samples": 1, **change})
    alike = alike and decoding == "greedy"
    with (
        nullcontext() if alike else pytest.warns(LionWarning, match=r"toy: validation was changed since .* first step")
    ):
        record = train(toy, objective=Generating(toy))
    assert ("scores_at_start" in record) == alike and record["decoding"] == decoding


class Terminated(Toy):
    """Is sent SIGTERM during one step."""

    def __init__(self, recipe, step: int) -> None:
        super().__init__(recipe)
        self.step = step

    def loss(self, model, batch):
        if batch.ids[0].startswith(f"toy-{self.step}-"):
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(model, batch)


def test_sigterm_saves_after_the_step_and_the_run_goes_on_later(tmp_path):
    toy = recipe(tmp_path)

    with pytest.raises(Stopped, match="step 5 of 12; the same command, without any --restart, resumes") as stopped:
        train(toy, objective=Terminated(toy, step=4))
    assert not stopped.value.interrupted
    assert train(toy, objective=Toy(toy))["steps"] == 12
    assert [step for step, *_ in curve(tmp_path)] == list(range(1, 13))


class Slow(Toy):
    """Takes its time for each batch."""

    def batch(self, step, shard=0):
        time.sleep(0.3)
        return super().batch(step, shard)


def train_slowly(out: Path) -> None:
    """In a process, and a process group, of its own; workers and it have the group's usual signals."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    toy = recipe(out, steps=1000, workers=2)
    with suppress(Stopped):
        train(toy, objective=Slow(toy))
    sys.exit(130)  # once the exception, and with it the loader that its frames hold, has gone: workers ignore SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_leaves_the_workers_to_the_loop(tmp_path, number):
    """As Ctrl-C in a terminal and a cluster's scheduler send it."""
    log = tmp_path / "train.jsonl"
    run = processes.context().Process(target=train_slowly, args=(tmp_path,))
    run.start()
    while not log.is_file() or not log.stat().st_size:
        assert run.is_alive()
        time.sleep(0.05)
    os.killpg(run.pid, number)
    run.join(60)
    assert run.exitcode == 130
    saved = max((tmp_path / "checkpoints").iterdir())
    assert int(saved.name.removeprefix("step-")) == len(log.read_text().splitlines())


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_wrong_with_a_batch_is_one_line_wherever_it_was_built(tmp_path, workers):
    class Broken(Toy):
        def batch(self, step, shard=0):
            if step == 2:
                raise LionError("no usable sample")
            return super().batch(step, shard)

    toy = recipe(tmp_path, workers=workers)
    with pytest.raises(LionError, match=r"^no usable sample$"):
        train(toy, objective=Broken(toy))


def test_a_worker_that_is_killed_is_one_line_and_the_same_command_goes_on(tmp_path, monkeypatch):
    """As a machine does that is out of memory."""

    class Killing(Toy):
        def batch(self, step, shard=0):
            if step == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().batch(step, shard)

    toy = recipe(tmp_path, workers=1)
    line = r"^a worker that read data was killed, .*; fewer workers take less; the same"
    with pytest.raises(LionError, match=line):
        train(toy, objective=Killing(toy))

    def broken(self):  # while a batch was taken from it, before anybody knows that it has gone
        raise ConnectionResetError("Connection reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr("torch.utils.data.dataloader._MultiProcessingDataLoaderIter._next_data", broken)
        with pytest.raises(LionError, match=line):
            train(toy, objective=Toy(toy))
    assert train(toy, objective=Toy(toy))["steps"] == 12


def test_who_is_asked_to_stop_in_the_last_step_finishes_and_stops(tmp_path):
    toy = recipe(tmp_path)

    with pytest.raises(Stopped, match="once toy was finished"):
        train(toy, objective=Terminated(toy, step=11))
    assert (toy.folder / "finished.json").is_file()


def test_restart_throws_runs_away_and_nothing_else(tmp_path):
    toy = recipe(tmp_path / "run")
    train(toy, objective=Toy(toy))
    assert train(toy, objective=Toy(toy), restart=True)["steps"] == 12
    place, link = tmp_path / "large-disk", tmp_path / "link"
    toy.folder.rename(place)
    link.symlink_to(place)
    linked = recipe(link)
    assert train(linked, objective=Toy(linked), restart=True)["steps"] == 12 and link.is_symlink()
    place.rename(toy.folder)
    (toy.folder / "recipe.yaml").unlink()
    with pytest.raises(LionError, match=r"holds files that no training run wrote"):
        train(toy, objective=Toy(toy), restart=True)
    assert (toy.folder / "finished.json").is_file()


def test_a_restart_that_is_killed_while_it_throws_away_can_be_given_again(tmp_path, monkeypatch):
    """Whatever is gone by then; and no run without its model passes for a finished one."""
    toy, removals = recipe(tmp_path), 0
    for kept in range(9):
        train(toy, objective=Toy(toy))
        left = [kept]

        def remove(path, remove, left=left):
            if path.name != ".lock":
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            remove(path)

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda path, was=shutil.rmtree, **_: remove(path, was))
            patch.setattr(Path, "unlink", lambda path, was=Path.unlink, **_: remove(path, was))
            with suppress(KeyboardInterrupt):
                train(toy, objective=Toy(toy), restart=True)
        removals += not left[0]
        assert train(toy, objective=Toy(toy), restart=kept % 2 == 1)["steps"] == 12
        assert (tmp_path / "model.safetensors").is_file()
    assert removals > 5
