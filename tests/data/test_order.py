"""The order of samples: a bijection for every size and key, exact shares, a function of the position alone."""

from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lion.data.order import BLOCK, Order, Permutation


@settings(max_examples=60)
@given(st.integers(1, 1500), st.integers())
def test_a_permutation_is_a_bijection(size, seed):
    shuffled = Permutation(size, "key", seed)
    assert sorted(map(shuffled, range(size))) == list(range(size))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 10, 255, 256, 257, 4095, 4096, 4097])
def test_sizes_at_the_edges_of_the_table(size):
    assert len({Permutation(size, "edge")(number) for number in range(size)}) == size


@given(st.integers(10**9, 10**15), st.integers(0, 10**8))
def test_a_large_permutation_stays_in_its_range_and_apart(size, start):
    found = [Permutation(size, "large")(start + number) for number in range(50)]
    assert len(set(found)) == 50 and all(0 <= number < size for number in found)


def test_a_permutation_never_changes():
    assert [Permutation(10, "stage1", 0, epoch)(3) for epoch in range(5)] == [5, 0, 0, 5, 3]
    assert list(map(Permutation(12, "frozen"), range(12))) == [1, 5, 6, 8, 3, 2, 7, 9, 0, 10, 11, 4]


def test_every_place_gets_every_number_equally_often_over_keys():
    """Chi-squared of 20 x 20 counts over 1,000 keys: 361 degrees of freedom, standard deviation 27; five of them."""
    seen = Counter((place, Permutation(20, key)(place)) for key in range(1000) for place in range(20))
    assert sum((seen[place, number] - 50) ** 2 / 50 for place in range(20) for number in range(20)) < 361 + 5 * 27


def test_neighbours_are_torn_apart():
    """Neighbours end up a third of the range apart on average, as in a random order."""
    size = 10_000
    order = list(map(Permutation(size, "apart"), range(size)))
    mean = sum(abs(a - b) for a, b in pairwise(order)) / size
    assert mean == pytest.approx(size / 3, rel=0.03)


def places(order, count, start=0):
    return [order(position) for position in range(start, start + count)]


def test_one_part_is_seen_whole_in_every_epoch_and_each_time_in_another_order():
    order = Order([7], [1.0], ["seed"])
    seen = places(order, 21)
    assert [place.epoch for place in seen] == [0] * 7 + [1] * 7 + [2] * 7
    passes = [[place.number for place in seen if place.epoch == epoch] for epoch in range(3)]
    assert all(sorted(numbers) == list(range(7)) for numbers in passes)
    assert len({tuple(numbers) for numbers in passes}) == 3
    assert places(Order([7], [1.0], ["another seed"]), 21) != seen


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0.01, 100)), min_size=1, max_size=6), st.sampled_from([1, 3]))
def test_mixed_parts_are_each_seen_in_whole_passes(parts, unit):
    sizes, weights = zip(*parts, strict=True)
    seen = places(Order(sizes, weights, ["mixed"], unit), 1500)
    for part in range(len(sizes)):
        mine = [place for place in seen if place.part == part]
        counts = Counter((place.epoch, place.number) for place in mine)
        assert not counts or max(counts.values()) == 1  # never twice within a pass
    assert all(len({place.part for place in seen[at : at + unit]}) == 1 for at in range(0, 1500, unit))


def test_parts_have_their_exact_shares_of_a_block_and_are_mixed_in_it():
    order = Order([5, 1000, 30], [1, 2, 5], ["shares"])
    seen = places(order, 2 * BLOCK)
    for half in (seen[:BLOCK], seen[BLOCK:]):
        counts = Counter(place.part for place in half)
        assert counts == {0: BLOCK / 8, 1: BLOCK / 4, 2: BLOCK * 5 / 8}
    for part, size in enumerate(order.sizes):  # one pass after another, also across the blocks' border
        mine = [place for place in seen if place.part == part]
        for at in range(0, len(mine) - size, size):
            assert {place.epoch for place in mine[at : at + size]} == {at // size}
            assert len({place.number for place in mine[at : at + size]}) == size


def test_the_smallest_weight_is_heard():
    assert Counter(place.part for place in places(Order([9, 9], [1, 1e9], ["s"]), BLOCK))[0] == 1


def test_replacements_are_of_the_same_part_and_do_not_end():
    order = Order([4, 9], [1, 1], ["seed"])
    found = list(islice(order.instead(17, 0), 20))
    assert sorted(set(found)) == [0, 1, 2, 3] and found == list(islice(order.instead(17, 0), 20))
    assert list(islice(order.instead(18, 1), 9)) != list(islice(order.instead(19, 1), 9))
