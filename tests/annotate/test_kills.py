"""Two thousand drawn pictures, one in a hundred bad, by a command that is killed at ten random moments."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time

import pyarrow.parquet as parquet
import pytest

from lion.world.writer import write
from tests.annotate.conftest import files

pytestmark = pytest.mark.slow

PICTURES, BAD, KILLS = 2000, 20, 10
ON_RAY = ["--ray", "local", "--actors", "2"]
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The pictures, and one folder for each kind of damage among them."""
    root = tmp_path_factory.mktemp("world")
    write(root, PICTURES, seed=5, split="test", pixels=128)
    pictures = sorted(root.rglob("*.png"))
    assert len(pictures) == PICTURES
    for number, path in enumerate(random.Random(0).sample(pictures, BAD)):
        path.write_bytes([b"", b"text", path.read_bytes()[:300]][number % 3])
    return root


def command(given, out, *words):
    words = ("--do", "tags,caption", "--decoding", "greedy", "--shard-size", "100", *words)
    return [sys.executable, "-m", "lion.cli", "annotate", str(given), str(out), *words]


def start(given, out, *words):
    return subprocess.Popen(command(given, out, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(given, out, *words):
    check_end(start(given, out, *words))


def check_end(process):
    said, errors = process.communicate(timeout=3600)
    assert process.returncode == 2, errors
    assert said.startswith(f"pictures: {PICTURES},") and said.endswith(f": {PICTURES - BAD}, errors: {BAD}\n")


@pytest.fixture(scope="module")
def undisturbed(given, tmp_path_factory):
    """What a run that nothing disturbs writes, and its seconds."""
    out = tmp_path_factory.mktemp("whole") / "out"
    began = time.monotonic()
    finish(given, out)
    return files(out), time.monotonic() - began


def killed_ten_times(given, out, seconds, number, *words):
    """Start the command ten times, and kill it in its first `seconds`, part of which it needs to start."""
    chance = random.Random(1)
    for _ in range(KILLS):
        process = start(given, out, *words)
        try:
            process.wait(chance.uniform(5, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_killed_at_ten_moments(given, undisturbed, tmp_path, number):
    whole, seconds = undisturbed
    killed_ten_times(given, tmp_path / "out", 5 + seconds / 4, number)
    finish(given, tmp_path / "out")
    assert files(tmp_path / "out") == whole


@needs_ray
def test_killed_on_ray(given, undisturbed, tmp_path):
    whole, seconds = undisturbed
    killed_ten_times(given, tmp_path / "out", 30 + seconds / 4, signal.SIGKILL, *ON_RAY)
    finish(given, tmp_path / "out", *ON_RAY)
    assert same_answers(tmp_path / "out", whole)


@needs_ray
def test_actors_killed_on_ray(given, undisturbed, tmp_path):
    whole, _ = undisturbed
    process = start(given, tmp_path / "out", *ON_RAY)
    chance, killed, shards = random.Random(2), 0, 0
    while process.poll() is None and killed < KILLS:
        time.sleep(chance.uniform(0, 3))
        there = len(list((tmp_path / "out").glob("done/*")))
        if there > shards and (actors := actors_of(process.pid)):  # loading a model takes longer than the next kill
            os.kill(chance.choice(actors), signal.SIGKILL)
            killed, shards = killed + 1, there
    check_end(process)
    assert killed >= 3
    assert same_answers(tmp_path / "out", whole)


def actors_of(parent):
    """Processes of Ray actors that a driver has started, directly or not."""
    import psutil

    below = psutil.Process(parent).children(recursive=True)
    alive = (one for one in below if one.is_running() and one.status() != psutil.STATUS_ZOMBIE)
    return [one.pid for one in alive if "MapWorker" in " ".join(one.cmdline())]


def same_answers(out, whole):
    """Whether all files are there, and rows agree but for the last digits of scores: actors may have fewer threads."""
    found = files(out)
    assert found.keys() == whole.keys()
    for name, data in whole.items():
        if not name.endswith(".parquet"):
            assert found[name] == data, name
            continue
        import pyarrow as arrow

        ours, theirs = (
            parquet.read_table(out / name).to_pylist(),
            parquet.read_table(arrow.BufferReader(data)).to_pylist(),
        )
        assert [plain(row) for row in ours] == [plain(row) for row in theirs]
    return True


def plain(row):
    """A row without its scores."""
    answers = [(one["do"], one["text"], one["ok"], [box["unit"] for box in one["boxes"]]) for one in row["answers"]]
    return {**row, "answers": answers}
