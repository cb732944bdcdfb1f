"""A study that is killed and stopped again and again ends in the weights and numbers of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.studies.small import overrides

WORDS = ["--only", "stage-wise", "--seeds", "2", "--questions", "4"]


def command(*words):
    return [sys.executable, "-m", "lion.cli", "study", "seeds", *overrides("seeds"), "stage3:steps=6", *WORDS, *words]


def numbers(folder, *words):
    done = subprocess.run(command("--out", folder, *words), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads(Path(folder, "seeds.json").read_text())
    runs = sorted(path.name for path in Path(folder, "runs").iterdir())
    weights = {name: (Path(folder, "runs", name) / "model.safetensors").read_bytes() for name in runs}
    return found, weights


@pytest.mark.slow
def test_killed_and_stopped_at_any_time_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    started = time.monotonic()
    whole = numbers(tmp_path / "whole")
    lasts = time.monotonic() - started
    rng, kinds = random.Random(0), [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT]
    for kind in kinds:
        process = subprocess.Popen(command("--out", tmp_path / "killed"), stderr=subprocess.PIPE, text=True)
        time.sleep(lasts * rng.uniform(0.15, 0.75))
        if process.poll() is None:
            os.kill(process.pid, kind)
        _, err = process.communicate(timeout=600)
        assert process.returncode in (0, 130, -signal.SIGKILL), err
        assert "bug" not in err and "Traceback" not in err, err
    assert numbers(tmp_path / "killed", "--jobs", "2") == whole  # several at a time give the same, too
