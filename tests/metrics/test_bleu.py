"""BLEU against cases worked out by hand and what must hold for any."""

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics.bleu import bleu


def values(candidates, references):
    return [estimate.value for estimate in bleu(candidates, references)]


def test_a_copy_is_perfect():
    assert values(["a cat on a mat"], [["a dog", "a cat on a mat"]]) == pytest.approx([1, 1, 1, 1])


def test_sums_over_captions_before_it_divides():
    # 3 of 3 and 0 of 1 words: 3/4, not the mean of 1 and 0; 2 of 2 bigrams.
    one, two, three, four = values(["a red cat", "x"], [["a red cat"], ["y"]])
    assert one == pytest.approx(3 / 4) and two == pytest.approx((3 / 4) ** (1 / 2))
    assert three == pytest.approx((3 / 4) ** (1 / 3))
    # no 4-gram to match: the tiny constant over the small one, 1e-6
    assert four == pytest.approx((3 / 4 * 1e-15 / 1e-9) ** (1 / 4))


def test_matches_are_clipped_to_one_reference():
    assert values(["the the the"], [["the the x", "the y z"]])[0] == pytest.approx(2 / 3)


def test_the_closest_reference_counts_and_of_equals_the_shorter():
    assert values(["a b c"], [["a b c d", "a b c d e f"]])[0] == pytest.approx(exp(1 - 4 / 3))
    assert values(["a b c"], [["a b c d", "a b"]])[0] == pytest.approx(1)


def test_empty_captions():
    assert values([""], [["a cat"]]) == pytest.approx([0, 0, 0, 0])
    assert values([""], [[""]]) == pytest.approx([0, 0, 0, 0])


@pytest.mark.parametrize(
    ("candidates", "references", "longest"),
    [
        (["red cat"], [["red cat"]], 2),
        (["a red cat there"], [["red cat"]], 2),  # nothing of three words could match
        (["cat", "a b c"], [["cat"], ["a b c d e"]], 3),
        (["a b c d"], [["cat", "a b c d"]], 4),
    ],
)
def test_n_grams_longer_than_the_captions_are_noted(candidates, references, longest):
    assert [bool(one.caveat) for one in bleu(candidates, references)] == [n > longest for n in (1, 2, 3, 4)]


def test_no_captions():
    with pytest.raises(LionError, match="nothing to score"):
        bleu([], [])


WORDS = st.lists(st.sampled_from("abc"), max_size=6).map(" ".join)
IMAGES = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=4)


@settings(max_examples=10)  # each resamples 800 times
@given(IMAGES)
def test_between_nothing_and_one(images):
    scores = values([one for one, _ in images], [texts for _, texts in images])
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in scores)
