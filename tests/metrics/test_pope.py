"""POPE against the official script: its reading of answers, and its numbers for known counts."""

import json
from pathlib import Path

import pytest

from lion.errors import LionError
from lion.metrics.pope import pope, says_yes

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
READINGS = json.loads((GOLDEN / "pope_parse_cases.json").read_text())
EXPECTED = json.loads((GOLDEN / "pope_expected.json").read_text())


@pytest.mark.parametrize("case", READINGS, ids=lambda case: repr(case["answer"]))
def test_answers_are_read_as_officially(case):
    assert says_yes(case["answer"]) == (case["parsed"] == "yes")


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


def test_nobody_says_yes():
    scores = pope(["no", "no"], ["yes", "no"])
    assert (scores["precision"].value, scores["recall"].value, scores["f1"].value) == (0, 0, 0)


def test_mistakes_are_errors():
    with pytest.raises(ValueError):
        pope(["yes"], ["yes", "no"])
    with pytest.raises(LionError, match="'maybe'"):
        pope(["yes"], ["maybe"])
