"""Confidence: of tokens, answers and boxes, and whether what a phrase names is there."""

import math
from dataclasses import replace

import pytest
import torch

from lion.boxes import Box, parse_boxes
from lion.engine import Output
from lion.errors import LionError
from lion.pipeline import DecodingPreset, LionPipeline, Request, TransformersDecoder, Verb, answering
from lion.pipeline.confidence import TokenLogprob, box_scores, confidence, token_logprobs, token_texts
from lion.pipeline.decode import generate
from lion.prompts import presence_question
from tests.pipeline import tiny

TOKENIZER = tiny.processor().tokenizer
TEXT = "[0.10,0.20,0.50,0.80]"


def ids(text):
    return TOKENIZER(text)["input_ids"]


def output(text, doubts):
    """A text of which the model is certain but for some places: {place: {other token's text: probability}}."""
    chosen = ids(text)
    top, logprobs = [], []
    for place, token in enumerate(chosen):
        others = {TOKENIZER.convert_tokens_to_ids(other): p for other, p in doubts.get(place, {}).items()}
        own = 1 - sum(others.values())
        top.append([(one, math.log(p)) for one, p in {token: own, **others}.items()])
        logprobs.append(math.log(own))
    return Output(chosen, logprobs, sum(logprobs), top)


def scores(written):
    tokens = token_logprobs(written, TOKENIZER)
    return box_scores(written, tokens, parse_boxes("".join(token.text for token in tokens)).boxes, TOKENIZER)


def place_of(text, digit):
    """The place of the n-th token that is a digit."""
    return [place for place, token in enumerate(token_texts(ids(text), TOKENIZER)) if token.isdigit()][digit]


@pytest.mark.parametrize("text", ["a red car", TEXT, " [0.1, 0.2]", "çà et là", "猫 🙂 end", ""])
def test_the_texts_of_tokens_are_the_text(text):
    texts = token_texts(ids(text), TOKENIZER)
    assert "".join(texts) == TOKENIZER.decode(ids(text), skip_special_tokens=True)
    assert len(texts) == len(ids(text)) and texts[-1] == "" and not any("\ufffd" in one for one in texts)


def test_confidence_is_the_geometric_mean_of_the_probabilities():
    assert confidence([TokenLogprob("a", math.log(0.5)), TokenLogprob("", math.log(0.125))]) == pytest.approx(0.25)
    assert confidence([]) is None


def test_a_certain_box_scores_one_and_doubt_costs_what_it_would_move():
    assert scores(output(TEXT, {})) == pytest.approx([1.0])
    last = place_of(TEXT, 2)  # the hundredths of x1
    near, far = (scores(output(TEXT, {place: {"9": 0.5}}))[0] for place in (last, place_of(TEXT, 1)))
    assert near == pytest.approx(0.5 + 0.5 * (0.50 - 0.19) / 0.40)
    assert far == pytest.approx(0.5), "x1 = 0.90 is right of x2: no box"


def test_what_is_no_box_counts_nothing_and_places_multiply():
    assert scores(output(TEXT, {0: {"a": 0.25}})) == pytest.approx([0.75])
    both = {place_of(TEXT, 1): {"9": 0.5}, place_of(TEXT, 4): {"9": 0.2}}
    assert scores(output(TEXT, both)) == pytest.approx([0.5 * 0.8])


def test_a_token_that_a_grammar_forced_counts_by_its_own_probability():
    written = output(TEXT, {})
    forced = replace(written, logprobs=[math.log(0.01), *written.logprobs[1:]], top=[[(5, -0.01)], *written.top[1:]])
    assert scores(forced) == pytest.approx([0.01])


def test_each_of_several_boxes_has_its_score():
    text = f"{TEXT} [0.60,0.20,0.90,0.80]"
    found = scores(output(text, {place_of(text, 13): {"8": 0.5}}))  # the tenths of the second box's x1
    assert found == pytest.approx([1.0, 0.5 + 0.5 / 3])


def test_without_log_probabilities_there_is_none(parts, picture):
    model, processor, tagger = parts
    pipeline = LionPipeline(model, processor, tagger, decoder=TransformersDecoder(model, processor))
    answer = pipeline.caption(picture, max_new_tokens=4)
    assert (answer.tokens, answer.confidence) == ((), None)
    assert box_scores(Output(ids(TEXT)), (), parse_boxes(TEXT).boxes, TOKENIZER) == [None]


@pytest.mark.parametrize("settings", [{}, {"num_beams": 1}, {"repetition_penalty": 1.5}])
def test_log_probabilities_are_those_of_the_model(pipeline, picture, settings):
    """Teacher-forced, without penalty: beams and rows alike."""
    answer = pipeline.ask(picture, "what is it?", max_new_tokens=5, **settings)
    look, written = pipeline.look(picture), [token.logprob for token in answer.tokens]
    prompt = answering.prepare(Request(look, Verb.ASK, "what is it?"), pipeline.processor, look.size, look.tags)
    preset = replace(pipeline.decoding[prompt.task], max_new_tokens=5, **settings)
    (generated,) = generate(pipeline.decoder, [prompt], look.evidence.vision, preset)
    with torch.no_grad():
        logits = pipeline.model(vision=look.evidence.vision, **prompt.inputs, labels=torch.tensor([generated])).logits[
            0
        ]
    golden = logits.log_softmax(-1).gather(1, torch.tensor(generated)[:, None])[:, 0]
    assert written == pytest.approx(golden.tolist(), abs=1e-4)
    assert answer.confidence == pytest.approx(math.exp(golden.mean()), rel=1e-3)
    assert "".join(token.text for token in answer.tokens).strip() == answer.text


