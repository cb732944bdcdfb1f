"""What a run of several processes is after kills at random moments: the undisturbed one, to the bit. Slow."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from lion.train.run import train
from lion.train.stopping import Stopped
from tests.train import scaling
from tests.train.test_parallel import FSDP2, LOSS, rows
from tests.train.test_parallel import start as start  # a fixture
from tests.train.toy import Toy, recipe

pytestmark = pytest.mark.slow

KILLS = 20


class Unhurried(Toy):
    """Leaves time to be killed in."""

    def batch(self, step, shard=0):
        time.sleep(0.01)
        return super().batch(step, shard)


def work(out: Path, sharded: bool) -> None:
    """One of two processes; dropout draws from each one's random state."""
    os.environ |= {**FSDP2, "ACCELERATE_USE_FSDP": str(sharded)}
    toy = recipe(
        out, steps=500, gradient_accumulation=2, checkpoint={"every": 4}, validation={"every": 50, "samples": 1}
    )
    train(toy, objective=Unhurried(toy))


@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_twenty_random_kills_of_random_processes_change_nothing(tmp_path, sharded):
    for process in scaling.start_by_hand(2, tmp_path, work, tmp_path / "whole", sharded):
        process.join(300)
        assert process.exitcode == 0
    chance = random.Random(0)
    checkpoints, places = tmp_path / "killed/checkpoints", []
    while len(places) < KILLS:
        before = set(checkpoints.glob("step-*"))
        both = scaling.start_by_hand(2, tmp_path, work, tmp_path / "killed", sharded)
        if chance.random() < 0.8:  # otherwise while it starts
            while set(checkpoints.glob("step-*")) <= before and all(process.is_alive() for process in both):
                time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.15))
        victim = chance.randrange(2)
        assert both[victim].is_alive(), (tmp_path / f"stderr-{victim}").read_text()
        os.kill(both[victim].pid, signal.SIGKILL)
        places.append(max((path.name for path in checkpoints.glob("*step-*")), default="before the first"))
        both[1 - victim].join(60)
        assert both[1 - victim].exitcode not in (None, 0), "the other one ends as well"
    assert not (tmp_path / "killed/finished.json").exists(), places
    for process in scaling.start_by_hand(2, tmp_path, work, tmp_path / "killed", sharded):
        process.join(300)
        assert process.exitcode == 0, (tmp_path / "stderr-0").read_text()
    whole, killed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    curves = [[(row["loss"], row["grad_norm"]) for row in rows(tmp_path / name)] for name in ("whole", "killed")]
    assert curves[0] == curves[1] and len(curves[0]) == 500


class Lingering(Unhurried):
    """Leaves time at a stage's start and end as well."""

    def build(self):
        time.sleep(0.05)
        return super().build()

    def validate(self, model, skip):
        time.sleep(0.05)
        return super().validate(model, skip)

    def export(self, model, out):
        super().export(model, out)
        time.sleep(0.2)


def work_in_turn(out: Path) -> None:
    """One of two processes, three stages; ends by SIGTERM as the command does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = {"gradient_accumulation": 2, "checkpoint": {"every": 4}, "validation": {"every": 8, "samples": 1}}
    try:
        for stage in range(3):
            toy = recipe(out / f"stage{stage}", steps=24, **settings)
            train(toy, objective=Lingering(toy))
    except Stopped:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


def test_random_signals_to_one_or_both_processes_of_a_chain_change_nothing(tmp_path, rounds=16):
    """SIGKILL and SIGTERM between stages, too: each end is a line, and the chain's weights are the undisturbed ones."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for process in scaling.start_by_hand(2, tmp_path, work_in_turn, whole):
        process.join(300)
        assert process.exitcode == 0
    chance = random.Random(0)
    for left in range(rounds, -1, -1):
        before = sum(path.stat().st_size for path in killed.glob("*/train.jsonl"))
        both = scaling.start_by_hand(2, tmp_path, work_in_turn, killed)
        if left:
            while sum(path.stat().st_size for path in killed.glob("*/train.jsonl")) == before and both[0].is_alive():
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.5))
            number = chance.choice([signal.SIGKILL, signal.SIGTERM])
            for process in chance.choice([both[:1], both[1:], both]):
                if process.is_alive():
                    os.kill(process.pid, number)
        for rank, process in enumerate(both):
            process.join(60 if left else 300)
            assert process.exitcode is not None and (left or process.exitcode == 0)
            assert "Traceback" not in (tmp_path / f"stderr-{rank}").read_text()
    for stage in ("stage0", "stage1", "stage2"):
        weights, others = (load_file(folder / stage / "model.safetensors") for folder in (whole, killed))
        assert all(torch.equal(weights[name], others[name]) for name in weights)
        curves = [[(row["loss"], row["grad_norm"]) for row in rows(folder / stage)] for folder in (whole, killed)]
        assert curves[0] == curves[1] and len(curves[0]) == 24
        assert not [*killed.glob(f"{stage}/**/*.tmp")]


