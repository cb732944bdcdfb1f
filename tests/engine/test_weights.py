"""Weights read once: the same products whether copied or not, and read anew once they have changed."""

import pytest
import torch

from lion.engine import Scheduler, Settings, Weights, weights
from lion.engine.weights import Levels, Mixture, Norm, route
from tests.engine import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.language_model(seed=6)


def test_a_norm_is_the_layers_own(model):
    layer, rows = model.encoder.final_layer_norm, torch.randn(7, tiny.WIDTH)
    layer.weight.data.normal_()
    for scale in (1.0, 1e-4, 1e3):  # at 1e-4 epsilon decides
        torch.testing.assert_close(Norm(layer)(rows * scale), layer(rows * scale), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("levels", [[0], [1], [0, 0, 1], [0, 1, 1, 0]])
@pytest.mark.parametrize("beside", [False, True])
def test_the_folded_mixture_is_the_mixture(model, levels, beside):
    """In any order of the levels, and by runs of equal ones."""
    mixture, rows = model.decoder.block[1].mixture, torch.randn(len(levels) * 3, tiny.WIDTH)
    stream = torch.randn_like(rows)
    golden = stream + mixture(rows.view(len(levels), 3, -1), torch.tensor(levels)).flatten(0, 1)
    folded, ways = Mixture(mixture), Levels.beside(levels, 3) if beside else Levels.of(levels, 3, rows)
    for way in ways.ways():
        folded.add_to(way.of(stream), folded.inner(way.of(rows)), way)
    torch.testing.assert_close(stream, golden, rtol=1e-5, atol=1e-5)


def test_rows_beside_each_other_make_a_span():
    adapters = [route(number, 1) for number in (0, 2)]
    assert Levels.beside([0, 0, adapters[0], adapters[1], adapters[1]], 3).spans == (
        (0, 0, 6),
        (adapters[0], 6, 9),
        (adapters[1], 9, 15),
    )
    assert Levels.of([1, 1], 3, torch.zeros(1)).spans == ((1, 0, 6),)
    assert Levels.of([1, 0], 3, torch.zeros(1)).spans == ()


def test_what_is_too_large_to_copy_is_read_where_it_lies(model, monkeypatch):
    prompts = tiny.prompts([Settings(1, 8), Settings(3, 8)] * 3, 6)
    copied = Scheduler(Weights(model)).run(prompts)
    for bound in ("COPIED_BYTES", "DECODER_COPIED_BYTES"):
        monkeypatch.setattr(weights, bound, 0)
    read = Weights(model)
    assert read.decoder[0].self_attention.inputs.weight_io is None
    assert [one[0].ids for one in Scheduler(read).run(prompts)] == [one[0].ids for one in copied]


def test_changed_weights_are_noticed(model):
    read = Weights(model)
    assert read.is_of(model)
    with torch.no_grad():
        model.decoder.block[0].mixture.router.gates.add_(0.1)
    assert not read.is_of(model)
    read = Weights(model)
    model.load_state_dict(model.state_dict())
    assert not read.is_of(model)


def test_layers_that_are_no_plain_linear_are_called(model):
    """As LoRA puts them there: a layer around the layer."""

    class Around(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base, self.weight = base, base.weight

        def forward(self, rows):
            return -2 * self.base(rows)

    other = tiny.language_model(seed=6)
    own = other.decoder.block[0].layer[0].SelfAttention
    own.q = Around(own.q)
    prompts = tiny.prompts(Settings(3, 8), 4)
    assert [one[0].ids for one in Scheduler(Weights(other)).run(prompts)] == tiny.generate(other, prompts)
