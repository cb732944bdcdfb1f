"""What the load test reckons of its turns."""

import math

import pytest

from perf.serve_load import Run, _rises, _slope, _themselves


def run(*milliseconds):
    return Run(milliseconds=list(map(float, milliseconds)), seconds=1.0)


def values(rows):
    return [row["value"] for row in rows]


def test_a_rise_is_that_of_turns_beside_each_other():
    plain, beside = [run(*range(1, 101)), run(*range(11, 111))], [run(*range(6, 106)), run(*range(26, 126))]
    turns = {kind: [(one, run()) for one in runs] for kind, runs in (("none", plain), ("one", beside))}
    rows = _rises(turns, "one", "large", most=9.0)
    assert values(rows) == pytest.approx([10.0, 10.0, 5.0])  # of 5 and 15
    assert [row["passed"] for row in rows] == [None, False, None]


def test_one_turn_among_several_weighs_less():
    plain, beside = [run(*range(1, 101)) for _ in range(4)], [run(*range(1, 100), 900) for _ in range(4)]
    turns = {kind: [(one, run()) for one in runs] for kind, runs in (("none", plain), ("one", beside))}
    alone, among = (_rises(turns, "one", "large", count, most=0.0) for count in (1, 4))
    assert values(alone)[:2] == [0.0, 0.0]  # the longest of a hundred is none of their p99
    assert values(among) == [0.0, 0.0, 0.0] and among[1]["passed"]
    turns["one"] = [(run(*range(1, 99), 900, 900), run())] * 4
    assert values(_rises(turns, "one", "large"))[1] == 801.0
    assert values(_rises(turns, "one", "large", 4))[1] == 1.0  # from 99 to 100: four of 400 are above either


def test_a_slope_wants_two_points():
    assert _slope([(0, 100.0), (1000, 101.0), (2000, 102.0)]) == pytest.approx(1.0)
    assert math.isnan(_slope([])) and math.isnan(_slope([(500, 100.0), (500, 101.0)]))


def test_what_was_not_measured_is_none_in_the_report():
    assert values(_themselves({"only": [(run(1), run())]}, "only", "large")) == [0.0, None, None]
