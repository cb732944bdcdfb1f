"""MMBench's circular evaluation against known results and cases worked by hand."""

import csv
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import MmbenchRow, mmbench
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


def letter_of(answer, options):
    """The option that a known prediction names, by letter ("B.", "(C)", "Answer: D", "A. red kite") or by text."""
    by_letter = re.match(r"(?:Answer: |The answer is )?\(?([A-D])\)?(?:\.|$)", answer)
    named = [letter for letter, option in zip("ABCD", options, strict=False) if option in answer]
    return by_letter[1] if by_letter else next(iter(named), None)


def test_circular_evaluation_as_known():
    with truth.path("mmbench/predictions.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    options = [[row[letter] for letter in "ABCD" if row[letter]] for row in table]
    rows = [
        MmbenchRow(int(row["index"]), len(its), row["answer"], L2[row["l2-category"]], row["category"])
        for row, its in zip(table, options, strict=True)
    ]
    chosen = [letter_of(row["prediction"], its) for row, its in zip(table, options, strict=True)]
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
