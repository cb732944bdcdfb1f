"""Grammars: what may not follow is never generated, and what may keeps its score."""

import pytest
import torch
from transformers import LogitsProcessor

from lion.engine import Scheduler, Settings, Weights
from lion.engine import grammar as grammars
from lion.engine.grammar import Choice
from tests.engine import tiny

CHOICES = [[5, 6, 1], [5, 7, 8, 1], [9, 1], [5, 6, 10, 1]]


class Walk(LogitsProcessor):
    """The same choice for transformers: one row after the other."""

    def __call__(self, input_ids, scores):
        kept = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids[:, 1:].tolist()):
            for token in {one[len(ids)] for one in CHOICES if one[: len(ids)] == ids and len(one) > len(ids)} or {1}:
                kept[row, token] = scores[row, token]
        return kept


@pytest.mark.parametrize("beams", [1, 3])
def test_a_choice_gives_what_masked_generation_gives(beams):
    model = tiny.language_model(seed=4)
    prompts = tiny.prompts(Settings(beams, 8, grammar=Choice(CHOICES)), 12)
    ids = [answer[0].ids for answer in Scheduler(Weights(model)).run(prompts)]
    golden = model.generate(
        **tiny.padded(prompts), num_beams=beams, max_new_tokens=8, do_sample=False, logits_processor=[Walk()]
    )
    assert ids == [tiny.until_end(row[1:]) for row in golden.tolist()]
    assert all(one in CHOICES for one in ids) and len({tuple(one) for one in ids}) > 1


def test_rows_with_and_without_a_grammar_share_a_step():
    model = tiny.language_model(seed=4)
    ways = [Settings(1, 6, grammar=Choice(CHOICES)), Settings(1, 6), Settings(1, 6, grammar=Choice([[3, 1]]))] * 2
    prompts = tiny.prompts(ways, 6)
    ids = [answer[0].ids for answer in Scheduler(Weights(model)).run(prompts)]
    assert [ids[2], ids[5]] == [[3, 1], [3, 1]] and ids[0] in CHOICES
    assert [ids[1], ids[4]] == tiny.generate(model, [prompts[1], prompts[4]])


def test_a_full_table_begins_anew(monkeypatch):
    monkeypatch.setattr(grammars, "MOST_ROWS", 3)
    choice = Choice(CHOICES)
    for _ in range(3):
        for state, tokens in (((), {5, 9}), ((5,), {6, 7}), ((5, 6), {1, 10}), ((9,), {1}), ((9, 1), {1})):
            assert set(choice.allowed([state])[0].tolist()) == tokens
    assert len(choice._rows) <= 3
