"""POPE against the official script: its reading of answers, and its numbers for known counts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import Estimate
from lion.metrics.pope import is_yes, is_yes_strict, pope, pope_strict
from tests.metrics import truth

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
READINGS = json.loads((GOLDEN / "pope_parse_cases.json").read_text())
EXPECTED = json.loads((GOLDEN / "pope_expected.json").read_text())


@pytest.mark.parametrize("case", READINGS, ids=lambda case: repr(case["answer"]))
def test_answers_are_read_as_officially(case):
    assert is_yes(case["answer"]) == (case["parsed"] == "yes")


@pytest.mark.parametrize("split", EXPECTED)
def test_numbers_are_the_official_ones(split):
    counts = EXPECTED[split]
    rows = [("Yes", "yes")] * counts["TP"] + [("Yes", "no")] * counts["FP"]
    rows += [("No", "no")] * counts["TN"] + [("There is not.", "yes")] * counts["FN"]
    answers, labels = zip(*rows, strict=True)
    scores = pope(answers, labels)
    for name in ("accuracy", "precision", "recall", "f1", "yes_ratio"):
        assert scores[name].value == pytest.approx(counts[name], abs=1e-12)
    share = scores["accuracy"].value
    assert scores["accuracy"].standard_error == pytest.approx((share * (1 - share) / len(rows)) ** 0.5)
    assert 0 < scores["f1"].standard_error < 0.02


def test_no_answer_is_yes():
    scores = pope(["no", "no"], ["yes", "no"])
    assert (scores["precision"].value, scores["recall"].value, scores["f1"].value) == (0, 0, 0)


def test_mistakes_are_errors():
    with pytest.raises(ValueError):
        pope(["yes"], ["yes", "no"])
    with pytest.raises(LionError, match="'maybe'"):
        pope(["yes"], ["maybe"])


@pytest.mark.parametrize("split", ["random", "random_2910", "popular", "adversarial"])
def test_whole_files_score_as_officially(split):
    known = truth.load("pope/expected.json")[split]
    answers = [json.loads(line)["answer"] for line in truth.path(f"pope/answers_{split}.jsonl").open(encoding="utf-8")]
    lines = (truth.path("pope") / known["label_file"]).resolve().read_text(encoding="utf-8").splitlines()
    labels = [json.loads(line)["label"] for line in lines]
    scores = pope(answers, labels)
    for name in ("accuracy", "precision", "recall", "f1", "yes_ratio"):
        assert scores[name].value == pytest.approx(known[name], abs=1e-9)
        assert scores[name].n == known["n_answers"]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("yes", True), (" YES\n", True), ("No", False), ("no.", None), ("yes, it is", None), ("", None), ("yes no", None)],
)
def test_the_strict_reading(answer, verdict):
    assert is_yes_strict(answer) is verdict


def test_strict_scores_by_hand():
    answers, labels = ["yes", "no", "Yes.", "nope", "yes"], ["yes", "yes", "yes", "no", "no"]
    scores = {name: score.value for name, score in pope_strict(answers, labels).items()}
    assert scores == pytest.approx(
        {"accuracy": 1 / 5, "precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "yes_ratio": 2 / 5, "unparsed": 2 / 5}
    )


@given(st.lists(st.tuples(st.sampled_from(["yes", "no", "Yes", "No"]), st.sampled_from(["yes", "no"])), min_size=1))
def test_both_readings_agree_on_plain_answers(pairs):
    answers, labels = zip(*pairs, strict=True)
    assert pope_strict(answers, labels) == {**pope(answers, labels), "unparsed": Estimate(0.0, 0.0, len(pairs))}
