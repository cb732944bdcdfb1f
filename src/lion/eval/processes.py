"""The processes that share one evaluation, as torchrun or accelerate launch started them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import distributed

from lion.errors import LionError
from lion.machine import PATIENCE


@dataclass(frozen=True, slots=True)
class Processes:
    """How many there are, and which this is, from 0."""

    count: int = 1
    rank: int = 0

    @classmethod
    def launched(cls) -> Processes:
        """Those of the launcher, joined; one where there is no launcher.

        Raises:
            LionError: the environment speaks of several and does not say how to find them.
        """
        try:
            count, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
            if count > 1 and not distributed.is_initialized():
                distributed.init_process_group("gloo", timeout=PATIENCE)
        except ValueError as error:
            said = f"WORLD_SIZE={os.environ['WORLD_SIZE']}" if "WORLD_SIZE" in os.environ else "RANK"
            raise LionError(f"{said} is set, but not by a launcher; start with torchrun, or unset it") from error
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
