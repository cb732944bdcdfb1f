"""Which steps are recorded and replayed, without a GPU: a recording that keeps inputs at one place as a graph does."""

import random

import pytest
import torch

from lion.engine import Scheduler, Settings, Weights
from lion.engine.decode import Lane
from lion.engine.graphs import Graphs
from tests.engine import tiny


class Replay:
    """Runs the first step that it was given on the inputs that it keeps, into the output that it keeps."""

    made = 0

    def __init__(self, step, inputs, state):
        type(self).made += 1
        self.inputs, self.step, kept = [tensor.clone() for tensor in inputs], step, state.clone()
        self.output = torch.full_like(step(*self.inputs), torch.nan)
        state.copy_(kept)

    def replay(self):
        self.output.copy_(self.step(*self.inputs))


@pytest.fixture
def recorded(monkeypatch):
    """Lanes that replay their steps; counts recordings."""

    class RecordedLane(Lane):
        def __init__(self, *args):
            super().__init__(*args)
            assert self.graphs is None  # never entered on a CPU
            self.graphs = Graphs(Replay)

    monkeypatch.setattr("lion.engine.scheduler.Lane", RecordedLane)
    monkeypatch.setattr(Replay, "made", 0)
    return Replay


@pytest.fixture(scope="module")
def model():
    return tiny.language_model(seed=1)


@pytest.mark.parametrize(("places", "way"), [(1, Settings(3, 9)), (3, Settings(1, 12)), (8, Settings(3, 20))])
def test_ids_are_those_without_graphs(model, recorded, places, way):
    """Prompts of both levels and other lengths come and go; steps run over places that none or another had before."""
    prompts = [one for number in range(3) for one in tiny.prompts(way, 7, seed=number, longest=20 + 40 * number)]
    chance, scheduler, answers, order = random.Random(places), Scheduler(Weights(model), places), {}, list(prompts)
    while len(answers) < len(prompts):
        for _ in range(min(chance.randint(0, 2), len(order))):
            scheduler.submit(order.pop(0))
        answers |= {ticket: found[0].ids for ticket, found in scheduler.step().items()}
    golden = [ids for number in range(3) for ids in tiny.generate(model, prompts[7 * number : 7 * number + 7])]
    assert [answers[ticket] for ticket in sorted(answers)] == golden
    assert recorded.made > 1


def test_a_shape_is_recorded_once(model, recorded):
    """A second run of the same prompts records nothing; 3 to 5 prompts share the graphs of 4 and of all 5 places."""
    scheduler, prompts = Scheduler(Weights(model), 5), tiny.prompts(Settings(2, 8, min_new_tokens=8), 5, longest=9)
    one_level = [type(one)(one.inputs_ND, 1, one.settings) for one in prompts]
    scheduler.run(one_level)
    assert recorded.made == 1
    scheduler.run(one_level)
    assert recorded.made == 1
    scheduler.run(one_level[:3])
    scheduler.run(one_level[:4])
    assert recorded.made == 2


def test_larger_buffers_are_recorded_anew(model, recorded):
    scheduler = Scheduler(Weights(model), 1)
    short, long = (tiny.prompts(Settings(1, 2, min_new_tokens=2), 1, longest=1), tiny.prompts(Settings(1, 2), 1))
    long[0] = type(long[0])(torch.randn(40, tiny.WIDTH), 1, long[0].settings)
    for prompts, made in ((short, 1), (short, 1), (long, 2), (short, 3), (long, 3)):
        scheduler.run(prompts)
        assert recorded.made == made


@pytest.mark.parametrize(("used", "places"), [(1, 1), (2, 2), (3, 4), (5, 8), (9, 12), (12, 12)])
def test_few_numbers_of_places(used, places):
    assert Graphs().places(used, capacity=12) == places
