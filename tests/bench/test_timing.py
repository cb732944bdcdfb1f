"""Turns, medians and the memory gauge."""

import sys

import pytest
import torch

from lion.bench import timing
from lion.bench.timing import MemoryGauge, Spread, ratio, take_turns, threads

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = [0.0]
    monkeypatch.setattr(timing, "perf_counter", lambda: now[0])
    return now


def test_turns_alternate_after_a_warm_up_and_are_timed_alone(clock):
    order = []

    def run(name, seconds):
        order.append(name)
        clock[0] += seconds

    taken = take_turns({"a": lambda: run("a", 1.0), "b": lambda: run("b", 2.0)}, 12.0, CPU)
    assert taken == {"a": [1.0] * 4, "b": [2.0] * 4}
    assert "".join(order) == "ab" * 5


@pytest.mark.parametrize(
    ("one", "granted", "rounds"), [(1.0, 10.0, 10), (1.0, 1.5, 3), (1.0, 0.4, 2), (1.0, 0.1, 1), (1e-6, 9.0, 200)]
)
def test_rounds_by_time(clock, one, granted, rounds):
    """Three at least, unless they take three times what was granted; 200 at most."""

    def run():
        clock[0] += one

    assert len(take_turns({"a": run}, granted, CPU)["a"]) == rounds


def test_spread_and_ratio():
    spread = Spread.of([2.0, 1.0, 4.0])
    assert spread == Spread(2.0, 1.0, 4.0, 3)
    assert spread.per(8) == Spread(4.0, 2.0, 8.0, 3)
    assert ratio([2.0, 3.0], [1.0, 2.0]) == Spread(1.75, 1.5, 2.0, 2)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak is not forgotten")
def test_memory_gauge_sees_its_own_peak_alone():
    size = 2**28
    before = MemoryGauge(CPU)
    torch.ones(size, dtype=torch.uint8)
    high = before.peak()
    after = MemoryGauge(CPU)
    assert high - after.peak() > size / 2