def test_a_stream_ends_in_an_answer_with_its_confidence(pipeline, picture):
    request = Request(picture, Verb.CAPTION, decoding=DecodingPreset(num_beams=1, max_new_tokens=4))
    stream = pipeline.stream(request)
    with pytest.raises(StopIteration) as end:
        while True:
            next(stream)
    assert end.value.value.confidence == pytest.approx(pipeline.answer([request])[0].confidence, rel=1e-4)


def test_a_located_box_has_a_score(pipeline, picture):
    answer = pipeline.locate(picture, "the car", num_beams=1, box_only=True)
    assert answer.ok and 0 <= answer.boxes[0].score <= 1
    row = answer.to_json()
    assert row["boxes"][0]["score"] == round(answer.boxes[0].score, 4)
    assert row["confidence"] == round(answer.confidence, 4) and row["presence"] is None
    described = pipeline.describe_region(picture, Box(0.1, 0.1, 0.5, 0.5), max_new_tokens=3)
    assert described.to_json()["boxes"][0]["score"] is None, "the box was given, not found"


def test_the_best_candidate_has_its_share(pipeline, picture):
    (answer,) = pipeline.answer([Request(picture, Verb.ASK, "is it red?", candidates=["yes", "no", "a car"])])
    shares = torch.tensor([-one.nll for one in answer.candidates]).softmax(0)
    assert answer.confidence == pytest.approx(float(shares[0]), rel=1e-4)
    assert answering.share(900.0, [900.0, 0.0]) == pytest.approx(0.0)


@pytest.fixture
def presence(pipeline, picture, monkeypatch):
    """Of "the car", by ranking; and a threshold just below or above."""
    order = pipeline.rank(picture, presence_question("the car"), ["yes", "no"])
    nlls = {one.text: one.nll for one in order}
    return math.exp(-nlls["yes"]) / (math.exp(-nlls["yes"]) + math.exp(-nlls["no"]))


def test_what_is_there_is_located_as_without(pipeline, picture, presence, monkeypatch):
    monkeypatch.setattr(answering, "PRESENCE_THRESHOLD", presence - 1e-4)
    plain = pipeline.locate(picture, "the car", num_beams=1, box_only=True)
    asked = pipeline.locate(picture, "the car", if_there=True, num_beams=1, box_only=True)
    assert asked == plain and asked.presence == pytest.approx(presence, rel=1e-4) and plain.presence is None


def test_what_is_not_there_has_no_box_and_is_not_decoded(pipeline, picture, presence, monkeypatch):
    monkeypatch.setattr(answering, "PRESENCE_THRESHOLD", presence + 1e-4)
    monkeypatch.setattr(pipeline.decoder, "submit", lambda *inputs: 1 / 0)
    answer = pipeline.locate(picture, "the car", if_there=True)
    assert (answer.ok, answer.failed, answer.reason, answer.boxes, answer.text) == (False, False, "not there", (), "")
    assert (answer.question, answer.confidence) == ("the car", None)
    assert answer.to_json()["presence"] == round(answer.presence, 4) == round(presence, 4)
    assert list(pipeline.stream(Request(picture, Verb.LOCATE, "the car", if_there=True))) == []


def test_requests_with_and_without_mix(pipeline, picture, monkeypatch):
    monkeypatch.setattr(answering, "PRESENCE_THRESHOLD", 1.1)
    pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=1, max_new_tokens=4))
    requests = [
        Request(picture, Verb.LOCATE, "the car", if_there=True),
        Request(picture, Verb.LOCATE, "the car"),
        Request(picture, Verb.LOCATE, " ", if_there=True),
        Request(picture, Verb.LOCATE, instruction="where is it?", if_there=True),
        Request(picture, Verb.ASK, "is it red?", candidates=["yes", "no"]),
    ]
    answers = pipeline.answer(requests, on_error="row")
    assert [answer.reason == "not there" for answer in answers] == [True, False, False, False, False]
    assert "is empty" in answers[2].reason and "give it as text" in answers[3].reason and not answers[4].failed
    assert [answer.presence is None for answer in answers] == [False, True, True, True, True]


def test_if_there_goes_with_locate_alone(picture):
    with pytest.raises(LionError, match=r"if_there .* ask has none"):
        Request(picture, Verb.ASK, "is it red?", if_there=True)
    with pytest.raises(LionError, match="if_there='yes' must be"):
        Request(picture, Verb.LOCATE, "the car", if_there="yes")


@pytest.mark.parametrize(
    ("phrase", "question"),
    [
        ("the red car", "is there a red car?"),
        ("The apple on the left.", "is there an apple on the left?"),
        ("owl", "is there an owl?"),
        ("an owl", "is there an owl?"),
        ("dogs", "are there any dogs?"),
        ("the dogs near the bus", "are there any dogs near the bus?"),
        ("people", "are there any people?"),
        ("glass", "is there a glass?"),
        ("bus", "is there a bus?"),
        ("two dogs", "are there two dogs?"),
        ("my car", "is there my car?"),
        ("a man with glasses", "is there a man with glasses?"),
        ("  the  car? ", "is there a car?"),
        ("the", "is there a the?"),
        ("theatre", "is there a theatre?"),
    ],
)
def test_the_question_whether_it_is_there(phrase, question):
    assert presence_question(phrase) == question
