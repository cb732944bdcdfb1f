"""Several processes: shards are disjoint, weights equal, and only the main process writes."""

import json
import math
import textwrap

import pytest
import torch
from safetensors.torch import load_file

from lion.train.metrics import READ_EVERY
from lion.train.run import train
from tests.processes import torchrun
from tests.train.toy import Toy, recipe

SCRIPT = """
    import os, signal, sys
    from dataclasses import replace
    from pathlib import Path
    import torch
    from lion.cli import main
    from lion.data.sample import BadSample
    from lion.train.loop import fit
    from lion.train.parallel import make_accelerator
    from lion.train.run import finish, make_run, train
    from lion.train.stopping import Stopped
    from tests.train.toy import Toy, recipe

    class Shards(Toy):
        def loss(self, model, batch):
            with open(f"{out}/seen-" + batch.ids[0].split("-")[2], "a") as file:
                file.write(batch.ids[0] + "\\n")
            found = super().loss(model, batch)
            with open(f"{out}/loss-" + batch.ids[0].split("-")[2], "a") as file:
                file.write(f"{{float(found.total)}}\\n")
            return found

    class Disturbed(Toy):  # the second process meets a bad sample in step 3, and a signal in step 7
        def batch(self, step, shard=0):
            batch = super().batch(step, shard)
            return replace(batch, bad=[BadSample("broken.png", "truncated")]) if (step, shard) == (2, 1) else batch

        def loss(self, model, batch):
            if batch.ids[0].startswith("toy-6-1"):
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(model, batch)

    class Elastic(Toy):  # the second process meets a signal in step 4
        def loss(self, model, batch):
            with open(f"{out}/elastic-seen", "a") as file:
                file.write(batch.ids[0] + "\\n")
            if batch.ids[0].startswith("toy-3-1"):
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(model, batch)

    class Late(Toy):  # the first process meets a signal while it scores the last step
        def validate(self, model, skip):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().validate(model, skip)

    class Poisoned(Toy):  # the second process meets a NaN in step 5
        def batch(self, step, shard=0):
            batch = super().batch(step, shard)
            if (step, shard) == (4, 1):
                batch.tensors["y"] *= float("nan")
            return batch

        def loss(self, model, batch):
            with open(f"{{self.recipe.folder}}-seen-{{os.environ['RANK']}}", "a") as file:
                file.write(batch.ids[0].split("-")[1] + "\\n")
            return super().loss(model, batch)

    torch.set_num_threads(1)
    toy = recipe(Path({out!r}) / "run", steps={steps}, gradient_accumulation=2)
    train(toy, objective=Shards(toy))
    toy = recipe(Path({out!r}) / "stopped", steps=14, checkpoint={{"every": 100}})
    try:
        train(toy, objective=Disturbed(toy))
    except Stopped as stopped:
        (Path({out!r}) / f"stopped-{{os.environ['RANK']}}").write_text(str(stopped))
    train(toy, objective=Disturbed(toy))
    toy = recipe(Path({out!r}) / "elastic", steps=9, gradient_accumulation=4, order="epochs")
    try:
        train(toy, objective=Elastic(toy))
    except Stopped:
        pass
    toy = recipe(Path({out!r}) / "late", steps=4, validation={{"every": 4, "samples": 1, "at_start": False}})
    try:
        train(toy, objective=Late(toy))
    except Stopped as stopped:
        (Path({out!r}) / f"late-{{os.environ['RANK']}}").write_text(str(stopped))
    assert main(sys.argv[1:]) == 0
    for wrapper in ("ddp", "fsdp2"):
        os.environ |= {{"ACCELERATE_USE_FSDP": str(wrapper == "fsdp2"), "FSDP_VERSION": "2"}}
        toy = recipe(Path({out!r}) / f"poisoned-{{wrapper}}", checkpoint={{"every": 3, "rewinds": 1}})
        train(toy, objective=Poisoned(toy))
        toy = recipe(Path({out!r}) / f"known-{{wrapper}}", checkpoint={{"every": 3}})
        known = make_run(toy, Poisoned(toy), make_accelerator())
        known.progress.left_out = {{5: []}}
        fit(known)
        known.log.close()
        finish(known)
    torch.distributed.destroy_process_group()
"""

