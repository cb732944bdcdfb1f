"""Geometry of boxes, the text they are written in, and a parser that never raises and never invents."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from lion.boxes import Box, format_box, parse_boxes
from lion.errors import LionError

fractions = st.floats(0, 1, allow_subnormal=False)
coordinates = st.floats(-1e4, 1e4, allow_subnormal=False)
sizes = st.integers(1, 20_000)


@st.composite
def boxes(draw: st.DrawFn, values: st.SearchStrategy[float] = fractions, space: str = "unit") -> Box:
    x1, x2 = sorted((draw(values), draw(values)))
    y1, y2 = sorted((draw(values), draw(values)))
    return Box(x1, y1, x2, y2, space)  # type: ignore[arg-type]


def close(a: Box, b: Box) -> bool:
    return a.space == b.space and all(
        math.isclose(p, q, rel_tol=1e-9, abs_tol=1e-9) for p, q in zip(a.xyxy(), b.xyxy(), strict=True)
    )


@pytest.mark.parametrize("corners", [(0.5, 0, 0.4, 1), (0, 0.5, 1, 0.4), (0, 0, math.nan, 1), (0, 0, math.inf, 1)])
def test_box_refuses_nonsense(corners):
    with pytest.raises(LionError):
        Box(*corners)
    with pytest.raises(LionError, match="unit' or 'pixel"):
        Box(0, 0, 1, 1, "percent")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [True, np.True_, "0.1", b"0.1", None, torch.tensor(True), [0.1]])
def test_what_is_no_number_is_no_corner(value):
    with pytest.raises(LionError, match="a box's x1 is a number, not"):
        Box(value, 0, 1, 1)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(0), torch.tensor(0.5), np.array(0.5)])
def test_numbers_of_other_libraries_are_corners(value):
    assert type(Box(value, 0, 1, 1).x1) is float


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, -1), (math.nan, 5)])
def test_a_picture_without_pixels_holds_no_box(size):
    with pytest.raises(LionError, match="holds no box"):
        Box(0, 0, 1, 1, "pixel").to_unit(*size)


def test_known_values():
    box = Box.from_xywh(10, 20, 30, 40, space="pixel")
    assert box.xyxy() == (10, 20, 40, 60)
    assert box.xywh() == (10, 20, 30, 40)
    assert box.area == 1200
    assert box.center == (25, 40)
    assert box.to_unit(100, 200) == Box(0.1, 0.1, 0.4, 0.3)
    assert box.to_pixel(7, 7) is box
    assert box.flip_horizontal(width=100) == Box(60, 20, 90, 60, "pixel")
    assert box.clamp(25, 30) == Box(10, 20, 25, 30, "pixel")
    assert Box(-0.2, 0.5, 1.5, 0.7).clamp() == Box(0, 0.5, 1, 0.7)
    assert Box(2, 2, 3, 3).clamp().area == 0


def test_pixel_boxes_need_the_picture_size():
    box = Box(0, 0, 1, 1, "pixel")
    with pytest.raises(LionError, match="size"):
        box.clamp()
    with pytest.raises(LionError, match="size"):
        box.flip_horizontal()


def test_spaces_do_not_mix():
    with pytest.raises(LionError, match="convert"):
        Box(0, 0, 1, 1).iou(Box(0, 0, 1, 1, "pixel"))


@given(boxes(coordinates, "pixel"), boxes(coordinates, "pixel"))
def test_iou_is_symmetric_and_bounded(a, b):
    value = a.iou(b)
    assert value == b.iou(a)
    assert 0 <= value <= 1
    if a.area > 0:
        assert a.iou(a) == 1


@given(boxes(), boxes(), sizes, sizes)
def test_iou_depends_neither_on_the_space_nor_on_mirroring(a, b, width, height):
    assume(a.area > 1e-6 and b.area > 1e-6)
    there = a.to_pixel(width, height).iou(b.to_pixel(width, height))
    assert there == pytest.approx(a.iou(b), abs=1e-6)
    assert a.flip_horizontal().iou(b.flip_horizontal()) == pytest.approx(a.iou(b), abs=1e-6)


@given(boxes(), sizes, sizes)
def test_spaces_round_trip(box, width, height):
    assert close(box.to_pixel(width, height).to_unit(width, height), box)
    assert close(Box.from_xywh(*box.xywh()), box)


@given(boxes(coordinates))
def test_clamp_stays_inside_and_flipping_twice_changes_nothing(a):
    inside = a.clamp()
    assert all(0 <= value <= 1 for value in inside.xyxy())
    assert inside.clamp() == inside
    assert close(a.flip_horizontal().flip_horizontal(), a)


@given(boxes(), st.integers(1, 4))
def test_text_round_trip(box, decimals):
    step = 10.0**-decimals
    assume(box.x2 - box.x1 > 1.01 * step and box.y2 - box.y1 > 1.01 * step)
    text = format_box(box, decimals)
    parse = parse_boxes(f"Answer: {text}")
    assert parse.ok and parse.reason is None and len(parse.boxes) == 1
    assert max(abs(p - q) for p, q in zip(parse.boxes[0].xyxy(), box.xyxy(), strict=True)) <= step / 2 + 1e-12
    assert format_box(parse.boxes[0], decimals) == text


def test_text_is_the_released_form():
    assert format_box(Box(0.44, 0.06, 0.65, 0.367)) == "[0.440,0.060,0.650,0.367]"
    assert format_box(Box(0, -0.0, 1, 1), decimals=2) == "[0.00,0.00,1.00,1.00]"
    with pytest.raises(LionError, match="to_unit"):
        format_box(Box(0, 0, 10, 10, "pixel"))
    with pytest.raises(LionError, match="outside the picture"):
        format_box(Box(0, 0, 1.001, 1))


@pytest.mark.parametrize(
    "text",
    [
        "[0.440,0.060,0.650,0.367]",
        "Answer: [0.440,0.060,0.650,0.367]",
        "It is at [ 0.44 ,\t.06, 0.650,+0.3670 ].",
        "tags [car, dog] and [0.1,0.2,0.3] then [0.44,0.06,0.65,0.367]",
        "[[0.44,0.06,0.65,0.367]]",
    ],
)
def test_parser_reads_what_people_and_models_write(text):
    parse = parse_boxes(text)
    assert parse.ok and parse.reason is None
    assert parse.boxes == (Box(0.44, 0.06, 0.65, 0.367),)


def test_parser_reads_several_boxes_in_order():
    parse = parse_boxes("[0.1,0.1,0.2,0.2] and [0.3,0.3,0.4,0.4]")
    assert parse.boxes == (Box(0.1, 0.1, 0.2, 0.2), Box(0.3, 0.3, 0.4, 0.4))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no [x1,y1,x2,y2]"),
        ("I cannot find it.", "no [x1,y1,x2,y2]"),
        ("0.10,0.20,0.50,0.60", "no [x1,y1,x2,y2]"),
        ("[0.1,0.2,0.5", "no [x1,y1,x2,y2]"),
        ("[]", "not four numbers"),
        ("[0.1,0.2,0.3]", "not four numbers"),
        ("[0.1,0.2,0.3,0.4,0.5]", "not four numbers"),
        ("[nan,0,1,1]", "not four numbers"),
        ("[0.1,0.2,0.3,1e-1]", "not four numbers"),
        ("[\u0661,0,1,1]", "not four numbers"),
        ("[__import__('os'),0,1,1]", "not four numbers"),
        ("[120,40,300,200]", "between 0 and 1"),
        ("[-0.1,0.2,0.3,0.4]", "between 0 and 1"),
        (f"[0,0,1,{'9' * 400}]", "between 0 and 1"),
        ("[0.5,0.5,0.2,0.9]", "out of order"),
        ("[0.2,0.5,0.5,0.1]", "out of order"),
        ("[0.2,0.5,0.2,0.9]", "no area"),
    ],
)
def test_parser_says_why_not(text, reason):
    parse = parse_boxes(text)
    assert not parse.ok and parse.boxes == ()
    assert parse.reason is not None and reason in parse.reason and "\n" not in parse.reason


def test_a_box_over_the_edge_is_read_where_asked_for():
    assert parse_boxes("[-0.1,0.2,0.3,1.4]", over_the_edge=True).boxes == (Box(-0.1, 0.2, 0.3, 1.4),)
    assert "outside" in str(parse_boxes("[120,40,300,200]", over_the_edge=True).reason)
    assert "outside" in str(parse_boxes("[-0.1,0.2,0,0.4]", over_the_edge=True).reason)
    assert "out of order" in str(parse_boxes("[1.5,0.2,0.3,0.4]", over_the_edge=True).reason)


def test_a_wrong_box_ends_the_reading():
    parse = parse_boxes("[0.1,0.1,0.2,0.2] [0.9,0.1,0.2,0.2] [0.3,0.3,0.4,0.4]")
    assert parse.ok and parse.boxes == (Box(0.1, 0.1, 0.2, 0.2),)
    assert parse.reason is not None and parse.reason.startswith("box 2 ")
    first = parse_boxes("[0.9,0.1,0.2,0.2] [0.3,0.3,0.4,0.4]")
    assert not first.ok and first.boxes == ()


@given(st.text(alphabet=st.sampled_from("[]().,-+0123456789e \n\u0661a"), max_size=60) | st.text(max_size=200))
@example("[" * 5000)
@example("[0," * 3000)
def test_parser_survives_garbage(text):
    parse = parse_boxes(text)
    assert parse.ok == bool(parse.boxes)
    assert parse.ok or parse.reason
    for box in parse.boxes:
        assert box.area > 0 or box.x2 > box.x1
        assert box == box.clamp()


def test_numbers_of_arrays_become_pythons():
    box = Box(*np.array([0, 0.25, 0.5, 1], dtype=np.float32))
    assert box == Box(0, 0.25, 0.5, 1) and all(type(value) is float for value in box.xyxy())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_as_pillow_turns_the_picture(orientation):
    stored = Image.new("L", (40, 20))
    stored.paste(255, (4, 2, 12, 16))
    exif = stored.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.info["exif"] = exif.tobytes()
    shown = ImageOps.exif_transpose(stored)
    assert Box(4 / 40, 2 / 20, 12 / 40, 16 / 20).turn(orientation).to_pixel(*shown.size).xyxy() == pytest.approx(
        shown.getbbox()
    )


@pytest.mark.parametrize("corners", [("a", 0, 1, 1), (0, None, 1, 1), (0, 0, [1], 1)])
def test_corners_that_are_no_numbers_are_named(corners):
    with pytest.raises(LionError, match="is a number, not"):
        Box(*corners)
