"""ROUGE-L against cases worked out by hand and a plain table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.metrics.rouge_l import _longest_common_subsequence, rouge_l


def f_score(precision, recall):
    return 2.44 * precision * recall / (recall + 1.44 * precision)


def test_by_hand():
    assert rouge_l("a cat sat", ["a cat sat"]) == pytest.approx(1)
    assert rouge_l("a cat sat", ["a big cat ran"]) == pytest.approx(f_score(2 / 3, 2 / 4))
    assert rouge_l("a b", ["c d"]) == 0


def test_precision_and_recall_may_come_from_different_references():
    assert rouge_l("a b c d", ["a b c x y z", "d"]) == pytest.approx(f_score(3 / 4, 1))


def test_the_empty_text_is_one_empty_token():
    assert rouge_l("", ["a cat"]) == 0
    assert rouge_l("", [""]) == pytest.approx(1)


WORDS = st.lists(st.sampled_from("abcd"), max_size=70)


@given(WORDS, WORDS)
def test_longest_common_subsequence_as_the_plain_table(one, other):
    row = [0] * (len(other) + 1)
    for word in one:
        before = row[:]
        for place, against in enumerate(other, start=1):
            row[place] = before[place - 1] + 1 if word == against else max(before[place], row[place - 1])
    assert _longest_common_subsequence(one, other) == row[-1]
