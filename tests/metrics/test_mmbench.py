"""MMBench's circular evaluation and both ways of reading a choice, against known results and cases worked by hand."""

import csv
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import MmbenchRow, mmbench, strict_choice, vlmevalkit_choice
from lion.metrics.mmbench import mmbench_hits
from tests.metrics import truth

L2 = {
    "coarse_perception": "CP",
    "finegrained_perception (instance-level)": "FP-S",
    "finegrained_perception (cross-instance)": "FP-C",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
    "attribute_reasoning": "AR",
}


@pytest.mark.parametrize("rule", [strict_choice, vlmevalkit_choice])
def test_circular_evaluation_as_known(rule):
    with truth.path("mmbench/predictions.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    options = [[row[letter] for letter in "ABCD" if row[letter]] for row in table]
    rows = [
        MmbenchRow(int(row["index"]), len(its), row["answer"], L2[row["l2-category"]], row["category"])
        for row, its in zip(table, options, strict=True)
    ]
    chosen = [rule(row["prediction"], its) for row, its in zip(table, options, strict=True)]
    known, scores = truth.load("mmbench/expected.json"), mmbench(chosen, rows)
    assert {str(index): hit for index, hit in mmbench_hits(chosen, rows).items()} == known["hit_per_question"]
    assert scores["circular"].value == pytest.approx(known["circular"].pop("Overall"))
    assert scores["circular"].n == known["n_questions"]
    for prefix, expected in (("ability/", known["circular"]), ("category/", known["circular_by_L3"])):
        found = {name.removeprefix(prefix): score.value for name, score in scores.items() if name.startswith(prefix)}
        assert found == pytest.approx(expected)
    assert scores["vanilla"].value == pytest.approx(known["vanilla_first_pass_accuracy"])
    assert scores["vanilla_all_passes"].value == pytest.approx(known["vanilla_all_passes_accuracy"])
    assert scores["vanilla_all_passes"].n == known["n_rows"]


def test_choices_are_read_as_known():
    for case in truth.load("mmbench/choice_extraction_cases.json"):
        options = list(case["choices"].values())
        assert strict_choice(case["prediction"], options) == case["strict_rule"], case
        assert vlmevalkit_choice(case["prediction"], options) == case["vlmevalkit_can_infer"], case


OPTIONS = ("red kite", "kite", "vitamin C", "two")


@pytest.mark.parametrize(
    ("answer", "strict", "vlmevalkit"),
    [
        (" (B). ", "B", "B"),
        ("(B) kite", "B", "B"),
        ("Answer: (D)", "D", "D"),
        ("The correct answer is D.", "D", "D"),
        ("the answer is A or B", None, "A"),
        ("Answer: A, B", None, None),
        ("E", None, None),  # no such option
        ("E. two", None, "D"),
        ("Red Kite.", "A", None),  # "kite" stands in it as well
        ("kite", "B", "B"),
        ("a red kite flies", None, None),
        ("It shows vitamin C.", "C", "C"),
        ("C vitamin", None, "C"),
        ("network", None, "D"),  # VLMEvalKit finds letters, not words
        ("The answer is a dog", None, "A"),
        ("answer is **C**, as the label of the box tells us", None, "C"),
        ("B I would say, since it has no tail at all", None, None),  # too far from the end
        ("Cannot determine the answer, perhaps A", None, "Z"),
        ("Failed to obtain answer via API. two", "D", "D"),
        ("two " + "of them " * 20, "D", None),  # too long for VLMEvalKit
    ],
)
def test_choices_by_hand(answer, strict, vlmevalkit):
    assert strict_choice(answer, OPTIONS) == strict
    assert vlmevalkit_choice(answer, OPTIONS) == vlmevalkit


@given(st.text(max_size=30), st.lists(st.text("abc de", min_size=1, max_size=6), min_size=2, max_size=6))
def test_a_choice_is_one_of_the_options(answer, options):
    letters = "ABCDEF"[: len(options)]
    assert strict_choice(answer, options) in (None, *letters)
    assert vlmevalkit_choice(answer, options) in (None, "Z", *letters)
    assert strict_choice(f"({letters[-1]})", options) == letters[-1]


def rotations(question, corrects, ability="CP", category="ocr"):
    return [
        MmbenchRow(question + turn * 1_000_000, len(corrects), letter, ability, category)
        for turn, letter in enumerate(corrects)
    ]


def test_by_hand():
    rows = rotations(3, "BA") + rotations(5, "CBA", "LR", "future_prediction") + rotations(4, "AB")
    chosen = ["B", "A", "C", "B", None, "A", "A"]
    assert mmbench_hits(chosen, rows) == {3: True, 5: False, 4: False}
    scores = mmbench(chosen, rows)
    assert scores["circular"].value == pytest.approx(1 / 3)
    assert scores["ability/CP"].value == 0.5 and scores["ability/LR"].value == 0
    assert scores["category/ocr"].n == 2 and scores["category/future_prediction"].n == 1
    assert scores["vanilla"].value == 1 and scores["vanilla_all_passes"].value == pytest.approx(5 / 7)
    assert scores["unparsed"].value == pytest.approx(1 / 7)


@given(st.permutations(range(7)))
def test_the_order_of_rows_cannot_matter(order):
    rows = rotations(3, "BA") + rotations(5, "CBA", "LR") + rotations(4, "AB")
    chosen = ["B", "A", "C", "B", None, "A", "A"]
    shuffled = mmbench([chosen[place] for place in order], [rows[place] for place in order])
    assert {name: score.value for name, score in shuffled.items()} == pytest.approx(
        {name: score.value for name, score in mmbench(chosen, rows).items()}
    )


def test_mistakes_name_row_or_question():
    rows = rotations(3, "BA")
    with pytest.raises(LionError, match="row 1000003 is there twice"):
        mmbench(["A"] * 3, [*rows, rows[1]])
    for part in (rows[:1], rows[1:]):
        with pytest.raises(LionError, match=r"question 3 has 2 options, but its rotations are"):
            mmbench(["A"], part)
    for letter in ("C", "", "AB"):
        with pytest.raises(LionError, match="row 3: "):
            mmbench(["A", "A"], [replace(rows[0], correct=letter), rows[1]])
    with pytest.raises(LionError, match="nothing to score"):
        mmbench([], [])
