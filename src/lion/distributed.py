"""The processes that share an evaluation or a training run, as started by torchrun or `accelerate launch`."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import torch
from torch import distributed

BARRIER_TIMEOUT = timedelta(days=7)
"""Longer than any process waits for one that draws pictures or validates; one that dies is noticed otherwise."""
JOIN_TIMEOUT = timedelta(minutes=10)
"""For all processes to come: machines start at different times, but who died before is waited for, too."""

_c10d: Any = distributed
"""What it has for this is public, but not to the type checker."""


class LaunchError(ValueError):
    """The environment variables of a launcher are set, but not by a launcher: a user's mistake, as a LionError is."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Their number, and the rank of this one, from 0."""

    count: int = 1
    rank: int = 0

    @classmethod
    def launched(cls, join: bool = True, backend: str = "gloo") -> Self:
        """The launcher's, one where there is no launcher; `join` makes them a process group, for `wait`.

        Raises:
            LaunchError: the environment names several processes, but not how to reach them; some did not come.
        """
        try:
            count, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
            if not 0 <= rank < count:
                raise ValueError(f"rank {rank} of {count}")
            if join and count > 1 and not distributed.is_initialized():
                store, *_ = next(_c10d.rendezvous("env://", timeout=JOIN_TIMEOUT))
                distributed.init_process_group(
                    backend,
                    timeout=BARRIER_TIMEOUT,
                    store=_c10d.PrefixStore("group", store),
                    rank=rank,
                    world_size=count,
                )
        except ValueError as error:
            name = f"WORLD_SIZE={os.environ['WORLD_SIZE']}" if "WORLD_SIZE" in os.environ else "RANK"
            raise LaunchError(f"{name} is set, but not by a launcher; start with torchrun, or unset it") from error
        except distributed.DistError as error:  # a time-out, or an address at which nobody is
            limit = JOIN_TIMEOUT.total_seconds() / 60
            came = f"not all {count} processes have come within {limit:.0f} min"
            raise LaunchError(f"{came}: see what the others said, and start all again") from error
        return cls(count, rank)

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def device(self, requested: str | None) -> str | None:
        """The device of this process: with several processes its own GPU, unless another kind is requested."""
        if self.count == 1 or requested not in (None, "cuda") or not torch.cuda.is_available():
            return requested
        return f"cuda:{os.environ.get('LOCAL_RANK', 0)}"

    def wait(self) -> None:
        """Block until all processes have called this."""
        if self.count > 1:
            distributed.barrier()
