"""An answer becomes a prediction; one that failed is stored with its reason or raised, as its set wants it."""

import pytest

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

    def look(self, images):
        self.looked.append(images)


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
    with pytest.raises(LionError, match=r"^set record a: too\slong \(mend it, or skip bad records with --skip-bad\)$"):
        questions(skip_bad=False).answer(pipeline, [0])
    with pytest.raises(LionError, match=r"^set record a: too\slong$"):
        questions().answer(pipeline, [0])


def test_each_image_is_encoded_once():
    pipeline = Answering()
    questions(images=[b"one", b"one"]).look(pipeline, [0, 1])
    questions().look(pipeline, [0, 1])
    assert pipeline.looked == [[b"one"]]
