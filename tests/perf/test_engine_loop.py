"""What the engine's loop reckons, and that it runs."""

import json
from itertools import islice

import pytest

from perf.engine_loop import main, measured
from perf.serve_load import rounds


def test_gains_are_of_turns_beside_each_other():
    turns = iter([20.0, 10.0, 30.0, 10.0, 25.0, 10.0])
    rows = measured(lambda _: next(turns), outstanding=32, turns=3)
    assert [row["value"] for row in rows] == pytest.approx([25.0, 10.0, 2.5, 0.5 / 3**0.5])


def test_one_turn_has_no_standard_error():
    assert measured(lambda count: 20.0 / count, outstanding=2, turns=1)[-1]["value"] is None


def test_clients_begin_at_places_of_their_own():
    assert [list(islice(source, 3)) for source in rounds("abcdef", 3)] == [list("abc"), list("cde"), list("efa")]
    assert [next(source) for source in rounds("abc", 5)] == list("abcab")


def test_it_runs_on_lion_mini(tmp_path, capsys):
    words = ["--seconds", "0.2", "--turns", "1", "--pictures", "1", "--outstanding", "3", "--out"]
    assert main([*words, str(tmp_path / "e.json")]) == 0
    assert "3 outstanding" in capsys.readouterr().out
    rows = json.loads((tmp_path / "e.json").read_text())["rows"]
    assert all(row["value"] > 0 for row in rows[:3])
