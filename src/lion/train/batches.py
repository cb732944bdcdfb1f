"""The micro-batches of this process, in order, built ahead by worker processes where the recipe wants some."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset

from lion.errors import LionError
from lion.train.objective import Batch, Objective
from lion.train.recipe import Recipe
from lion.train.stopping import SIGNALS


def micro_batches(objective: Objective, recipe: Recipe, first: int, accelerator: Accelerator) -> Iterator[Batch]:
    """Micro-batches of this process from step `first` (from 0) on.

    Raises:
        LionError: the objective cannot build one.
    """
    processes, rank = accelerator.num_processes, accelerator.process_index
    addresses = [
        (step, micro * processes + rank)
        for step in range(first, recipe.steps)
        for micro in range(recipe.gradient_accumulation)
    ]
    loader: DataLoader[Any] = DataLoader(
        _Shards(objective),
        sampler=addresses,
        batch_size=None,
        collate_fn=_unchanged,  # type: ignore[arg-type]  # typed for lists; without batch_size it gets one item
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
    """Micro-batches by (step, shard)."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def __getitem__(self, address: tuple[int, int]) -> Batch | LionError:
        """The batch, or why there is none: raised in a worker, the reason would come with the worker's traceback."""
        try:
            return self.objective.batch(*address)
        except LionError as error:
            return error


def _ignore_signals(worker: int) -> None:
    """Ctrl-C reaches the workers as well, but without them the loop could not end its step and save."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _unchanged(batch: Batch | LionError) -> Batch | LionError:
    return batch
