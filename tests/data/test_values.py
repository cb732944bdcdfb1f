"""Values of annotation files: what passes, and one line for what does not."""

from pathlib import Path

import pytest

from lion.data.values import entry, identifier, integer, numbers, region_record, truth
from lion.errors import LionError


def test_an_id_is_the_same_in_any_type():
    assert {identifier(value) for value in (1, 1.0, "1")} == {"1"}
    assert entry({"1": "row"}, 1, "image") == entry({"1": "row"}, "1", "image") == "row"
    for odd in (True, False, None, 1.5, [], {}):
        with pytest.raises(LionError, match="neither a text nor a whole number"):
            identifier(odd)
    with pytest.raises(LionError, match="refers to the image 01, which is not there"):
        entry({"1": "row"}, "01", "image")


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "1.0", "true", "True", " TRUE "])
def test_true(value):
    assert truth(value, "iscrowd") is True


@pytest.mark.parametrize("value", [False, 0, 0.0, "0", "0.0", "false", "False"])
def test_false(value):
    assert truth(value, "iscrowd") is False


@pytest.mark.parametrize("value", [None, 2, -1, 0.5, "yes", "", [], [1], {}, float("nan")])
def test_neither(value):
    with pytest.raises(LionError, match=r"iscrowd .* is neither 0 nor 1"):
        truth(value, "iscrowd")


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [1, 2, 3, 4, 5], [True, 0, 1, 1], ["1", 0, 1, 1], [None, 0, 1, 1], "1234", None, 4, {},
               [float("nan"), 0, 1, 1], [float("inf"), 0, 1, 1], [[1], 2, 3, 4]],
)  # fmt: skip
def test_what_is_no_four_numbers(values):
    with pytest.raises(LionError, match="its box is not 4 numbers: "):
        numbers(values, "box", 4)


@pytest.mark.parametrize("value", [True, "1", 1.0, None])
def test_no_whole_number(value):
    with pytest.raises(LionError, match=r"its image_id .* is no whole number"):
        integer(value, "image_id")
    assert integer(7, "image_id") == 7


@pytest.mark.parametrize(
    ("bbox", "size"),
    [([True, 0, 9, 9], (20, 10)), ([0, 0, True, 9], (20, 10)), ([0, 0, 9, 9], (20, True)), ([0, 0, "9", 9], (20, 10)),
     ([0, 0, 9, 9], ("20", 10)), ([-0.4, 0, 0.4, 9], (20, 10)), ([20, 0, 0.4, 9], (20, 10)), ([0, 0, 9, 0], (20, 10)),
     ([0, 0, -9, 9], (20, 10)), ([0, 0, 9, 9], (0, 10)), ([0, 0, 9, 9], (-20, 10))],
)  # fmt: skip
def test_regions_that_are_none(bbox, size):
    with pytest.raises(LionError):
        region_record(1, Path("a.jpg"), "cup", bbox, size, {})
