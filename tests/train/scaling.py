"""Several processes started by hand, and stage 3 of a tiny model over them: what it saw, and stops on the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch
from torch import nn

from lion import distributed
from lion.distributed import LaunchError
from lion.errors import LionError
from lion.train.language_modelling import LanguageModelling
from lion.train.objective import Batch
from lion.train.recipe import parse
from lion.train.recipe.schema import Recipe
from lion.train.run import train
from lion.train.stopping import Stopped
from tests import processes


def start_by_hand(count: int, out: Path, target: Callable[..., object], *arguments: object) -> list[ForkServerProcess]:
    """`count` processes that call target(*arguments), with what a launcher would set; stderr goes to `out`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = processes.context()
    all_of_them = [
        context.Process(target=_by_hand, args=(rank, count, port, out, target, arguments)) for rank in range(count)
    ]
    for process in all_of_them:
        process.start()
    return all_of_them


def _by_hand(rank: int, count: int, port: int, out: Path, target: Callable[..., object], arguments: tuple) -> None:
    sys.stderr = (out / f"stderr-{rank}").open("w", buffering=1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.JOIN_TIMEOUT = timedelta(seconds=20)
    try:
        target(*arguments)
    except (LionError, LaunchError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def recipe(root: Path, name: str, **fields) -> Recipe:
    """Eight steps of four micro-batches, both task levels in each; the model is the one in `root`/model."""
    settings = {
        "name": name,
        "stage": "stage3",
        "init": {"model": str(root / "model")},
        "data": [{"source": "world", "scenes": 16, "tasks": {"vqa": 1, "caption": 1, "rec": 1, "reg": 1}}],
        "order": "epochs",
        "steps": 8,
        "batch_size": 2,
        "gradient_accumulation": 4,
        "optimizer": {"lr": 0.003, "warmup": 2},
        "checkpoint": {"every": 3},
        "validation": {"every": 4, "samples": 1},
        "out": str(root / name),
    }
    return parse({**settings, **fields})


class Scored(LanguageModelling):
    """Its validation is the loss of a fixed batch; before the export it keeps the newest checkpoint."""

    def validate(self, model: nn.Module, skip) -> dict[str, float]:
        return {"loss": float(self.loss(model, self.batch(10**6)).total)}

    def export(self, model: nn.Module, out: Path) -> None:
        *_, newest = sorted((self.recipe.folder / "checkpoints").iterdir())
        shutil.copytree(newest, self.recipe.folder.parent / "kept" / self.recipe.name / newest.name)
        super().export(model, out)


class Stopping(Scored):
    """The last process is told to stop in step `at`, from 0."""

    at = -1

    def batch(self, step: int, shard: int = 0) -> Batch:
        if step == self.at and os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1):
            self.at = -1
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step, shard)


def go_on(run: Recipe, wrappers: list[str]) -> None:
    """One run, each part of it under another wrapper: it is stopped in between."""
    for number, wrapper in enumerate(wrappers):
        os.environ["ACCELERATE_USE_FSDP"] = str(wrapper == "fsdp2")
        objective = Stopping(run)
        objective.at = [1, 4, -1][number]
        with suppress(Stopped):
            train(run, objective=objective)
        assert (run.folder / "finished.json").is_file() == (number == len(wrappers) - 1)
