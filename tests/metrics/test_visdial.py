"""VisDial against the official script, and against cases worked by hand."""

from dataclasses import replace
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import VisdialRound, visdial
from lion.metrics.visdial import option_ranks, visdial_ndcg, visdial_ranks
from tests.metrics import truth


def test_scores_are_the_official_ones():
    known, expected = truth.load("visdial/scores.json"), truth.load("visdial/expected.json")
    scores, rounds = [], []
    for place, image in enumerate(known["image_ids"]):
        for turn in range(10):
            relevance = known["gt_relevance"][place] if known["round_id"][place] == turn + 1 else None
            scores.append(known["scores"][place][turn])
            rounds.append(
                VisdialRound(f"{image}_{turn + 1}", image, turn + 1, known["gt_index"][place][turn], relevance)
            )
    assert visdial_ranks(scores, rounds) == [rank for dialog in expected["gt_ranks"] for rank in dialog]
    gains = [gain for gain in visdial_ndcg(scores, rounds) if gain is not None]
    assert gains == pytest.approx(expected["ndcg_per_dialog"], abs=1e-9)
    found, official = visdial(scores, rounds), expected["metrics"]
    for name, theirs in (("r@1", "r@1"), ("r@5", "r@5"), ("r@10", "r@10"), ("mean_rank", "mean"), ("mrr", "mrr")):
        assert found[name].value == pytest.approx(official[theirs], rel=1e-5)
        assert found[name].n == 300
    assert found["mrr"].value == pytest.approx(official["mrr_exact"], abs=1e-12)
    assert found["ndcg"].value == pytest.approx(official["ndcg_exact"], abs=1e-12) and found["ndcg"].n == 30
    assert found["mrr_last_round"].value == pytest.approx(official["mrr_last_round_only"], abs=1e-12)
    assert found["mrr_last_round"].n == 30


def test_ties_stay_within_what_the_official_sort_may_answer():
    for case in truth.load("visdial/tie_cases.json")["cases"]:
        rank = visdial_ranks([case["scores"]], [VisdialRound("r", 0, 1, case["gt_index"])])[0]
        assert case["best_rank"] <= rank <= case["worst_rank"]
        earlier = case["scores"][: case["gt_index"]].count(case["scores"][case["gt_index"]])
        assert rank == case["best_rank"] + earlier


A = VisdialRound("7_1", 7, 1, 2)


def test_by_hand():
    rounds = [A, VisdialRound("7_2", 7, 2, 0, [0.5, 0, 1, 0]), VisdialRound("8_1", 8, 1, 3)]
    scores = [[0.1, 0.9, 0.5, 0.2], [1, 4, 2, 3], [-1, -2, -3, -0.5]]
    assert visdial_ranks(scores, rounds) == [2, 4, 1]
    found = visdial(scores, rounds)
    assert found["mrr"].value == pytest.approx((1 / 2 + 1 / 4 + 1) / 3)
    assert found["mean_rank"].value == pytest.approx(7 / 3)
    assert found["r@1"].value == pytest.approx(1 / 3) and found["r@5"].value == 1
    assert found["mrr_last_round"].value == pytest.approx((1 / 4 + 1) / 2)
    # k = 2: the two best-ranked are options 1 and 3, both worth nothing
    assert found["ndcg"].value == 0
    assert visdial_ndcg([[1, 0, 4, 3]], [rounds[1]])[0] == pytest.approx(1 / (1 + 0.5 / log2(3)))


def test_no_relevances_no_ndcg():
    assert "ndcg" not in visdial([[1, 2, 3]], [A])


def test_the_last_round_does_not_depend_on_the_order_of_rounds():
    late = VisdialRound("7_10", 7, 10, 0)
    assert visdial([[9, 1, 2], [1, 2, 3]], [late, A])["mrr_last_round"].value == 1


def test_mistakes_name_the_round():
    with pytest.raises(LionError, match="'7_1': gt_index 2 is no place among 2"):
        visdial([[1, 2]], [A])
    with pytest.raises(LionError, match="'7_1': gt_index -1"):
        visdial([[1, 2]], [replace(A, gt_index=-1)])
    with pytest.raises(LionError, match=r"'7_1': .* NaN"):
        visdial([[1, 2, float("nan")]], [A])
    with pytest.raises(LionError, match="'7_1' has 2 relevances for 3"):
        visdial([[1, 2, 3]], [replace(A, gt_relevance=[1, 0])])
    with pytest.raises(LionError, match="'7_1': no option has a relevance above 0"):
        visdial([[1, 2, 3]], [replace(A, gt_relevance=[0, 0, 0])])
    with pytest.raises(LionError, match="nothing to score"):
        visdial([], [])
    with pytest.raises(ValueError):
        visdial([[1, 2, 3]], [A, A])


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_ranks_are_a_permutation_that_scores_sort(scores):
    ranks = option_ranks(scores)
    assert sorted(ranks) == list(range(1, len(scores) + 1))
    by_rank = [scores[ranks.index(rank)] for rank in range(1, len(scores) + 1)]
    assert by_rank == sorted(scores, reverse=True)


@given(st.lists(st.sampled_from([0.0, 0.2, 0.4, 1.0]), min_size=1, max_size=20).filter(any), st.data())
def test_ndcg_is_1_for_the_best_order_and_never_more(relevance, data):
    one = VisdialRound("r", 0, 1, 0, relevance)
    assert visdial_ndcg([relevance], [one])[0] == pytest.approx(1)
    scores = data.draw(st.lists(st.floats(-1, 1), min_size=len(relevance), max_size=len(relevance)))
    assert 0 <= visdial_ndcg([scores], [one])[0] <= 1 + 1e-12
