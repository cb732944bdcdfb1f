"""Processes that start in no time: a server imports the library once, and each is a fork of it.

Unlike a fork of the test's own process it inherits no threads, no autograd engine and no CUDA context.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess

LIBRARY = ["lion.cli.train", "lion.train.run", "lion.train.language_modelling", "lion.eval", "torch.distributed.run"]
STREAMS = ("stdout", "stderr")


class _Process(ForkServerProcess):
    """What it starts in turn is forked from it, as usual on Linux, and not from another server."""

    def run(self) -> None:
        multiprocessing.set_start_method("fork", force=True)
        super().run()


class _Context(ForkServerContext):
    Process = _Process


def context() -> ForkServerContext:
    """For ``context().Process(target=..., args=...)``; the target has to be importable."""
    found = _Context()
    found.set_forkserver_preload(LIBRARY)
    return found


def run(target: Callable[..., object], *arguments: object, timeout: float = 600) -> int:
    """Call a function in a process of its own; its exit code, negative for a signal."""
    process = context().Process(target=target, args=arguments)
    process.start()
    process.join(timeout)
    assert process.exitcode is not None, f"not done after {timeout} s"
    return process.exitcode


def torchrun(count: int, script: Path, *arguments: object, **environment: str) -> CompletedProcess[str]:
    """``torchrun --standalone --nproc-per-node=COUNT script arguments``, whose processes are forks, too.

    The script's streams go to files beside it, ``stdout`` and ``stderr``.
    """
    words = [str(argument) for argument in arguments]
    code = run(_launch, count, str(script), words, environment)
    out, err = (script.with_name(name).read_text() for name in STREAMS)
    return CompletedProcess(words, code, out, err)


def _launch(count: int, script: str, arguments: list[str], environment: dict[str, str]) -> None:
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for number, name in enumerate(STREAMS, start=1):
        with Path(script).with_name(name).open("w") as file:
            os.dup2(file.fileno(), number)
    os.environ |= environment
    settings = {"run_id": "tests", "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "monitor_interval": 0.1}
    settings["max_restarts"] = 0  # a failure is to be seen, not tried again
    elastic_launch(LaunchConfig(1, 1, count, start_method="fork", **settings), _work)(script, arguments)


def _work(script: str, arguments: list[str]) -> None:
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
