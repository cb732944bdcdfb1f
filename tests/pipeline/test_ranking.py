"""Candidates ranked by likelihood through the pipeline: order, lists, batches, mistakes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import Candidate, DecodingPreset, LionPipeline, Request, Verb
from lion.pipeline.read import ranked
from lion.prompts import Task, instruction

QUESTION = "what color is the car?"
ANSWERS = ["red", "a blue car on the left", "red", "yes", "it is green"]


@pytest.fixture
def other():
    return Image.linear_gradient("L").rotate(90).resize((64, 48)).convert("RGB")


def close(some, others):
    """Equal but for rounding in the last digits."""
    assert [(one.text, one.tokens, one.index) for one in some] == [(one.text, one.tokens, one.index) for one in others]
    assert [one.nll for one in some] == pytest.approx([one.nll for one in others], rel=1e-5)


def forward_nll(pipeline, picture, words, tags, task, text):
    """What the full forward says of one candidate."""
    inputs = pipeline.processor(
        images=[picture], text=[words], tags=None if tags is None else [tags], tasks=[task], answers=[text]
    )
    with torch.no_grad():
        logits = pipeline.model(**inputs).logits[0]
    return float(torch.nn.functional.cross_entropy(logits, inputs["labels"][0], reduction="sum"))


def test_what_rank_gives(pipeline, picture):
    order = pipeline.rank(picture, QUESTION, ANSWERS)
    assert sorted(one.index for one in order) == [0, 1, 2, 3, 4]
    assert all(one.text == ANSWERS[one.index] for one in order)
    assert [one.nll for one in order] == sorted(one.nll for one in order)
    tags, words = list(pipeline.look(picture).tags), instruction(Task.VQA, question=QUESTION)
    for one in order:
        assert one.nll == pytest.approx(forward_nll(pipeline, picture, words, tags, Task.VQA, one.text), rel=1e-5)
        assert one.tokens == len(pipeline.processor.tokenizer(one.text)["input_ids"])
        assert one.mean_nll == one.nll / one.tokens
    same = [one.index for one in order if one.text == "red"]
    assert same == [0, 2]
    yes = next(one for one in order if one.text == "yes")
    close(pipeline.rank(picture, QUESTION, ["yes"]), [Candidate("yes", yes.nll, yes.tokens, 0)])


@given(nlls=st.lists(st.sampled_from([0.5, 1.0, 2.0, 30.0]), min_size=1, max_size=12))
def test_ties_stay_in_the_given_order(nlls):
    order = ranked(["a"] * len(nlls), [[5, 1]] * len(nlls), nlls)
    assert [(one.nll, one.index) for one in order] == sorted((nll, index) for index, nll in enumerate(nlls))


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(LionError, match="NaN"):
        ranked(["a", "b"], [[3, 1], [4, 1]], [0.5, float("nan")])


def test_lists_go_pairwise_and_one_goes_with_all(pipeline, picture, other):
    questions = [QUESTION, "is it red?"]
    golden = [[pipeline.rank(one, words, ANSWERS) for words in questions] for one in (picture, other)]
    for row, ours in enumerate(pipeline.rank(picture, questions, ANSWERS)):
        close(ours, golden[0][row])
    for row, ours in enumerate(pipeline.rank([picture, other], QUESTION, ANSWERS)):
        close(ours, golden[row][0])
    own = pipeline.rank([picture, other], questions, [ANSWERS[:2], ANSWERS])
    close(own[0], pipeline.rank(picture, questions[0], ANSWERS[:2]))
    close(own[1], golden[1][1])
    both = pipeline.rank(picture, QUESTION, [ANSWERS, ["yes", "no"]])
    close(both[0], golden[0][0])
    assert {one.text for one in both[1]} == {"yes", "no"}
    assert pipeline.rank([], QUESTION, ANSWERS) == []


def test_candidates_are_a_way_to_answer_any_request(pipeline, picture, other):
    """Mixed with requests that generate, of both task levels, with tags and without."""
    pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=1, max_new_tokens=4))
    dialog = instruction(Task.DIALOG, question=QUESTION, history=[("is there a car?", "yes")])
    boxes = ["[0.10,0.20,0.50,0.80]", "[0.00,0.00,1.00,1.00]"]
    requests = [
        Request(picture, Verb.CHAT, instruction=dialog, tags=[], candidates=ANSWERS),
        Request(other, Verb.CAPTION),
        Request(other, Verb.LOCATE, "the car", candidates=boxes),
        Request(picture, Verb.DESCRIBE, box=Box(0.1, 0.1, 0.6, 0.9), candidates=["a car", "a tree", "grass"]),
        Request(other, Verb.ASK, "is it red?", candidates=["yes", "no"]),
        Request(picture, Verb.TAG),
    ]
    wide = LionPipeline(pipeline.model, pipeline.processor, pipeline.tagger, name="tiny", batch_size=8)
    wide.decoding = pipeline.decoding
    together = wide.answer(requests)
    for answer, request in zip(together, requests, strict=True):
        alone = pipeline.answer([request])[0]
        assert (answer.text, answer.ok, answer.boxes) == (alone.text, alone.ok, alone.boxes)
        close(answer.candidates, alone.candidates)
        assert len(answer.candidates) == len(request.candidates or ())
    for text, nll in ((one.text, one.nll) for one in together[0].candidates):
        assert nll == pytest.approx(forward_nll(pipeline, picture, dialog, None, Task.DIALOG, text), rel=1e-5)
    located = together[2]
    assert located.text == located.candidates[0].text
    assert located.ok and located.boxes[0].unit == Box(*map(float, located.text.strip("[]").split(",")))


def test_about_as_many_candidates_share_a_pass(pipeline, picture, monkeypatch):
    """Prompts with two or three go together; one with a hundred does not make the others wait for it."""
    counts = []
    score = pipeline.model.score_candidates

    def counting(**inputs):
        counts.append([len(row) for row in inputs["candidates"]])
        return score(**inputs)

    monkeypatch.setattr(pipeline.model, "score_candidates", counting)
    own = [["yes", "no"], [str(number) for number in range(100)], ["a", "b", "c"]]
    assert [len(order) for order in pipeline.rank(picture, QUESTION, own)] == [2, 100, 3]
    assert sorted(counts) == [[2, 3], [100]]


def test_a_look_is_used_again(pipeline, picture, monkeypatch):
    look = pipeline.look(picture)
    monkeypatch.setattr(pipeline.model, "look", None)
    monkeypatch.setattr(pipeline, "tagger", None)
    assert len(pipeline.rank(look, [QUESTION, "is it red?"], ANSWERS)) == 2


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "no candidates"),
        (["red", ""], "candidate 1 of 2 is empty"),
        (["  ", "red"], "candidate 0 of 2 is empty"),
        ("red", "one text, 'red'"),
        ([["red"], []], "no candidates"),
    ],
)
def test_mistakes_are_one_clear_line(pipeline, picture, candidates, message):
    with pytest.raises(LionError, match=message) as caught:
        pipeline.rank(picture, QUESTION, candidates)
    assert "\n" not in str(caught.value)


def test_long_candidates_are_not_shortened(pipeline, picture):
    pipeline.processor.max_answer_tokens, kept = 8, pipeline.processor.max_answer_tokens
    try:
        long = "a red car on the left of the tree near the house " * 4
        order = pipeline.rank(picture, QUESTION, [long, long + "ball"])
    finally:
        pipeline.processor.max_answer_tokens = kept
    assert order[0].nll != order[1].nll and all(one.tokens > 8 for one in order)


def test_an_empty_question_is_an_error(pipeline, picture):
    with pytest.raises(LionError, match="question is empty"):
        pipeline.rank(picture, " ", ANSWERS)
