"""Paired differences on made-up data: effects that are there are found, others are not, as often as said."""

import numpy as np
import pytest

from lion.studies.differences import Difference, difference, t_quantile

SEEDS, QUESTIONS, TIMES = 5, 100, 1000


def made_up(rng, effect=0.0, seed=0.0, question=0.0, rest=0.4):
    """Differences (S, Q) around `effect`, with standard deviations of what comes with the seed, the question, both."""
    return (
        effect
        + rng.normal(0, seed, (SEEDS, 1))
        + rng.normal(0, question, (1, QUESTIONS))
        + rng.normal(0, rest, (SEEDS, QUESTIONS))
    )


def answers(rng, effect, seed):
    """Right and wrong answers of two arms to the same questions, of different difficulty: their difference (S, Q)."""
    difficulty = rng.uniform(0.2, 0.9, (1, QUESTIONS))
    arms = []
    for shift in (effect, 0.0):
        chance = np.clip(difficulty + shift + rng.normal(0, seed, (SEEDS, 1)), 0, 1)
        arms.append((rng.random((SEEDS, QUESTIONS)) < chance).astype(float))
    return arms[0] - arms[1]


@pytest.mark.parametrize(
    "spread",
    [{}, {"seed": 0.05}, {"question": 0.5}, {"seed": 0.03, "question": 0.3}, {"seed": 0.2, "question": 0.3}],
)
def test_the_interval_holds_the_effect_as_often_as_it_says(spread):
    """95 of 100, for other seeds and other questions alike; over 1,000 studies chance moves that by .007."""
    rng = np.random.default_rng(0)
    found = [difference(made_up(rng, effect=0.1, **spread)) for _ in range(TIMES)]
    covered = np.mean([one.low <= 0.1 <= one.high for one in found])
    assert 0.93 <= covered <= 0.985
    assert np.mean([one.value for one in found]) == pytest.approx(0.1, abs=0.01)


def test_simpler_intervals_would_not():
    """Why seeds and questions are both counted: what each alone leaves out."""
    rng = np.random.default_rng(1)
    over_questions, over_seeds = [], []
    for _ in range(600):
        moved_by_seeds = made_up(rng, seed=0.1)
        error = moved_by_seeds.mean(0).std(ddof=1) / QUESTIONS**0.5
        over_questions.append(abs(moved_by_seeds.mean()) <= 1.96 * error)
        moved_by_questions = made_up(rng, question=0.6)
        error = moved_by_questions.mean(1).std(ddof=1) / SEEDS**0.5
        over_seeds.append(abs(moved_by_questions.mean()) <= t_quantile(SEEDS - 1) * error)
    assert np.mean(over_questions) < 0.6 and np.mean(over_seeds) < 0.8


@pytest.mark.parametrize("seed", [0.0, 0.04])
def test_right_and_wrong_answers_with_no_effect_and_with_one(seed):
    rng = np.random.default_rng(2)
    verdicts = [difference(answers(rng, 0.0, seed)).verdict("above") for _ in range(TIMES)]
    seen = np.mean([not verdict.startswith("not seen") for verdict in verdicts])
    assert seen <= 0.065
    holds = np.mean([verdict.startswith("holds") for verdict in verdicts])
    assert holds == pytest.approx(seen / 2, abs=0.015)
    there = [difference(answers(rng, 0.25, seed)).verdict("above") for _ in range(300)]
    assert np.mean([verdict.startswith("holds") for verdict in there]) > 0.95
    assert all(verdict.startswith("reversed") for verdict in (difference(answers(rng, 0.3, seed)).verdict("below"),))


def test_arithmetic_by_hand():
    """Two seeds, three questions: every number worked out on paper."""
    found = difference(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]))
    assert found.value == 0.5
    # means of seeds 2/3, 1/3: mean square 3 * (1/18) = 1/6; of questions 0, .5, 1: 2 * .25 = .5; of the rest 1/6
    square = 1 / 6 + (1 / 2 - 1 / 6)
    freedom = 1 * (square / (1 / 6)) ** 2
    assert found.half_width == pytest.approx(t_quantile(freedom) * (square / 6) ** 0.5)
    assert str(Difference(0.0312, 0.0151, 5, 100)) == "+3.1 ± 1.5"


def test_equal_answers_and_one_seed():
    assert difference(np.zeros((5, 10))).verdict("above") == "not seen (+0.0 ± 0.0)"
    one = difference(np.array([[1.0, 0.0, 1.0, 1.0]]))
    assert one.note and one.verdict("above").startswith("not decided")
    assert difference(np.ones((3, 1))).verdict("above").startswith("not seen")


@pytest.mark.parametrize(
    ("freedom", "table"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (1e9, 1.960)]
)
def test_students_t_is_that_of_the_tables(freedom, table):
    assert t_quantile(freedom) == pytest.approx(table, abs=1e-3)
