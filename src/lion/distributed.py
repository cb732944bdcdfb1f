"""The processes that share one evaluation or training run, as torchrun or accelerate launch started them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

BARRIER_TIMEOUT = timedelta(days=7)
"""Longer than any process waits for the slowest; one that dies is noticed by the launcher."""


class LaunchError(ValueError):
    """The environment is not that of a launcher: a mistake of the user's, as a LionError is."""


@dataclass(frozen=True, slots=True)
class Processes:
    """How many there are, and which this is, from 0."""

    count: int = 1
    rank: int = 0

    @classmethod
    def launched(cls) -> Processes:
        """Those of the launcher, joined; one where there is no launcher.

        Raises:
            LaunchError: the environment speaks of several and does not say how to find them.
        """
        try:
            count, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
            if count > 1 and not distributed.is_initialized():
                distributed.init_process_group("gloo", timeout=BARRIER_TIMEOUT)
        except ValueError as error:
            said = f"WORLD_SIZE={os.environ['WORLD_SIZE']}" if "WORLD_SIZE" in os.environ else "RANK"
            raise LaunchError(f"{said} is set, but not by a launcher; start with torchrun, or unset it") from error
        return cls(count, rank)

    @property
    def main(self) -> bool:
        """Whether this is the one that keeps the books."""
        return self.rank == 0

    def device(self, wanted: str | None) -> str | None:
        """The device of this process: its own GPU, where there are several processes and nobody wants another."""
        if self.count == 1 or wanted not in (None, "cuda") or not torch.cuda.is_available():
            return wanted
        return f"cuda:{os.environ.get('LOCAL_RANK', 0)}"

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()
