"""The encoder stage gives each prompt the states that the language model's own encoder gives it alone."""

import pytest
import torch

from lion.engine import Weights
from lion.engine.encode import encode, encode_each
from tests.engine import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.language_model(seed=3)


def alone(model, states_ND, level):
    with torch.no_grad():
        out = model.encoder(inputs_embeds=states_ND[None], task_levels=torch.tensor([level]))
    return out.last_hidden_state[0]


@pytest.mark.parametrize("lengths", [[1], [15], [16], [17], [15, 16, 17], [32, 3], [5, 33, 48, 31, 16]])
def test_keys_that_fill_a_vector_mean_nothing(model, lengths):
    torch.manual_seed(0)
    inputs, levels = [2 * torch.randn(length, tiny.WIDTH) for length in lengths], [n % 2 for n in range(len(lengths))]
    weights = Weights(model)
    together = encode(weights, inputs, levels)
    for number, (one, level) in enumerate(zip(inputs, levels, strict=True)):
        torch.testing.assert_close(together[number, : len(one)], alone(model, one, level), rtol=1e-4, atol=1e-5)


def test_prompts_of_all_lengths_keep_their_order(model):
    inputs, levels = tiny.inputs(24, seed=1)
    for one, level, states in zip(inputs, levels, encode_each(Weights(model), inputs, levels), strict=True):
        torch.testing.assert_close(states, alone(model, one, level), rtol=1e-4, atol=1e-5)
