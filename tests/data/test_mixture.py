"""Mixing: a pure function of the step, in the given proportions, that steps over bad pictures and names them."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lion.data.mixture import WINDOW, EpochMixture, Mixture
from lion.data.sample import Sample
from lion.errors import LionError
from lion.prompts import Task


class Numbers:
    """A source whose samples are their own indices; some are broken, some have nothing to ask."""

    def __init__(self, letter, tasks, broken=(), empty=(), size=10):
        self.letter, self.tasks, self.broken, self.empty, self.size = letter, tasks, broken, empty, size

    def prepare(self):
        pass

    def indices(self, task):
        return range(self.size)

    def name(self, index, task):
        return f"{self.letter}{index}"

    def length(self, index, task):
        return index * 7919 % 101

    def sample(self, index, task, rng):
        if index in self.broken:
            raise LionError(f"{index} is broken")
        if index in self.empty:
            return None
        return Sample(self.name(index, task), np.zeros((2, 2, 3), np.uint8), task, "?", str(rng.random()))


A = Numbers("a", {Task.VQA: 1, Task.REC: 3})
B = Numbers("b", {Task.CAPTION: 5})


def drawn(mixture, *address):
    return [(sample.id, sample.task, sample.answer) for sample in mixture.batch(*address)[0]]


def test_a_batch_is_a_function_of_seed_step_and_shard_alone():
    mixture, again = Mixture([(A, 1), (B, 1)], names=["s", 3]), Mixture([(A, 1), (B, 1)], names=["s", 3])
    wanted = drawn(mixture, 7, 1, 16)
    drawn(again, 0, 0, 5)
    assert drawn(again, 7, 1, 16) == wanted
    others = [
        drawn(mixture, 7, 0, 16),
        drawn(mixture, 8, 1, 16),
        drawn(Mixture([(A, 1), (B, 1)], names=["s", 4]), 7, 1, 16),
    ]
    assert wanted not in others


def test_sources_and_tasks_come_in_their_proportions():
    counts = Counter(task for _, task, _ in drawn(Mixture([(A, 1), (B, 3)], names=["s", 0]), 0, 0, 4000))
    assert counts[Task.CAPTION] / 4000 == pytest.approx(0.75, abs=0.03)
    assert counts[Task.REC] / 4000 == pytest.approx(0.1875, abs=0.03)


def test_a_batch_of_one_task_keeps_to_it_and_tasks_keep_their_proportions():
    mixture = Mixture([(A, 1), (B, 3)], names=["s", 0], one_task=True)
    batches = [{task for _, task, _ in drawn(mixture, step, 0, 4)} for step in range(400)]
    assert all(len(tasks) == 1 for tasks in batches)
    assert sum(tasks == {Task.CAPTION} for tasks in batches) / 400 == pytest.approx(0.75, abs=0.08)


def test_the_task_of_a_batch_does_not_choose_its_samples():
    mixture = Mixture([(A, 1), (B, 1)], names=["s", 0], one_task=True)
    seen = {sample_id for step in range(400) for sample_id, _, _ in drawn(mixture, step, 0, 1)}
    assert seen == {f"{letter}{number}" for letter in "ab" for number in range(10)}


def test_bad_and_empty_pictures_are_replaced_and_the_bad_ones_named():
    holed = Numbers("h", {Task.VQA: 1}, broken={1, 2}, empty={3, 4})
    samples, bad = Mixture([(holed, 1)], names=["s", 0]).batch(0, 0, 40)
    assert len(samples) == 40
    assert {sample.id for sample in samples} <= {"h0", "h5", "h6", "h7", "h8", "h9"}
    assert {(each.id, each.reason) for each in bad} == {("h1", "1 is broken"), ("h2", "2 is broken")}


def test_nothing_but_bad_pictures_is_an_error_that_names_one():
    broken = Numbers("x", {Task.VQA: 1}, broken=range(10))
    with pytest.raises(LionError, match=r"20 samples in a row were of no use; the last: x\d: \d is broken"):
        Mixture([(broken, 1)], names=["s", 0]).batch(0, 0, 1)


def test_once_takes_each_sample_once_by_weight_and_all_there_are_where_they_are_few():
    few, many = (
        Numbers("f", {Task.VQA: 1}, broken={1}, empty={2}),
        Numbers("m", {Task.CAPTION: 1, Task.REC: 3}, size=90),
    )
    samples, bad = Mixture([(few, 1), (many, 1)], names=["v"]).once(40)
    counts = Counter(sample.task for sample in samples)
    assert counts == {Task.VQA: 8, Task.CAPTION: 5, Task.REC: 15}
    assert len({(sample.id, sample.task) for sample in samples}) == 28
    assert [each.id for each in bad] == ["f1"]
    again, _ = Mixture([(few, 1), (many, 1)], names=["v"]).once(40)
    assert [(one.id, one.answer) for one in again] == [(one.id, one.answer) for one in samples]
    assert len(Mixture([(few, 1), (many, 1e6)], names=["v"]).once(8)[0]) == 9


def test_once_needs_one_sample_that_is_usable():
    broken = Numbers("x", {Task.VQA: 1}, broken=range(10))
    with pytest.raises(LionError, match=r"none was of use; the last: x\d: \d is broken"):
        Mixture([(broken, 1)], names=["v"]).once(5)


def epochs(sources, batch_size=4, shards=4, one_task=False):
    return EpochMixture(sources, ["stage", 1], batch_size, shards, one_task)


def test_epochs_take_every_sample_of_a_task_once_and_the_global_batch_is_cut_last():
    """Three parts of 10: passes are whole, and other shards of the same step go on in them."""
    mixture = epochs([(A, 1), (B, 3)])
    seen = [one for step in range(40) for shard in range(4) for one in drawn(mixture, step, shard, 4)]
    for letter, task in (("a", Task.VQA), ("a", Task.REC), ("b", Task.CAPTION)):
        mine = [ident for ident, of, _ in seen if (ident[0], of) == (letter, task)]
        assert len(mine) > 20
        for start in range(0, len(mine) - 9, 10):
            assert len(set(mine[start : start + 10])) == 10
    again = epochs([(A, 1), (B, 3)])
    assert drawn(again, 39, 3, 4) == seen[-4:], "from the position alone"
    whole, halves = epochs([(A, 1), (B, 3)], 8, 2), [drawn(mixture, 5, shard, 4) for shard in (0, 1)]
    assert drawn(whole, 5, 0, 8) == halves[0] + halves[1], "micro-batches of another size are cuts of the same batch"


def test_another_pass_has_other_wordings():
    seen = [one for step in range(10) for one in drawn(epochs([(B, 1)], 10, 1), step, 0, 10)]
    assert len({answer for ident, _, answer in seen if ident == "b3"}) == 10


def test_epochs_of_one_task_a_batch_take_every_sample_once_too():
    mixture = epochs([(A, 1), (B, 1)], batch_size=5, shards=2, one_task=True)
    batches = [drawn(mixture, step, shard, 5) for step in range(30) for shard in (0, 1)]
    assert all(len({(ident[0], task) for ident, task, _ in batch}) == 1 for batch in batches)
    vqa = [ident for batch in batches for ident, task, _ in batch if task == Task.VQA]
    assert len(vqa) > 20 and all(len(set(vqa[start : start + 10])) == 10 for start in range(0, len(vqa) - 9, 10))


def test_epochs_replace_what_is_of_no_use_by_others_of_the_task_for_any_shard():
    holed = Numbers("h", {Task.VQA: 1}, broken={1, 2}, empty={3, 4})
    samples, bad = epochs([(holed, 1), (B, 1)], 80, 1).batch(0, 0, 80)
    assert len(samples) == 80
    assert {each.id for each in bad} == {"h1", "h2"} and not {s.id for s in samples} & {"h1", "h2", "h3", "h4"}
    pieces = [epochs([(holed, 1), (B, 1)], 8, 10).batch(0, shard, 8) for shard in range(10)]
    assert [s.id for part, _ in pieces for s in part] == [s.id for s in samples]
    assert [each for _, part in pieces for each in part] == bad
    broken = Numbers("x", {Task.VQA: 1}, broken=range(10))
    with pytest.raises(LionError, match=r"20 samples in a row were of no use; the last: x\d: \d is broken"):
        epochs([(broken, 1)]).batch(0, 0, 1)


def rows(mixture, micro_batches, size):
    """(part, pass, sample) of each row of each micro-batch: what the order deals out, in the mixture's arrangement."""
    return [mixture.places(number, size) for number in range(micro_batches)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(0.1, 10)), min_size=1, max_size=4),
    st.integers(1, 6),
    st.booleans(),
    st.integers(0, 50),
)
def test_length_buckets_only_move_samples_within_a_window(parts, size, one_task, seed):
    """So passes are what they were, and a micro-batch is a function of its number alone."""
    sources = [
        (Numbers(f"s{number}", {Task.VQA: 1}, size=count), weight) for number, (count, weight) in enumerate(parts)
    ]
    plain, alike = (
        EpochMixture(sources, ("s", seed), size, 1, one_task, length_buckets=buckets) for buckets in (False, True)
    )
    before, after = rows(plain, 3 * WINDOW, size), rows(alike, 3 * WINDOW, size)
    for window in range(0, 3 * WINDOW, WINDOW):
        one, other = (sorted(chain(*each[window : window + WINDOW])) for each in (before, after))
        assert one == other, "each sample of a pass once, as without"
    again = EpochMixture(sources, ("s", seed), size, 1, one_task, length_buckets=True)
    assert [again.places(number, size) for number in (2 * WINDOW + 3, 5)] == [after[2 * WINDOW + 3], after[5]]
    for batch in after:
        assert len({place.part for place in batch}) == 1 or not one_task


