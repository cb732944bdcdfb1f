"""``lion bench``."""

import pytest

from lion.bench import limits, stages
from lion.cli import bench


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(bench, "LIMIT_SECONDS", 0.0)
    monkeypatch.setattr(limits, "SQUARE", 64)
    monkeypatch.setattr(limits, "LARGE", 2**16)
    monkeypatch.setattr(stages, "OWN_SHAPE_SECONDS", 0.0)
    monkeypatch.setattr(stages, "BATCHES", (1, 2))


def test_table(run, checkpoint):
    ran = run("bench", checkpoint, "--seconds", 1, "--threads", 1)
    assert ran.code == 0 and not ran.err
    assert "1 thread of" in ran.out.splitlines()[0]
    words = [line.split()[0] for line in ran.out.splitlines() if line]
    assert [words.count(step) for step in ("threads", "step", "look", "decode", "caption")] == [1, 1, 2, 2, 2]


def test_json(run, checkpoint):
    ran = run("bench", checkpoint, "--seconds", 1, "--threads", 1, "--json")
    kinds = [row["kind"] for row in ran.rows]
    assert kinds[:2] == ["setting", "limits"] and set(kinds[2:]) == {"stage"}
    assert ran.rows[0]["threads"] == ran.rows[1]["threads"] == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--against", "vllm"], "instructblip"),
        (["--threads", "0"], "--threads"),
        (["--seconds", "0"], "--seconds"),
        (["--plot", "bars.txt"], "plot"),
    ],
)
def test_mistakes(run, checkpoint, options, says):
    ran = run("bench", checkpoint, *options)
    assert ran.code == 2 and not ran.out and says in ran.err and ran.err.count("\n") == 1
