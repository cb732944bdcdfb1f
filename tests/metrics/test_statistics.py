"""Standard errors: the textbook's where it has one, the spread of repeated experiments elsewhere."""

import numpy as np
import pytest

from lion.errors import LionError
from lion.metrics.statistics import Estimate, bootstrap, mean, mean_by_group, ratio


def test_proportion():
    estimate = mean([True] * 80 + [False] * 20)
    assert estimate.value == 0.8 and estimate.n == 100
    assert estimate.standard_error == pytest.approx((0.8 * 0.2 / 100) ** 0.5)
    assert str(estimate) == "0.800 ± 0.040"


def test_mean():
    values = [1.0, 2.0, 4.0, 9.0]
    assert mean(values) == Estimate(4.0, pytest.approx(np.std(values) / 2), 4)


def test_ratio_error_is_the_spread_of_repeated_experiments():
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(2000):
        below = rng.integers(0, 5, size=200)
        above = rng.binomial(below, 0.7)
        draws.append(ratio(above, below))
    spread = np.std([draw.value for draw in draws])
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.1)


def test_ratio_without_anything_to_divide_by_is_zero():
    found = ratio([0, 0], [0, 0])
    assert (found.value, found.standard_error, found.n) == (0.0, 0.0, 2) and found.note.startswith("undefined, ")
    assert not ratio([0, 0, 0], [0, 0, 1]).note


def test_bootstrap_agrees_with_the_formula():
    values = np.random.default_rng(1).normal(size=400)
    resampled = bootstrap(lambda rows: float(values[rows].mean()), len(values), resamples=1000)
    assert resampled.value == pytest.approx(values.mean())
    assert resampled.standard_error == pytest.approx(mean(values.tolist()).standard_error, rel=0.1)


def test_nothing_is_an_error():
    for call in (lambda: mean([]), lambda: bootstrap(lambda rows: 0.0, 0)):
        with pytest.raises(LionError, match="nothing to score"):
            call()
    with pytest.raises(ValueError):
        ratio([1], [1, 2])


def test_means_of_groups():
    found = mean_by_group([1, 0, 1, 1], ["b", "b", None, "a"], "kind")
    assert {name: (score.value, score.n) for name, score in found.items()} == {"kind/a": (1, 1), "kind/b": (0.5, 2)}
    assert list(found) == ["kind/a", "kind/b"] and mean_by_group([1], [None], "kind") == {}
    with pytest.raises(ValueError):
        mean_by_group([1], [], "kind")


def test_estimates_as_json():
    assert mean([1, 0, 0]).to_json() == {"value": 0.333333, "standard_error": 0.272166, "n": 3}


@pytest.mark.parametrize("n", [1, 2])
def test_a_standard_error_of_few_samples_is_noted(n):
    assert mean([1.0] * n).to_json()["note"] == "too few samples for a standard error"
    assert bootstrap(lambda rows: 1.0, n).note == "too few samples for a standard error"
    both = Estimate(0.0, 0.0, n, "nothing is known").note
    assert both == "nothing is known; too few samples for a standard error"


def test_the_shares_of_samples_have_the_value_as_mean_and_the_standard_error_as_spread():
    rng = np.random.default_rng(3)
    below = rng.integers(0, 5, size=300)
    estimate = ratio(rng.binomial(below, 0.7), below)
    assert estimate.by_sample.mean() == pytest.approx(estimate.value)
    assert estimate.by_sample.std() / 300**0.5 == pytest.approx(estimate.standard_error)
    assert mean([1.0, 0.0, 1.0]).by_sample.tolist() == [1.0, 0.0, 1.0]
    assert ratio([0, 0], [0, 0]).by_sample.tolist() == [0.0, 0.0] and "by_sample" not in estimate.to_json()