@pytest.mark.parametrize("one_task", [False, True])
def test_length_buckets_leave_less_to_pad(one_task):
    def padding(length_buckets):
        mixture = EpochMixture([(A100, 1), (B100, 2)], ("s", 0), 8, 4, one_task, length_buckets=length_buckets)
        lengths = [[A100.length(place.number, 0) for place in batch] for batch in rows(mixture, 10 * WINDOW, 8)]
        return sum(max(each) * len(each) - sum(each) for each in lengths) / sum(map(sum, lengths))

    assert padding(True) < padding(False) / 5


A100, B100 = Numbers("a", {Task.VQA: 1}, size=1000), Numbers("b", {Task.CAPTION: 1}, size=3000)


def test_length_buckets_put_no_sample_twice_into_a_micro_batch_of_a_short_pass():
    mixture = EpochMixture([(B, 1)], ("s", 0), 5, 1, length_buckets=True)
    assert all(len({place.number for place in batch}) == 5 for batch in rows(mixture, 3 * WINDOW, 5))


def test_length_buckets_come_in_random_order_and_read_few_lengths():
    counted = Numbers("n", {Task.VQA: 1}, size=10**6)
    asked = []
    counted.length = lambda index, task: asked.append(index) or index
    mixture = EpochMixture([(counted, 1)], ("s", 0), 4, 1, length_buckets=True)
    firsts = [batch[0].number for batch in rows(mixture, WINDOW, 4)]
    assert firsts != sorted(firsts) and len(asked) == 4 * WINDOW, "once for a window"
