"""Processes started by hand, of which one dies, hangs or fails: the others end soon, with one line."""

import os
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest

from lion.distributed import LaunchError, Processes
from lion.errors import LionError
from lion.train import heartbeat
from lion.train.run import train
from tests.train.scaling import start_by_hand
from tests.train.toy import Toy, recipe


class Ill(Toy):
    """In step 3 of process `rank` something happens."""

    def __init__(self, recipe, rank: int, what: str) -> None:
        super().__init__(recipe)
        self.rank, self.what = rank, what

    def loss(self, model, batch):
        if batch.ids[0].startswith("toy-2-") and os.environ["RANK"] == str(self.rank):
            if self.what == "error":
                raise LionError("no usable sample")
            os.kill(os.getpid(), getattr(signal, self.what))
        return super().loss(model, batch)


def work(out: Path, ill: int, what: str, silence: float) -> None:
    """One process of two."""
    heartbeat.BEAT, heartbeat.SILENCE = silence / 8, silence
    toy = recipe(out / "run", steps=10**6, checkpoint={"every": 2})
    train(toy, objective=Ill(toy, ill, what))


@pytest.mark.parametrize(
    ("ill", "what", "code", "line"),
    [
        (1, "SIGKILL", 2, "error: another process of this run has ended, and may have said why; the same command"),
        (0, "SIGKILL", 2, "error: another process of this run has ended, and may have said why; the same command"),
        (1, "error", 2, "error: another process of this run has ended, and may have said why; the same command"),
        (
            1,
            "SIGSTOP",
            1,
            "process 1 on {host} has given no sign of life for {silence:.0f} s, and this run cannot go on",
        ),
        (
            0,
            "SIGSTOP",
            1,
            "process 0 (or the launcher beside it) has not answered for {silence:.0f} s, and this run cannot",
        ),
    ],
)
def test_the_others_end_when_one_does(tmp_path, ill, what, code, line, silence=3.0):
    both = start_by_hand(2, tmp_path, work, tmp_path, ill, what, silence)
    try:
        while not list(tmp_path.glob("run/checkpoints/step-*")):
            time.sleep(0.05)
        since = time.monotonic()
        both[1 - ill].join(60)
        took = time.monotonic() - since
    finally:
        both[ill].kill()
        both[1 - ill].kill()
        both[ill].join()
    assert both[1 - ill].exitcode == code and took < 50
    said = (tmp_path / f"stderr-{1 - ill}").read_text().splitlines()
    assert line.format(host=socket.gethostname(), silence=silence) in said[-1 if code == 2 else -2], said
    assert [path.name for path in tmp_path.glob("run/checkpoints/*")] == ["step-0000002"]


def work_for_a_while(out: Path, silence: float) -> None:
    """One process of two, until a file is there."""
    heartbeat.BEAT, heartbeat.SILENCE = silence / 8, silence
    toy = recipe(out / "run", steps=10**6, checkpoint={"every": 2})
    train(toy, objective=UntilTold(toy))


class UntilTold(Toy):
    told = False

    def batch(self, step, shard=0):
        if not self.told and (self.recipe.folder / "enough").exists():
            self.told = True
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step, shard)


def test_processes_that_are_all_suspended_go_on_when_they_are_woken(tmp_path, silence=1.5):
    """As by Ctrl-Z, or a scheduler that lends their machine to others: the silence was nobody's."""
    both = start_by_hand(2, tmp_path, work_for_a_while, tmp_path, silence)
    try:
        while not list(tmp_path.glob("run/checkpoints/step-*")):
            time.sleep(0.05)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in both:
                os.kill(process.pid, number)
            time.sleep(2.5 * silence)
        assert all(process.is_alive() for process in both), (tmp_path / "stderr-0").read_text()
        (tmp_path / "run/enough").touch()
        for process in both:
            process.join(60)
    finally:
        for process in both:
            process.kill()
    assert all("stopped after step" in (tmp_path / f"stderr-{rank}").read_text() for rank in (0, 1))


def test_who_waits_for_a_process_that_never_comes_says_so(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("lion.distributed.JOIN_TIMEOUT", timedelta(seconds=0.5))
    with pytest.raises(LaunchError, match="not all 2 processes have come within 0 min: see what the others said"):
        Processes.launched()


def test_another_error_stays_what_it_is_and_one_process_needs_no_store():
    with pytest.raises(RuntimeError, match="gloo is a word"), heartbeat.watched(Processes()):
        raise RuntimeError("gloo is a word")
