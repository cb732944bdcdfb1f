"""GQA, A-OKVQA, IconQA and VSR against known results, and against cases worked by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import (
    AokvqaQuestion,
    aokvqa_direct_answer,
    aokvqa_multiple_choice,
    gqa,
    iconqa,
    vsr,
)
from lion.metrics.aokvqa import aokvqa_choice_hits, aokvqa_direct_values
from lion.metrics.candidate_ranking import best_first
from lion.metrics.gqa import gqa_hits
from lion.metrics.vsr import is_true
from tests.metrics import truth

RULES = {"exact": "exact", "lower_strip_period": "lower_strip_period", "vqa_normalised": "vqa_normalised_both"}


def test_gqa_by_all_three_rules():
    known = truth.load("simple/gqa.json")
    said, true = ([row[key] for row in known["rows"]] for key in ("prediction", "answer"))
    scores = gqa(said, true)
    for rule, name in RULES.items():
        assert gqa_hits(said, true, rule) == [row[name] for row in known["rows"]]
        assert 100 * scores[rule].value == pytest.approx(known["accuracy"][name], abs=1e-9)


@pytest.mark.parametrize(
    ("said", "hits"),
    [
        ("yes", (1, 1, 1)),
        (" Yes. ", (0, 1, 1)),
        ("yes!", (0, 0, 1)),
        ("The yes", (0, 0, 1)),
        ("yes it is", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_gqa_by_hand(said, hits):
    assert tuple(score.value for score in gqa([said], ["yes"]).values()) == hits


def test_aokvqa_as_officially():
    rows = truth.load("simple/aokvqa_v1p0_val.json")
    said, known = truth.load("simple/aokvqa_predictions_val.json"), truth.load("simple/aokvqa_expected.json")
    questions = [
        AokvqaQuestion(
            row["question_id"],
            row["choices"],
            row["correct_choice_idx"],
            row["direct_answers"],
            row["difficult_direct_answer"],
        )
        for row in rows
    ]
    ids = [question.id for question in questions]
    choices, answers = (
        [said[one][key] if one in said else None for one in ids] for key in ("multiple_choice", "direct_answer")
    )
    assert choices.count(None) == known["n_missing_predictions"]
    choice = aokvqa_multiple_choice(choices, questions, strict=False)["multiple_choice"]
    assert 100 * choice.value == pytest.approx(known["multiple_choice_accuracy"]) and choice.n == known["n_questions"]
    direct = aokvqa_direct_answer(answers, questions, strict=False)["direct_answer"]
    assert 100 * direct.value == pytest.approx(known["direct_answer_accuracy"])
    assert direct.n == known["n_direct_answer_questions_counted"]
    with pytest.raises(LionError, match="Q003p"):
        aokvqa_multiple_choice(choices, questions)


EASY = AokvqaQuestion("easy", ("cat", "dog"), 1, ["dog"] * 2 + ["a dog"] * 8, False)
HARD = AokvqaQuestion("hard", ("cat", "dog"), 0, ["cat"] * 10, True)


def test_aokvqa_by_hand():
    assert aokvqa_choice_hits(["dog", "dog"], [EASY, HARD]) == [True, False]
    assert aokvqa_direct_values(["dog", "cat"], [EASY, HARD]) == [pytest.approx(2 / 3), 1]
    assert aokvqa_direct_values(["Dog", "cat."], [EASY, HARD]) == [0, 0]  # nothing is normalised
    official = aokvqa_direct_answer(["dog", None], [EASY, HARD])["direct_answer"]  # a difficult one may be left out
    assert (official.value, official.n) == (pytest.approx(2 / 3), 1)
    lavis = aokvqa_direct_answer(["dog", "cat"], [EASY, HARD], keep_difficult=True)["direct_answer"]
    assert (lavis.value, lavis.n) == (pytest.approx(5 / 6), 2)


def test_aokvqa_mistakes_name_the_question():
    with pytest.raises(LionError, match="'easy': 'Dog' is none of: cat, dog"):
        aokvqa_multiple_choice(["Dog"], [EASY])
    assert aokvqa_multiple_choice(["Dog"], [EASY], strict=False)["multiple_choice"].value == 0
    with pytest.raises(LionError, match="'easy' has no prediction"):
        aokvqa_direct_answer([None], [EASY])
    with pytest.raises(LionError, match="'hard' has no prediction"):
        aokvqa_direct_answer([None], [HARD], keep_difficult=True)
    with pytest.raises(LionError, match="nothing to score"):
        aokvqa_direct_answer(["cat"], [HARD])
    with pytest.raises(LionError, match="'7' has no direct answers"):
        aokvqa_direct_answer(["cat"], [AokvqaQuestion("7", ("cat",), 0, [], False)])


def test_iconqa_by_lowest_loss():
    known = truth.load("simple/iconqa.json")
    chosen = [best_first(row["candidate_nll"])[0] for row in known["rows"]]
    assert chosen == [row["predicted"] for row in known["rows"]]
    score = iconqa(chosen, [row["answer"] for row in known["rows"]])["accuracy"]
    assert 100 * score.value == pytest.approx(known["accuracy"])


def test_iconqa_compares_places_as_texts():
    assert iconqa(["2", 1, "02"], [2, "1", 2])["accuracy"].value == pytest.approx(2 / 3)


def test_vsr_verdicts():
    known = truth.load("simple/vsr.json")
    for row in known["rows"]:
        assert is_true(row["output_text"]) == bool(row["parsed"])
    scores = vsr([row["output_text"] for row in known["rows"]], [row["label"] for row in known["rows"]])
    assert 100 * scores["accuracy"].value == pytest.approx(known["accuracy"])
    assert scores["unparsed"].value == 0


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("TRUE!", True),
        ("“Yes”, it is", True),
        ("\nno", False),
        ("False, true would be wrong", False),
        ("it is true", None),
        ("truly", None),
        ("nothing", None),
        ("", None),
        ("...", None),
    ],
)
def test_vsr_verdicts_by_hand(answer, verdict):
    assert is_true(answer) is verdict


def test_vsr_counts_what_it_cannot_read_as_wrong():
    scores = vsr(["maybe", "maybe", "yes", "no"], [1, 0, 1, 1])
    assert (scores["accuracy"].value, scores["unparsed"].value) == (0.25, 0.5)
    with pytest.raises(LionError, match="not 2"):
        vsr(["yes"], [2])


def test_candidates_rank_by_sum_and_by_mean_as_known():
    for case in truth.load("simple/candidate_ranking.json")["cases"]:
        sums = [math.fsum(losses) for losses in case["token_nll"]]
        means = [total / len(losses) for total, losses in zip(sums, case["token_nll"], strict=True)]
        assert best_first(sums) == case["order_by_sum"]
        assert best_first(means) == case["order_by_mean"]


def test_among_equal_candidates_the_earlier_ranks_first():
    assert best_first([2.0, 2.0, 1.0, 1.0]) == [2, 3, 0, 1]


@given(st.lists(st.floats(0, 50), min_size=1, max_size=8))
def test_a_ranking_is_a_sorted_permutation(losses):
    order = best_first(losses)
    assert sorted(order) == list(range(len(losses)))
    assert [losses[index] for index in order] == sorted(losses)


def test_losses_that_cannot_be_ranked():
    with pytest.raises(LionError, match="no candidate"):
        best_first([])
    with pytest.raises(LionError, match="NaN"):
        best_first([1.0, float("nan")])
