"""Beam search: transformers' of today to the id, and the released one by a second writing of its rules."""

import pytest

from lion.engine import Scheduler, Settings, StopRule, Weights
from tests.engine import released_beams, tiny

CASES = [(beams, penalty) for beams in (2, 3, 4, 5) for penalty in (-1.0, 0.0, 1.0, 2.0)]
ROWS = 32


@pytest.fixture(scope="module")
def counts():
    """How many rows each rule answered, and in how many the rules differ."""
    return {"rows": 0, "differ": 0}


@pytest.mark.parametrize(("beams", "penalty"), CASES)
def test_both_stop_rules(beams, penalty, counts):
    """0 differences over 512 rows of random models to either; no tie came up."""
    model = tiny.language_model(seed=2 + beams % 2, vocabulary=8)
    model.lm_head.weight.data.mul_(0.3)  # many answers of nearly one score, or the rules hardly ever differ
    scheduler = Scheduler(Weights(model), places=8)
    settings = {rule: Settings(beams, max_new_tokens=10, length_penalty=penalty, stop_rule=rule) for rule in StopRule}
    rows = {rule: tiny.prompts(one, ROWS, seed=beams, longest=6) for rule, one in settings.items()}
    today, released = ([out[0].ids for out in scheduler.run(rows[rule])] for rule in StopRule)
    assert today == tiny.generate(model, rows[StopRule.RUNNING])
    assert released == released_beams.search(model, rows[StopRule.ALL_CANDIDATES])
    counts["rows"] += ROWS
    counts["differ"] += sum(a != b for a, b in zip(today, released, strict=True))


def test_the_rules_differ(counts):
    """Were they one, the tests above would show nothing."""
    if counts["rows"] < len(CASES) * ROWS:
        pytest.skip("runs with all of the cases above")
    assert counts["differ"] > 5


def test_several_answers_are_the_best_beams():
    model = tiny.language_model(seed=3)
    prompts = tiny.prompts(Settings(4, max_new_tokens=8, answers=3), 6)
    answers = Scheduler(Weights(model), places=4).run(prompts)
    assert [one.ids for answer in answers for one in answer] == tiny.generate(model, prompts)
    assert all([one.score for one in answer] == sorted((o.score for o in answer), reverse=True) for answer in answers)


def test_a_score_is_the_sum_of_its_tokens_by_length():
    answers = Scheduler(Weights(tiny.language_model()), 4).run(tiny.prompts(Settings(3, 9, length_penalty=0.5), 4))
    for (answer,) in answers:
        assert answer.score == pytest.approx(sum(answer.logprobs) / len(answer.ids) ** 0.5, abs=1e-5)
