"""The order in which a chain's recipes train."""

from lion.train.recipe import load
from lion.train.side_by_side import _ready


def test_what_a_chain_still_has_to_make_is_not_taken_from_the_package():
    made, after = load("mini-stage3"), load("mini-stage3", ["out=again", "init={model: lion-mini}"])
    assert _ready([made, after], []) == [made]
