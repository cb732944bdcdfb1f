"""Candidates ranked by the engine get the numbers of ``score_candidates``, whoever stands beside."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lion.engine import Weights, rank, ranking
from lion.model.candidate_scoring import negative_log_likelihoods
from tests.engine import tiny

BOUND = 1e-4


@pytest.fixture(scope="module")
def model():
    return tiny.language_model(seed=1)


def golden(model, inputs_ND, levels, candidates):
    """Prompt by prompt, by transformers' modules."""
    return [
        negative_log_likelihoods(model, inputs[None], torch.ones(1, len(inputs)), torch.tensor([level]), [own])[0]
        for inputs, level, own in zip(inputs_ND, levels, candidates, strict=True)
    ]


def assert_same(ours, golden):
    for row, expected in zip(ours, golden, strict=True):
        assert row == pytest.approx(expected.tolist(), abs=BOUND, rel=BOUND)


answers = st.lists(st.lists(st.integers(2, 5), max_size=9).map(lambda ids: [*ids, tiny.END]), min_size=1, max_size=12)


@examples(max_examples=25, deadline=None)
@given(st.lists(answers, min_size=1, max_size=6), st.integers(0, 99), st.integers(1, 24), st.integers(1, 60))
def test_any_mix_however_it_is_cut(model, candidates, seed, per_tree, per_pass):
    """Of four tokens only, so that many have common beginnings, are each other's beginning, or are equal."""
    inputs_ND, levels = tiny.inputs(len(candidates), seed, longest=70)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "TOKENS_PER_TREE", per_tree)
        patch.setattr(ranking, "TOKENS_PER_PASS", per_pass)
        ours = rank(Weights(model), inputs_ND, levels, candidates)
    assert_same(ours, golden(model, inputs_ND, levels, candidates))


@pytest.mark.parametrize("config", [{"feed_forward_proj": "relu"}, {"scale_decoder_outputs": True}])
def test_other_language_models(config):
    other = tiny.language_model(2, (1, 3), **config)
    inputs_ND, levels = tiny.inputs(3)
    candidates = [[[4, 5, 1], [4, 1]], [[6] * 60 + [1]], [[7, 1], [7, 1], [1]]]
    ours = rank(Weights(other), inputs_ND, levels, candidates)
    assert_same(ours, golden(other, inputs_ND, levels, candidates))
    assert ours[2][0] == ours[2][1]  # to the last bit, so that ties are ties


def test_common_beginnings_are_read_once(model, monkeypatch):
    """A hundred answers that begin alike take a start token, the beginning, and the last but one of each."""
    rows = []
    logits = Weights.logits
    monkeypatch.setattr(Weights, "logits", lambda self, states: rows.append(len(states)) or logits(self, states))
    monkeypatch.setattr(ranking, "TOKENS_PER_TREE", 10**4)
    rank(Weights(model), *tiny.inputs(1), [[[2, 3, 4, 5 + number % 19, 1] for number in range(100)]])
    assert rows == [1 + 3 + 19]


def test_prompts_of_about_as_many_tokens_share_a_pass():
    """Those that would be filled up to several times their tokens do not, unless they are few."""

    def groups(*tokens):
        trees = [[ranking._Tree([0] * count) for count in own] for own in tokens]
        return [sorted(group) for group in ranking._groups(trees)]

    assert groups([3], [7]) == [[0, 1]]
    assert groups([3], [48, 48, 30]) == [[0], [1]]
    assert groups([48, 48, 40], [3], [4], [48, 48, 30]) == [[1, 2], [0, 3]]
    assert groups(*[[48, 48]] * 30) == [list(range(21)), list(range(21, 30))], "as many as fit"