class Seen(scaling.Scored):
    """Notes the samples of every step, and kills process 0 in step `at`."""

    at = -1

    def batch(self, step, shard=0):
        batch = super().batch(step, shard)
        return replace(batch, ids=[f"{step}\t{name}" for name in batch.ids])

    def loss(self, model, batch):
        loss = super().loss(model, batch)
        rank, step = os.environ["RANK"], int(batch.ids[0].split("\t")[0])
        with (self.recipe.folder.parent / f"seen-{self.recipe.name}-{self.at}-{rank}").open("a") as file:
            file.write("".join(f"{name}\n" for name in batch.ids))
        if step == self.at and rank == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return loss


def see(root: Path, name: str, at: int) -> None:
    """One process."""
    os.environ["LION_CACHE"] = str(root / "cache")
    data = [
        {"source": "world", "scenes": 5, "tasks": {"vqa": 1, "rec": 2}, "weight": 2},
        {"source": "world", "scenes": 7, "tasks": {"caption": 1}, "weight": 1},
    ]
    run = scaling.recipe(root, name, data=data, validation=None, checkpoint={"every": 2})
    objective = Seen(run)
    objective.at = at
    train(run, objective=objective)


def seen(root: Path, name: str, at: int) -> dict[int, list[str]]:
    """The samples of each step that a start saw, of its last step but one if it was killed."""
    found = defaultdict(list)
    for path in root.glob(f"seen-{name}-{at}-*"):
        for line in path.read_text().splitlines():
            step, sample = line.split("\t")
            found[int(step)].append(sample)
    return {step: sorted(samples) for step, samples in found.items() if at < 0 or step < at}


def test_every_step_sees_its_samples_whoever_is_killed(start):
    """Kills in the middle of the passes of a mixture; checkpoints every second step, so that one step is seen twice."""
    undisturbed = None
    for counts in ([1], [1, 1], [4, 4], [4, 2], [2, 4]):
        name = "to".join(map(str, counts))
        for number, count in enumerate(counts):
            at = 3 if number < len(counts) - 1 else -1
            all_of_them = scaling.start_by_hand(count, start, see, start, name, at)
            for process in all_of_them:
                process.join(300)
            wanted = {0} if at < 0 else {-signal.SIGKILL, 2} if count > 1 else {-signal.SIGKILL}
            assert {process.exitcode for process in all_of_them} == wanted, (start / "stderr-0").read_text()
            steps = seen(start, name, at)
            undisturbed = undisturbed or steps
            assert set(steps) == set(range(0 if number == 0 else 2, at if at > 0 else 8))
            assert steps == {step: undisturbed[step] for step in steps}, name
    assert {len(samples) for samples in undisturbed.values()} == {8}


