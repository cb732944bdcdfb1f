"""Every question is in one batch, images stay together, and batches depend on the questions alone."""

from hypothesis import given
from hypothesis import strategies as st

from lion.eval.grouping import batch_groups
from lion.eval.questions import QuestionSet


def questions(pictures=(), lengths=(), count=None):
    count = len(pictures) if count is None else count
    prompts = ["x" * length for length in lengths]
    return QuestionSet("p", [str(i) for i in range(count)], prompts, None, pictures)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50)), min_size=1), st.integers(1, 7))
def test_every_question_once_and_each_picture_in_one_group(asked, size):
    pictures, lengths = zip(*asked, strict=True)
    groups = batch_groups(questions(pictures, lengths), size)
    batches = [batch for group in groups for batch in group]
    assert sorted(number for batch in batches for number in batch) == list(range(len(asked)))
    assert all(1 <= len(batch) <= size for batch in batches)
    shown = [{pictures[number] for batch in group for number in batch} for group in groups]
    assert sum(map(len, shown)) == len(set(pictures)) and all(len(one) <= size for one in shown)
    for group in groups:
        inside = [lengths[number] for batch in group for number in batch]
        assert inside == sorted(inside, reverse=True)


def test_questions_about_different_pictures_go_by_length():
    assert batch_groups(questions("abcd", [3, 9, 4, 8]), 2) == [[[1, 3]], [[2, 0]]]
    assert batch_groups(questions("aabb", [3, 9, 4, 8]), 2) == [[[1, 3], [2, 0]]]


def test_without_pictures_in_the_given_order():
    assert batch_groups(questions(count=5), 2) == [[[0, 1]], [[2, 3]], [[4]]]
    assert batch_groups(questions(count=0), 2) == []
