"""Average precision on rankings worked by hand, and what must hold for every ranking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics.average_precision import average_precision, mean_average_precision


def ap(scores, labels) -> float:
    return float(average_precision(np.array([scores]).T, np.array([labels], bool).T)[0])


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.9, 0.8, 0.1], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.1], [0, 0, 1], 1 / 3),
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], 1 / 4),
        ([0.9, 0.5, 0.5], [0, 1, 1], 2 / 3),
        ([-np.inf, np.inf, -np.inf], [1, 0, 0], 1 / 3),
    ],
)
def test_known_rankings(scores, labels, expected):
    assert ap(scores, labels) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20), st.randoms())
def test_order_and_scale_do_not_matter(rows, random):
    rows = [*rows, (2, True)]
    value = ap(*zip(*rows, strict=True))
    assert 0 < value <= 1
    random.shuffle(rows)
    assert ap(*zip(*[(3 * score - 7, label) for score, label in rows], strict=True)) == pytest.approx(value)


def test_mean_leaves_out_tags_that_nobody_has():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5], [0.1, 0.3, 0.5]])
    labels = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]], bool)
    assert np.isnan(average_precision(scores, labels)[2])
    assert mean_average_precision(scores, labels).value == pytest.approx((1 + 1 / 3) / 2)


@pytest.mark.parametrize(
    ("labels", "noted"),
    [
        ([[1, 0]], True),  # one image
        ([[1, 0], [1, 0]], True),  # one class
        ([[1, 1], [1, 1], [1, 1]], True),
        ([[1, 0], [0, 1]], False),
        ([[1, 1], [1, 0], [1, 0]], False),
    ],
)
def test_a_precision_that_no_tagger_can_miss_is_noted(labels, noted):
    labels = np.array(labels, bool)
    found = mean_average_precision(np.zeros(labels.shape), labels)
    assert ("every image has the same tags" in found.note) == noted and (found.value == 1 or not noted)


def test_standard_error_shrinks_with_pictures():
    rng = np.random.default_rng(0)

    def error(n: int) -> float:
        labels = rng.random((n, 3)) < 0.3
        return mean_average_precision(labels + rng.normal(size=(n, 3)), labels).standard_error

    assert 0 < error(1600) < error(100) < 0.2


def test_mistakes_are_errors():
    with pytest.raises(LionError, match="images, tags"):
        average_precision(np.zeros((2, 3)), np.zeros((3, 2), bool))
    with pytest.raises(LionError, match="NaN"):
        average_precision(np.full((1, 1), np.nan), np.ones((1, 1), bool))
    with pytest.raises(LionError, match="nothing to score"):
        mean_average_precision(np.zeros((2, 3)), np.zeros((2, 3), bool))
