"""Batches depend on the questions alone; an answer becomes a prediction, a failed one its reason or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.eval.questions import QuestionSet
from lion.pipeline import Answer, Candidate, Request, Verb


class Answering:
    """A pipeline with given answers."""

    def __init__(self, *answers):
        self.answers, self.looked = answers, []

    def answer(self, requests, *, on_error):
        assert on_error == "row"
        return [self.answers[request.text] for request in requests]

    def look(self, images, *, tags):
        self.looked.append((images, tags))


FAILED = Answer("", Verb.ASK, ok=False, reason="too\nlong", failed=True)


def questions(**settings):
    return QuestionSet("set", ["a", "b"], ["p", "q"], lambda index: Request("x.png", Verb.ASK, text=index), **settings)


def test_the_keys_of_a_prediction():
    written = Answer("red", Verb.ASK, tags=("cat",), note="tags dropped")
    given = (Candidate("no", 0.1234567, 2, 1), Candidate("yes", 0.5, 3, 0))
    ranked = Answer("no", Verb.ASK, candidates=given)
    first, second = questions(references=["blue", "no"]).answer(Answering(written, ranked), [0, 1])
    assert list(first.items()) == [
        ("asked", "p"), ("true", "blue"), ("text", "red"), ("tags", ["cat"]), ("note", "tags dropped"),
    ]  # fmt: skip
    assert list(second) == ["asked", "true", "text", "tags", "nll", "tokens"]
    assert second["nll"] == [0.5, 0.12346] and second["tokens"] == [3, 2]


def test_a_wrong_answer_is_no_failure():
    unreadable = Answer("nowhere", Verb.LOCATE, ok=False, reason="no box")
    (prediction,) = questions(skip_bad=True).answer(Answering(unreadable), [0])
    assert prediction == {"asked": "p", "text": "nowhere", "tags": []}


def test_a_failed_request():
    pipeline = Answering(FAILED)
    assert questions(skip_bad=True).answer(pipeline, [0]) == [{"asked": "p", "skipped": "too long"}]
    with pytest.raises(LionError, match=r"^set record a: too\slong \(fix it, or skip bad records with --skip-bad\)$"):
        questions(skip_bad=False).answer(pipeline, [0])
    with pytest.raises(LionError, match=r"^set record a: too\slong$"):
        questions().answer(pipeline, [0])


def test_each_image_is_encoded_once():
    pipeline = Answering()
    questions(images=[b"one", b"one"]).look(pipeline, [0, 1])
    questions().look(pipeline, [0, 1])
    assert pipeline.looked == [([b"one"], True)]


def test_no_tagger_runs_for_prompts_without_tags():
    pipeline = Answering()
    untagged = QuestionSet("s", ["a"], ["p"], lambda index: Request("x.png", Verb.ASK, tags=()), images=[b"one"])
    untagged.look(pipeline, [0])
    assert pipeline.looked == [([b"one"], False)]


def to_batch(pictures=(), lengths=(), count=None):
    count = len(pictures) if count is None else count
    prompts = ["x" * length for length in lengths]
    return QuestionSet("p", [str(i) for i in range(count)], prompts, None, pictures)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50)), min_size=1), st.integers(1, 7))
def test_every_question_once_and_each_picture_in_one_group(asked, size):
    pictures, lengths = zip(*asked, strict=True)
    groups = to_batch(pictures, lengths).batch_groups(size)
    batches = [batch for group in groups for batch in group]
    assert sorted(number for batch in batches for number in batch) == list(range(len(asked)))
    assert all(1 <= len(batch) <= size for batch in batches)
    shown = [{pictures[number] for batch in group for number in batch} for group in groups]
    assert sum(map(len, shown)) == len(set(pictures)) and all(len(one) <= size for one in shown)
    for group in groups:
        inside = [lengths[number] for batch in group for number in batch]
        assert inside == sorted(inside, reverse=True)


def test_questions_about_different_pictures_go_by_length():
    assert to_batch("abcd", [3, 9, 4, 8]).batch_groups(2) == [[[1, 3]], [[2, 0]]]
    assert to_batch("aabb", [3, 9, 4, 8]).batch_groups(2) == [[[1, 3], [2, 0]]]


def test_without_pictures_in_the_given_order():
    assert to_batch(count=5).batch_groups(2) == [[[0, 1]], [[2, 3]], [[4]]]
    assert to_batch(count=0).batch_groups(2) == []
