"""Pictures in order, bounded in memory, whatever the reading threads do."""

import threading
from time import monotonic, sleep

import pytest

from lion.annotate.reader import Reader
from lion.annotate.records import Record
from lion.errors import LionError
from tests.annotate.conftest import png


def record(number, load=None):
    return Record(str(number), load or (lambda: png(number)))


def test_pictures_come_in_order_shard_by_shard():
    def late():
        sleep(0.05)
        return png(0)

    with Reader([[record(0, late), record(1)], [], [record(2)]], workers=3) as reader:
        assert [[one.key for one in reader.shard()] for _ in range(3)] == [["0", "1"], [], ["2"]]


def test_each_reason_stays_with_its_picture():
    def gone():
        raise LionError("gone")

    rows = [record(0, gone), record(1, lambda: b""), record(2, lambda: png(2)[:200]), record(3)]
    with Reader([rows], workers=2) as reader:
        found = list(reader.shard())
    assert [bool(one.look) for one in found] == [False, False, False, True]
    assert [one.sha256 is None for one in found] == [True, False, False, False]
    assert found[0].reason == "gone" and "empty" in found[1].reason and "cannot be decoded" in found[2].reason


@pytest.mark.parametrize("workers", [1, 4])
def test_what_is_held_is_bounded(workers):
    taken, high = [0], [0]
    cost = 3 * 64 * 48 + len(png(0, (64, 48)))
    loaded = []

    def load(number):
        loaded.append(number)
        high[0] = max(high[0], len(loaded) - taken[0])
        return png(number)

    rows = [record(number, lambda number=number: load(number)) for number in range(100)]
    with Reader([rows], workers, ahead=5 * max(cost, 2**16)) as reader:
        for _ in reader.shard():
            taken[0] += 1
            sleep(0.001)
    assert taken[0] == 100 and high[0] <= 5 + 2 * workers + 2


def test_a_picture_beyond_the_bound_comes_alone():
    with Reader([[record(number) for number in range(5)]], workers=2, ahead=1) as reader:
        assert len(list(reader.shard())) == 5


def test_an_error_of_ours_is_raised_where_pictures_are_taken():
    def broken():
        yield record(0)
        raise RuntimeError("a bug")

    with Reader([broken()], workers=1) as reader, pytest.raises(RuntimeError, match="a bug"):
        list(reader.shard())


def test_leaving_early_ends_the_threads():
    before = threading.active_count()
    with Reader(([record(number % 90) for number in range(1000)] for _ in range(100)), workers=2, ahead=1) as reader:
        next(reader.shard())
    end = monotonic() + 5
    while threading.active_count() > before and monotonic() < end:
        sleep(0.01)
    assert threading.active_count() <= before
