"""Sampling: a request's seed decides alone, and draws follow the model's probabilities."""

from collections import Counter

import pytest
import torch

from lion.engine import Scheduler, Settings, Weights
from tests.engine import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.language_model(seed=1)


def run(model, prompts, places=8):
    return [[one.ids for one in answer] for answer in Scheduler(Weights(model), places).run(prompts)]


def test_a_seed_gives_the_same_answers_whatever_runs_beside(model):
    ways = [Settings(1, 8, temperature=0.8, seed=seed, answers=2) for seed in range(6)]
    prompts = tiny.prompts(ways, 6)
    together = run(model, prompts)
    assert together == [run(model, [prompt])[0] for prompt in prompts] == run(model, prompts, places=2)
    assert len({tuple(ids) for answer in together for ids in answer}) > 9


def test_greedy_rows_beside_sampled_ones_stay_greedy(model):
    ways = [Settings(1, 8), Settings(1, 8, temperature=2.0, seed=3)] * 3
    prompts = tiny.prompts(ways, 6)
    assert run(model, prompts)[::2] == [[ids] for ids in tiny.generate(model, prompts[::2])]


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_the_narrowest_draw_is_the_likeliest_token(model, narrow):
    prompts = tiny.prompts(Settings(1, 8, **{"temperature": 1.0, **narrow}), 6)
    assert [answer[0] for answer in run(model, prompts)] == tiny.generate(model, prompts)


@pytest.mark.parametrize("limit", [{}, {"top_k": 3}, {"top_p": 0.6}, {"top_k": 4, "top_p": 0.8}, {"temperature": 2.0}])
def test_first_tokens_follow_the_probabilities(model, limit):
    """1,500 draws: each token's share within 5 standard errors of what transformers' own filters leave it."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    prompt = tiny.prompts(Settings(), 1)[0]
    way = {"temperature": 1.0, **limit}
    with torch.no_grad():
        scores = model(**tiny.padded([prompt]), decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)).logits[:, 0]
    scores = TemperatureLogitsWarper(way["temperature"])(None, scores)
    if "top_k" in limit:
        scores = TopKLogitsWarper(limit["top_k"])(None, scores)
    if "top_p" in limit:
        scores = TopPLogitsWarper(limit["top_p"])(None, scores)
    shares = scores.softmax(-1)[0].tolist()
    draws, many = 1500, 100
    prompts = [
        type(prompt)(prompt.inputs_ND, 0, Settings(1, 1, seed=s, answers=many, **way)) for s in range(draws // many)
    ]
    prompts = [type(prompt)(prompt.inputs_ND, prompt.level, one.settings) for one in prompts]
    found = Counter(ids[0] for answer in run(model, prompts, 4) for ids in answer)
    for token, share in enumerate(shares):
        assert abs(found[token] / draws - share) <= 5 * (share * (1 - share) / draws) ** 0.5 + 1e-9