CHAIN = """
chain:
  - {recipe: mini-t5, with: {data.0.scenes: 8, validation: null}}
  - {recipe: mini-tagger, with: {data.0.scenes: 8, validation.samples: 2}}
  - recipe: mini-stage3
    with: {data.0.scenes: 8, validation: null, init: {}, options.alignment: 0}
  - recipe: mini-captions
    with: {data.0.scenes: 8, data.0.tasks: {caption: 1, rec: 1}, validation: null, init: {}, options.alignment: 0}
"""
"""Stages some of whose parameters get no gradient in a batch, and one that reads a buffer of its model."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a toy's run and of the chain's in the same two processes: to start them takes longer than both."""
    folder = tmp_path_factory.mktemp("two")
    script, chain = folder / "script.py", folder / "chain.yaml"
    script.write_text(textwrap.dedent(SCRIPT.format(out=str(folder), steps=4)))
    chain.write_text(CHAIN)
    command = [
        "train",
        chain,
        "model=tiny",
        "steps=4",
        "batch_size=2",
        "optimizer.warmup=1",
        f"root={folder}",
        "--json",
    ]
    done = torchrun(2, script, *command, ACCELERATE_USE_CPU="true", LION_CACHE=str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


def test_the_stages_train_in_two_processes(ran):
    records = [json.loads(line) for line in ran[1].splitlines()]
    assert [(record["name"], record["samples"]) for record in records] == [
        ("mini-t5", 16), ("mini-tagger", 16), ("mini-stage3", 16), ("mini-captions", 16)
    ]  # fmt: skip


def test_norms_and_gates_of_two_processes_are_those_of_the_step(ran):
    folder, _ = ran
    rows = [json.loads(line) for line in (folder / "stage3/train.jsonl").read_text().splitlines()]
    for row in (rows[0], rows[-1]):
        assert math.hypot(*row["grad_norms"].values()) == pytest.approx(row["grad_norm"], rel=1e-3)
        assert row["gates"]["encoder 1"]["image/image"] == pytest.approx(1, abs=0.1)
        assert row["tokens_per_second"] > row["samples_per_second"] and 0 <= row["input_wait"] < 1


def test_two_processes_share_the_shards_of_a_step(ran):
    folder, _ = ran
    record = json.loads((folder / "run/finished.json").read_text())
    assert (record["steps"], record["samples"]) == (4, 4 * 2 * 2 * 8)
    seen = {path.name: path.read_text().split() for path in folder.glob("seen-*")}
    losses = [[float(line) for line in path.read_text().split()] for path in folder.glob("loss-*")]
    rows = [json.loads(line) for line in (folder / "run/train.jsonl").read_text().splitlines()]
    logged = [row["loss"] for row in rows]
    assert logged == pytest.approx([sum(step) / 4 for step in zip(*losses, strict=True)]), "the mean of all shards"
    assert [row["per_task"]["sum"] for row in rows] == pytest.approx(logged), "of all shards, too"
    assert seen == {f"seen-{shard}": [f"toy-{step}-{shard}-0" for step in range(4)] for shard in range(4)}


def test_processes_stop_after_the_same_step_and_share_their_bad_samples(ran):
    folder, _ = ran
    after = f"stopped after step {2 * READ_EVERY} of 14"
    assert all((folder / f"stopped-{rank}").read_text().startswith(after) for rank in (0, 1))
    record = json.loads((folder / "stopped/finished.json").read_text())
    assert (record["steps"], record["samples"], record["bad_samples"]) == (14, 14 * 2 * 8, 1)
    rows = [json.loads(line) for line in (folder / "stopped/bad_samples.jsonl").read_text().splitlines()]
    assert rows == [{"step": 3, "id": "broken.png", "reason": "truncated"}]
    steps = [json.loads(line)["step"] for line in (folder / "stopped/train.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 15))


def test_a_signal_while_the_last_step_is_scored_stops_both_once_the_run_is_finished(ran):
    """So that no further stage of a chain begins, which nothing would tell to save."""
    folder, _ = ran
    assert (folder / "late/finished.json").is_file()
    assert all((folder / f"late-{rank}").read_text().startswith("stopped once toy was finished") for rank in (0, 1))


def test_a_run_of_epochs_that_two_processes_began_goes_on_in_one(ran):
    folder, _ = ran
    began = (folder / "elastic-seen").read_text().split()
    toy = recipe(folder / "elastic", steps=9, gradient_accumulation=4, order="epochs")
    after = len(began) // 4
    assert 0 < after < 9 and (folder / f"elastic/checkpoints/step-{after:07d}").is_dir()
    rest = []

    class Seeing(Toy):
        def loss(self, model, batch):
            rest.append(batch.ids[0])
            return super().loss(model, batch)

    record = train(toy, objective=Seeing(toy))
    assert (record["steps"], record["samples"]) == (9, 9 * 4 * 8)
    assert sorted([*began, *rest]) == [f"toy-{step}-{shard}-0" for step in range(9) for shard in range(4)]


@pytest.mark.parametrize("wrapper", ["ddp", "fsdp2"])
def test_a_loss_that_is_nan_in_one_process_takes_all_of_them_back_and_past_the_step(ran, wrapper):
    """Found with the reading after five steps; the weights are those of a run that never took the step."""
    folder, _ = ran
    poisoned = folder / f"poisoned-{wrapper}"
    record = json.loads((poisoned / "finished.json").read_text())
    assert (record["steps_left_out"], record["samples"], record["bad_samples"]) == ([5], 11 * 2 * 8, 8)
    assert READ_EVERY == 5
    for rank in (0, 1):
        steps = [int(line) for line in (folder / f"{poisoned.name}-seen-{rank}").read_text().splitlines()]
        assert steps == [0, 1, 2, 3, 4, 3, *range(5, 12)], rank
    rows = [json.loads(line) for line in (poisoned / "bad_samples.jsonl").read_text().splitlines()]
    assert [(row["step"], row["id"]) for row in rows] == [(5, f"toy-4-1-{row}") for row in range(8)]
    weights, known = (load_file(folder / f"{name}-{wrapper}/model.safetensors") for name in ("poisoned", "known"))
    assert all(torch.equal(weights[name], tensor) for name, tensor in known.items())