def nodes(arguments, environment, port):
    """Two torchruns, each as on a machine of its own, of two processes each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "lion"]
    command += ["-m", "lion.cli", "train", *map(str, arguments)]
    return [
        subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def own_recipe(start):
    run = scaling.recipe(start, "nodes", validation=None, workers=0)
    path = start / "nodes.yaml"
    path.write_text(yaml.safe_dump(run.model_dump(mode="json", exclude_defaults=True)))
    return path


@pytest.fixture
def alone_for_nodes(start, own_recipe):
    """The log of the same run in one process."""
    out = start / "alone-for-nodes"
    command = [sys.executable, "-m", "lion.cli", "train", str(own_recipe), f"out={out}"]
    environment = {**os.environ, "LION_CACHE": str(start / "cache")}
    assert subprocess.run(command, env=environment, timeout=600).returncode == 0
    return rows(out)


@pytest.mark.parametrize("environment", [{}, {**FSDP2}], ids=["ddp", "fsdp2"])
def test_two_nodes_on_one_machine_train_the_run_of_one_process(start, own_recipe, alone_for_nodes, port, environment):
    out = start / f"two-{len(environment)}"
    for node in nodes([own_recipe, f"out={out}"], {"LION_CACHE": str(start / "cache"), **environment}, port):
        _, err = node.communicate(timeout=600)
        assert node.returncode == 0, err[-3000:]
    for row, other in zip(alone_for_nodes, rows(out), strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=LOSS)


def test_a_process_that_dies_on_one_node_ends_the_other_node(start, own_recipe, port):
    out = start / "dying"
    both = nodes([own_recipe, f"out={out}", "steps=1000000"], {"LION_CACHE": str(start / "cache")}, port)
    while not list(out.glob("checkpoints/step-*")):
        assert all(node.poll() is None for node in both)
        time.sleep(0.1)
    os.kill(_children(both[1].pid)[-1], signal.SIGKILL)
    since = time.monotonic()
    said = [node.communicate(timeout=120)[1] for node in both]
    assert time.monotonic() - since < 60 and all(node.returncode != 0 for node in both)
    lines = [line for text in said for line in text.splitlines() if line.startswith("lion:")]
    assert sum("another process of this run has ended" in line for line in lines) >= 1, said
    assert json.loads((max(out.glob("checkpoints/step-*")) / "state.json").read_text())["step"] > 0


SRUN = """#!/bin/bash
# One task on each of two nodes; a signal goes to both.
while [ "${1#-}" != "$1" ]; do shift; done
for rank in 0 1; do
  SLURM_PROCID=$rank SLURM_LOCALID=0 "$@" &
  tasks="$tasks $!"
done
trap 'kill -TERM $tasks; told=1' TERM
code=0
for task in $tasks; do
  wait "$task"; ended=$?
  [ -n "$told" ] && { told=""; wait "$task"; ended=$?; }
  [ $ended -gt $code ] && code=$ended
done
exit $code
"""


def test_the_script_for_slurm_stops_is_put_in_the_queue_again_and_ends(start, own_recipe, port, tmp_path):
    """That of the docs, with stand-ins for srun and scontrol, and our recipe in place of the paper's."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "training_slurm.md").read_text()
    script = page.split("```bash\n")[1].split("```")[0]
    out = tmp_path / "out"
    for was, now in {
        "lion train paper-xxl-stage3": f"{sys.executable} -m lion.cli train {own_recipe} out={out} steps=12",
        "runs/paper-xxl/stage3": str(out),
        "29500": str(port),
    }.items():
        assert was in script
        script = script.replace(was, now)
    commands = {
        "job": script,
        "srun": SRUN,
        "scontrol": f"#!/bin/bash\n[ $1 = show ] && echo 127.0.0.1 || echo $* >> {tmp_path}/queue\n",
    }
    for name, text in commands.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LION_CACHE": str(start / "cache")}
    environment |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_JOB_ID": "7", "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen([tmp_path / "job"], env=environment, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("checkpoints/step-*")):
        assert first.poll() is None
        time.sleep(0.1)
    (srun,) = _children(first.pid)
    os.kill(srun, signal.SIGTERM)
    _, said = first.communicate(timeout=120)
    assert "stopped after step" in said and not (out / "finished.json").exists(), said
    assert (tmp_path / "queue").read_text() == "requeue 7\n" and first.returncode == 0
    assert subprocess.run([tmp_path / "job"], env=environment, timeout=300).returncode == 0
    assert len(rows(out)) == 12 and (tmp_path / "queue").read_text() == "requeue 7\n", "finished, and not queued again"


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
