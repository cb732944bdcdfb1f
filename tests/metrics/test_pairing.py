"""Predictions find their questions by id, or the id at fault is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import align, align_partial


@given(st.lists(st.text(), unique=True), st.randoms(use_true_random=False))
def test_the_order_of_predictions_cannot_matter(ids, random):
    pairs = [(one, one.upper()) for one in ids]
    random.shuffle(pairs)
    assert align(pairs, ids) == align_partial(pairs, ids) == [one.upper() for one in ids]


def test_a_missing_prediction():
    with pytest.raises(LionError, match="1 of 2 questions have no prediction, first 'b'"):
        align([("a", "x")], ["a", "b"])
    assert align_partial([("a", "x")], ["a", "b"]) == ["x", None]


@pytest.mark.parametrize("pair", [align, align_partial])
def test_doubles_and_strangers(pair):
    with pytest.raises(LionError, match="'a' has two predictions"):
        pair([("a", "x"), ("a", "x")], ["a"])
    with pytest.raises(LionError, match="question 'a' is there twice"):
        pair([("a", "x")], ["a", "a"])
    with pytest.raises(LionError, match="'b' belongs to no question"):
        pair([("a", "x"), ("b", "x")], ["a"])
