"""The processes that share an evaluation or a training run, as started by torchrun or `accelerate launch`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

BARRIER_TIMEOUT = timedelta(days=7)
"""Longer than any process waits for the slowest, such as the one that draws pictures or validates; the launcher notices
one that dies."""


class LaunchError(ValueError):
    """The environment variables of a launcher are set, but not by a launcher: a user's mistake, as a LionError is."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Their number, and the rank of this one, from 0."""

    count: int = 1
    rank: int = 0

    @classmethod
    def of_environment(cls) -> Processes:
        """The launcher's, without joining them; one where there is no launcher.

        Raises:
            LaunchError: WORLD_SIZE or RANK is not a number.
        """
        try:
            return cls(int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0)))
        except ValueError as error:
            raise _launch_error() from error

    @classmethod
    def launched(cls) -> Processes:
        """The launcher's, joined into a process group; one where there is no launcher.

        Raises:
            LaunchError: the environment names several processes, but not how to reach them.
        """
        processes = cls.of_environment()
        if processes.count > 1 and not distributed.is_initialized():
            try:
                distributed.init_process_group("gloo", timeout=BARRIER_TIMEOUT)
            except ValueError as error:
                raise _launch_error() from error
        return processes

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def device(self, wanted: str | None) -> str | None:
        """The device of this process: with several processes its own GPU, unless another kind of device is wanted."""
        if self.count == 1 or wanted not in (None, "cuda") or not torch.cuda.is_available():
            return wanted
        return f"cuda:{os.environ.get('LOCAL_RANK', 0)}"

    def wait(self) -> None:
        """Block until all processes have called this."""
        if self.count > 1:
            distributed.barrier()


def _launch_error() -> LaunchError:
    variable = f"WORLD_SIZE={os.environ['WORLD_SIZE']}" if "WORLD_SIZE" in os.environ else "RANK"
    return LaunchError(f"{variable} is set, but not by a launcher; start with torchrun, or unset it")
