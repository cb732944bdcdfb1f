"""The log of a run that goes on: whatever a sample is called, and whatever a crash left in the files."""

import json
import os

import pytest

from lion.data.sample import BadSample
from lion.errors import LionError
from lion.train.log import RunLog


@pytest.mark.parametrize("name", ["a\u2028b.png", "a\x85b.png", "a\nb\r.png", "caf\udce9.png"])
def test_any_name_of_a_sample_is_logged_and_read_back(tmp_path, name):
    """Some characters end a line for `str.splitlines`, and bytes of a file's name may be no text."""
    for step in (0, 1):
        log = RunLog(tmp_path, step)
        for number in range(step, 3):
            log.bad_sample(number + 1, BadSample(name, "truncated"))
        log.close()
    rows = [json.loads(line) for line in (tmp_path / "bad_samples.jsonl").open(encoding="utf-8", newline="\n")]
    assert [(row["step"], row["id"]) for row in rows] == [(1, name), (2, name), (3, name)]


@pytest.mark.parametrize("damage", [b"\0\0\n", b"[]\n", b"{}\n", b"\xff\n", b'{"step": "1"}\n'])
def test_a_damaged_line_is_named_and_half_a_line_dropped(tmp_path, damage):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"step": 1}\n' + damage + b'{"step": 3}\n')
    with pytest.raises(
        LionError, match=r"train.jsonl, line 2, is not a row of a run's log; delete it if it is damaged"
    ):
        RunLog(tmp_path, 3)
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n' + damage.rstrip(b"\n"))
    RunLog(tmp_path, 1).close()
    assert path.read_bytes() == b'{"step": 1}\n'


def test_what_a_checkpoint_counts_on_is_on_the_disk_before_it(tmp_path, monkeypatch):
    """A machine that goes down loses what was written and not synced, and a checkpoint is."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    log = RunLog(tmp_path, 0)
    log.flush()
    log.close()
    assert {path.stat().st_ino for path in tmp_path.glob("*.jsonl")} == set(synced) and len(synced) == 4
