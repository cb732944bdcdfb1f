"""CIDEr-D against a case worked out by hand and what must hold for any."""

from math import exp, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.metrics.cider import cider_d


def test_by_hand():
    # log 2 is the weight of what one of the two images has, 0 of what both have ("a"). Of "a cat" against "a dog sat"
    # nothing weighty is shared. "a cat" against "a cat sat" shares cat and a-cat; its trigram finds nothing.
    first, second = cider_d(["a cat", "a cow"], [["a cat sat", "a dog sat"], ["a cow", "a cow"]])
    unigrams, bigrams, shorter_by_one = 1 / sqrt(2), 1 / sqrt(2), exp(-1 / 72)
    assert first == pytest.approx(10 * (unigrams + bigrams) / 4 * shorter_by_one / 2)
    assert second == pytest.approx(10 * 2 / 4)


def test_repeating_a_word_does_not_pay():
    references = [["a red cat"], ["a blue dog"]]
    once, often = (
        cider_d(["red cat", "blue dog"], references)[0],
        cider_d(["red red red cat", "blue dog"], references)[0],
    )
    assert often < once


def test_length_counts_bigrams():
    """So a single word is damped as the empty text would be."""
    one, two = cider_d(["cat", "cat cat"], [["cat"], ["dog"]])[0], cider_d(["cat cat", "x"], [["cat"], ["dog"]])[0]
    assert one == pytest.approx(10 / 4)
    assert two == pytest.approx(0.5 * one * exp(-1 / 72))


def test_one_image_scores_nothing():
    assert cider_d(["a cat"], [["a cat"]]) == [0.0]


def test_none_and_unequal():
    assert cider_d([], []) == []
    with pytest.raises(ValueError, match="zip"):
        cider_d(["a"], [["a"], ["b"]])


WORDS = st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join)
IMAGES = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=5)


@given(IMAGES)
def test_between_nothing_and_ten_and_in_any_order(images):
    scores = cider_d([one for one, _ in images], [texts for _, texts in images])
    assert all(-1e-9 <= score <= 10 + 1e-9 for score in scores)
    back = cider_d([one for one, _ in images[::-1]], [texts[::-1] for _, texts in images[::-1]])
    assert back[::-1] == pytest.approx(scores)
