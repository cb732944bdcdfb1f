"""REC scores against exactly computed overlaps and worked cases over real boxes."""

import json
from pathlib import Path

import pytest

from lion.boxes import Box
from lion.errors import LionError
from lion.metrics.rec import first_box, rec, rec_ious
from tests.metrics import truth

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
PAIRS = json.loads((GOLDEN / "rec_iou_cases.json").read_text())
CASES = json.loads((GOLDEN / "rec_eval_cases.json").read_text())


@pytest.mark.parametrize("case", PAIRS["pairs"], ids=lambda case: case["name"])
def test_overlap_is_exact(case):
    (x1, y1, x2, y2), reference = case["pred_xyxy"], Box(*case["gt_xyxy"])
    if x1 > x2 or y1 > y2:
        with pytest.raises(LionError):
            Box(x1, y1, x2, y2)
        assert case["iou"] == 0
        return
    overlap = Box(x1, y1, x2, y2).iou(reference)
    assert overlap == pytest.approx(case["iou"], abs=1e-12)
    assert (overlap >= 0.5) == case["hit_ge_0.5"]


def test_overlap_in_pixels_is_continuous():
    for case in PAIRS["pixel_pairs"]:
        width, height = case["image_wh"]
        said, true = (Box.from_xywh(*case[key], space="pixel") for key in ("pred_xywh_px", "gt_xywh_px"))
        assert said.iou(true) == pytest.approx(case["iou_continuous"], abs=1e-9)
        assert true.to_unit(width, height).xyxy() == pytest.approx(case["gt_xyxy_norm"])


def unit(row) -> Box:
    return Box.from_xywh(*row["gt_bbox_xywh_px"], space="pixel").to_unit(row["width"], row["height"])


def test_worked_cases_one_by_one():
    for row in CASES["rows"]:
        box, expected = first_box(row["output_text"]), row["expected_box_xyxy_norm"]
        if expected is None or expected[0] >= expected[2]:
            assert box is None
        else:
            assert box is not None and box.xyxy() == tuple(expected)
        scores = rec([row["output_text"]], [unit(row)])
        assert scores["mean_iou"].value == pytest.approx(row["expected_iou"], abs=1e-6)
        assert scores["accuracy@0.5"].value == row["expected_hit"]


@pytest.mark.parametrize("split", ["val", "testA", "testB", "all"])
def test_worked_cases_together(split):
    rows = [row for row in CASES["rows"] if split in ("all", row["split"])]
    scores = rec([row["output_text"] for row in rows], [unit(row) for row in rows], thresholds=(0.5, 0.75))
    assert 100 * scores["accuracy@0.5"].value == pytest.approx(CASES["accuracy_percent"][split])
    assert scores["accuracy@0.75"].value <= scores["accuracy@0.5"].value
    assert scores["unparsed"].n == len(rows)


def test_the_first_box_counts_and_unreadable_ones_are_misses():
    right = Box(0.1, 0.1, 0.5, 0.5)
    texts = ["[0.1,0.1,0.5,0.5] [0.6,0.6,0.9,0.9]", "[0.6,0.6,0.9,0.9] [0.1,0.1,0.5,0.5]", "[0.5,0.1,0.1,0.5]", ""]
    scores = rec(texts, [right] * 4)
    assert scores["accuracy@0.5"].value == scores["mean_iou"].value == 0.25
    assert scores["unparsed"].value == 0.5


def test_a_box_over_the_edge_counts_as_it_stands():
    texts = ["[-0.1,-0.1,1.2,1.1]", "[0,0,1,1.25]", "[120,40,300,200]", f"[0,0,1,{'9' * 400}]", "[-1,0,0,1]"]
    assert rec_ious(texts, [Box(0, 0, 1, 1)] * 5) == [pytest.approx(1 / 1.56), 0.8, None, None, None]


@pytest.mark.parametrize(
    "case", [case for case in PAIRS["pairs"] if max(case["gt_xyxy"]) <= 1], ids=lambda case: case["name"]
)
def test_overlap_is_exact_for_boxes_in_texts(case):
    text = "[" + ",".join(f"{value:.20f}" for value in case["pred_xyxy"]) + "]"
    scores = rec([text], [Box(*case["gt_xyxy"])])
    assert scores["mean_iou"].value == pytest.approx(case["iou"], abs=1e-9)
    assert scores["accuracy@0.5"].value == case["hit_ge_0.5"]


def test_three_thresholds_unless_asked_otherwise():
    scores = rec(["[0,0,1,0.8]", "no box"], [Box(0, 0, 1, 1)] * 2)
    found = {name: score.value for name, score in scores.items()}
    assert found == {"accuracy@0.5": 0.5, "accuracy@0.75": 0.5, "accuracy@0.9": 0, "mean_iou": 0.4, "unparsed": 0.5}
    assert rec_ious(["[0,0,1,0.8]", "no box"], [Box(0, 0, 1, 1)] * 2) == [0.8, None]


@pytest.mark.parametrize("part", ["rec_eval_cases", "iou_cases"])
def test_the_copies_here_are_the_known_results(part):
    assert json.loads((GOLDEN / f"rec_{part.removeprefix('rec_')}.json").read_text()) == truth.load(f"rec/{part}.json")


def test_pixels_and_the_unit_square_overlap_alike():
    """So the declared space costs nothing. REFER's own demo counts inclusive pixels, which these pairs cannot tell."""
    for case in PAIRS["pixel_pairs"]:
        width, height = case["image_wh"]
        said, true = (
            Box.from_xywh(*case[key], space="pixel").to_unit(width, height) for key in ("pred_xywh_px", "gt_xywh_px")
        )
        assert said.iou(true) == pytest.approx(case["iou_continuous"], abs=1e-9)
        assert (said.iou(true) >= 0.5) == (case["iou_refer_demo_integer_pixel"] >= 0.5)


def test_one_space():
    for text in ("[0,0,1,1]", "no box"):
        with pytest.raises(LionError, match="unit square"):
            rec([text], [Box(0, 0, 10, 10, "pixel")])


def test_lengths_and_emptiness_are_errors():
    with pytest.raises(ValueError):
        rec(["[0,0,1,1]"], [])
    with pytest.raises(LionError, match="nothing to score"):
        rec([], [])
