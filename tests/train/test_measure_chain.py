"""The tool that runs the paper's chain at real shape, at the smallest size."""

import pytest

from lion.data import pictures
from lion.model import LionConfig
from tools.measure_chain import run_chain


def test_the_chain_from_start_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pictures, "BLOCK", 8)
    run_chain(tmp_path / "chain", LionConfig.tiny(32128, 30523, 32099))
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| stage")][1:]
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        ("| stage1", "84", "yes", "0"),
        ("| stage2", "79", "yes", "0"),
        ("| stage3", "166", "yes", "0"),
    ]
    assert all(float(row[5].split(", ")[0]) == pytest.approx(10.4, abs=0.5) for row in rows)
