"""The micro-batches of a process, in order; built ahead by worker processes where the recipe sets some."""

import signal
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset

from lion.errors import LionError
from lion.train.objective import Batch, Objective
from lion.train.recipe.schema import Recipe
from lion.train.stopping import SIGNALS


def micro_batches(objective: Objective, recipe: Recipe, first: int, accelerator: Accelerator) -> Iterator[Batch]:
    """This process's micro-batches from step `first` (from 0) on. Raises: LionError if one cannot be built."""
    addresses = [
        (step, micro * accelerator.num_processes + accelerator.process_index)
        for step in range(first, recipe.steps)
        for micro in range(recipe.gradient_accumulation)
    ]
    loader: DataLoader[Any] = DataLoader(
        _Shards(objective),
        sampler=addresses,
        batch_size=None,
        num_workers=recipe.workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=_ignore_signals,
        generator=torch.Generator(),  # its own, or starting the loader would advance the run's random state
    )
    for batch in loader:
        if isinstance(batch, LionError):
            raise batch
        yield batch


class _Shards(Dataset[Batch | LionError]):
    """Micro-batches by (step, shard); or the error, which raised in a worker would bring the worker's traceback."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def __getitem__(self, address: tuple[int, int]) -> Batch | LionError:
        try:
            return self.objective.batch(*address)
        except LionError as error:
            return error


def _ignore_signals(worker: int) -> None:
    """Ctrl-C reaches the workers as well, but without them the loop could not end its step and save."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
