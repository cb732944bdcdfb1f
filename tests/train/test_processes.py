"""Several processes: shards are disjoint, weights equal, and only the main process writes."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPT = """
    import sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    import torch
    from lion.cli import main
    from lion.train.run import train
    from tests.train.toy import Toy, recipe

    class Shards(Toy):
        def loss(self, model, batch):
            with open(f"{out}/seen-" + batch.ids[0].split("-")[2], "a") as file:
                file.write(batch.ids[0] + "\\n")
            found = super().loss(model, batch)
            with open(f"{out}/loss-" + batch.ids[0].split("-")[2], "a") as file:
                file.write(f"{{float(found.total)}}\\n")
            return found

    torch.set_num_threads(1)
    toy = recipe(Path({out!r}) / "run", steps={steps}, gradient_accumulation=2)
    train(toy, objective=Shards(toy))
    code = main(sys.argv[1:])
    torch.distributed.destroy_process_group()
    sys.exit(code)
"""

CHAIN = """
chain:
  - {recipe: mini-t5, with: {data.0.scenes: 8, validation: null}}
  - {recipe: mini-tagger, with: {data.0.scenes: 8, validation.samples: 2}}
  - recipe: mini-stage3
    with: {data.0.scenes: 8, validation: null, init: {}, options.alignment: 0}
"""
"""Stages some of whose parameters get no gradient in a batch, and one that reads a buffer of its model."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a toy's run and of the chain's in the same two processes: to start them takes longer than both."""
    folder = tmp_path_factory.mktemp("two")
    script, chain = folder / "script.py", folder / "chain.yaml"
    script.write_text(textwrap.dedent(SCRIPT.format(root=str(Path(__file__).parents[2]), out=str(folder), steps=4)))
    chain.write_text(CHAIN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
    launch += ["train", str(chain), "model=tiny", "steps=4", "batch_size=2", "optimizer.warmup=1", f"root={folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "LION_CACHE": str(folder)}
    done = subprocess.run([*launch, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


def test_the_stages_train_in_two_processes(ran):
    records = [json.loads(line) for line in ran[1].splitlines()]
    assert [(record["name"], record["samples"]) for record in records] == [
        ("mini-t5", 16), ("mini-tagger", 16), ("mini-stage3", 16)
    ]  # fmt: skip


def test_two_processes_share_the_shards_of_a_step(ran):
    folder, _ = ran
    record = json.loads((folder / "run/finished.json").read_text())
    assert (record["steps"], record["samples"]) == (4, 4 * 2 * 2 * 8)
    seen = {path.name: path.read_text().split() for path in folder.glob("seen-*")}
    losses = [[float(line) for line in path.read_text().split()] for path in folder.glob("loss-*")]
    logged = [json.loads(line)["loss"] for line in (folder / "run/train.jsonl").read_text().splitlines()]
    assert logged == pytest.approx([sum(step) / 4 for step in zip(*losses, strict=True)]), "the mean of all shards"
    assert seen == {f"seen-{shard}": [f"toy-{step}-{shard}-0" for step in range(4)] for shard in range(4)}
