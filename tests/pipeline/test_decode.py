"""Decoding: batches of prompts of all kinds, decoders of one's own, and candidates ranked by likelihood."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from PIL import Image

from lion.boxes import Box
from lion.engine.decode import Lane
from lion.errors import LionError
from lion.pipeline import (
    BatchDecoder,
    Candidate,
    DecodingPreset,
    EngineDecoder,
    LionPipeline,
    Request,
    TransformersDecoder,
    Verb,
    prepare,
)
from lion.pipeline.decode import collate
from lion.prompts import Task, instruction

QUESTION = "what color is the car?"
ANSWERS = ["red", "a blue car on the left", "red", "yes", "it is green"]


def test_prompts_are_padded_on_the_right_into_one_batch(parts):
    """Each row of a batch of different lengths and levels holds its prompt alone, and padding the mask leaves out."""
    model, processor, _ = parts
    requests = [
        Request("a.png", Verb.LOCATE, "the car"),
        Request("a.png", Verb.ASK, "what is on the left of the tree?"),
    ]
    prompts = [prepare(request, processor, (9, 9), ["car"] * number) for number, request in enumerate(requests)]
    batch = collate(prompts, processor, model.device)
    assert batch["task_levels"].tolist() == [int(prompt.inputs["task_levels"][0]) for prompt in prompts]
    assert len(set(batch["task_levels"].tolist())) == 2
    tokenizers = {"": processor.tokenizer, "qformer_": processor.qformer_tokenizer}
    for part, tokenizer in tokenizers.items():
        ids, mask = batch[f"{part}input_ids"], batch[f"{part}attention_mask"]
        for row, prompt in enumerate(prompts):
            own = prompt.inputs[f"{part}input_ids"][0]
            assert torch.equal(ids[row, : len(own)], own) and mask[row].tolist() == [1] * len(own) + [0] * (
                ids.shape[1] - len(own)
            )
            assert (ids[row, len(own) :] == tokenizer.pad_token_id).all()
        assert mask.sum(1).unique().numel() == 2


def test_a_decoder_of_ones_own_answers_and_ranks(parts, picture):
    """It gets prompts, visual features with a row for each, a preset."""
    _, processor, _ = parts

    class Echo(BatchDecoder):
        def generate(self, prompts, vision, preset):
            assert len(vision.last_BPV) == len(prompts) and preset == DecodingPreset(num_beams=1)
            return [processor.tokenizer(prompt.request.text)["input_ids"] for prompt in prompts]

        def score(self, prompts, vision):
            assert len(vision.last_BPV) == len(prompts)
            return [[float(len(ids)) for ids in prompt.candidates] for prompt in prompts]

    pipeline = LionPipeline(*parts, decoder=Echo())
    answers = pipeline.ask(picture, ["is it red?", "is it big?"], num_beams=1)
    assert [answer.text for answer in answers] == ["is it red?", "is it big?"]
    assert [one.text for one in pipeline.rank(picture, "is it?", ["long long long", "no"])] == ["no", "long long long"]


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


def test_both_decoders_rank_alike(pipeline, picture):
    other = LionPipeline(
        pipeline.model,
        pipeline.processor,
        pipeline.tagger,
        decoder=TransformersDecoder(pipeline.model, pipeline.processor),
    )
    close(pipeline.rank(picture, QUESTION, ANSWERS), other.rank(picture, QUESTION, ANSWERS))


def test_all_that_is_scored_goes_to_the_decoder_at_once(pipeline, picture, monkeypatch):
    """Candidates of any number, and whether phrases are there."""
    counts = []
    score = EngineDecoder.score

    def counting(self, prompts, vision):
        counts.append([len(prompt.candidates) for prompt in prompts])
        return score(self, prompts, vision)

    requests = [
        Request(picture, Verb.ASK, QUESTION, candidates=["yes", "no"]),
        Request(picture, Verb.LOCATE, "the car", if_there=True, decoding=DecodingPreset(num_beams=1)),
        Request(picture, Verb.ASK, QUESTION, candidates=[str(number) for number in range(100)]),
    ]
    alone = [pipeline.answer([request])[0] for request in requests]
    monkeypatch.setattr(EngineDecoder, "score", counting)
    together = pipeline.answer(requests)
    assert counts == [[2, 2, 100]]
    for one, other in zip(together, alone, strict=True):
        assert one.text == other.text and one.presence == (other.presence and pytest.approx(other.presence, rel=1e-4))
        close(one.candidates, other.candidates)


def test_transformers_pads_few_candidates_by_less_than_as_many(pipeline, picture, monkeypatch):
    """Prompts with two or three go together; those with a hundred apart."""
    other = LionPipeline(
        pipeline.model,
        pipeline.processor,
        pipeline.tagger,
        decoder=TransformersDecoder(pipeline.model, pipeline.processor),
    )
    counts = []
    score = pipeline.model.score_candidates

    def counting(candidates, **inputs):
        counts.append([len(own) for own in candidates])
        return score(candidates=candidates, **inputs)

    monkeypatch.setattr(pipeline.model, "score_candidates", counting)
    own = [["yes", "no"], [str(number) for number in range(100)], ["a", "b", "c"]]
    ranked = other.rank(picture, QUESTION, own)
    assert sorted(counts) == [[2, 3], [100]]
    for row, ours in zip(ranked, pipeline.rank(picture, QUESTION, own), strict=True):
        close(row, ours)


def test_a_look_is_used_again(pipeline, picture, monkeypatch):
    look = pipeline.look(picture)
    monkeypatch.setattr(pipeline.model, "look", None)
    monkeypatch.setattr(pipeline, "tagger", None)
    assert len(pipeline.rank(look, [QUESTION, "is it red?"], ANSWERS)) == 2


def test_long_candidates_are_not_shortened(pipeline, picture):
    pipeline.processor.max_answer_tokens, kept = 8, pipeline.processor.max_answer_tokens
    try:
        long = "a red car on the left of the tree near the house " * 4
        order = pipeline.rank(picture, QUESTION, [long, long + "ball"])
    finally:
        pipeline.processor.max_answer_tokens = kept
    assert order[0].nll != order[1].nll and all(one.tokens > 8 for one in order)


@pytest.mark.parametrize(
    "settings", [{"num_beams": 2}, {"num_beams": 1}, {"num_beams": 1, "temperature": 1.0}, {"box_only": True}]
)
def test_scores_that_are_no_numbers_are_an_error_of_that_request_alone(pipeline, picture, monkeypatch, settings):
    """As in float16, whose range the language model leaves."""
    step = Lane.step

    def overflowing(self, tokens, parents):
        both, logits = len(self) == 2, step(self, tokens, parents).clone()
        logits[: self.rows] += torch.nan if both else 0  # of the first prompt, as long as it is there
        return logits

    monkeypatch.setattr(Lane, "step", overflowing)
    preset = replace(DecodingPreset(max_new_tokens=8), **settings)
    asked = [Request(picture, Verb.LOCATE, text, decoding=preset) for text in ("a", "b")]
    first, second = pipeline.answer(asked, on_error="row")
    assert first.failed and first.reason.startswith("the model's scores are NaN; load it in float32")
    assert not second.failed


def test_what_rank_does_not_read_is_refused_with_the_way_there_is(pipeline, picture):
    with pytest.raises(LionError, match=r"a request's: answer\(\[Request"):
        pipeline.rank(picture, "what is it?", ["a", "b"], adapters="shop")
    with pytest.raises(LionError, match="candidates are ranked and nothing is decoded"):
        pipeline.rank(picture, "what is it?", ["a", "b"], num_beams=1)


def test_an_empty_question_is_an_error(pipeline, picture):
    with pytest.raises(LionError, match="question is empty"):
        pipeline.rank(picture, " ", ANSWERS)


@pytest.mark.parametrize("settings", [{}, {"repetition_penalty": 1.5}, {"max_new_tokens": 3}])
@pytest.mark.parametrize("verb", [Verb.CAPTION, Verb.ASK, Verb.LOCATE])
def test_a_stream_has_the_ids_of_generate_with_one_beam(pipeline, picture, verb, settings):
    preset = DecodingPreset(**{"num_beams": 1, "max_new_tokens": 12, **settings})
    request = Request(picture, verb, None if verb is Verb.CAPTION else "the red car", decoding=preset)
    (whole,) = pipeline.answer([request])
    stream = pipeline.stream(replace(request, decoding=replace(preset, num_beams=5)))
    found = []
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            assert end.value == whole and "".join(found) == whole.text
            break


def test_a_stream_of_one_box_is_that_box(pipeline, picture):
    request = Request(picture, Verb.LOCATE, "the car", decoding=DecodingPreset(num_beams=1, box_only=True))
    (whole,) = pipeline.answer([request])
    assert "".join(pipeline.stream(request)) == whole.text and whole.ok


def test_a_stream_holds_nothing_of_a_text_that_ends_it(pipeline, picture):
    """A stop of several words is known as one only when its last word is there."""
    settings = {"num_beams": 1, "max_new_tokens": 12}
    request = Request(picture, Verb.CAPTION, decoding=DecodingPreset(**settings))
    whole = pipeline.answer([request])[0].text
    places = [place for place, character in enumerate(whole) if character == " "]
    assert places
    for place in places:
        stop = whole[max(place - 2, 0) : place + 2]
        ended = replace(request, decoding=DecodingPreset(**settings, stop=(stop,)))
        assert "".join(pipeline.stream(ended)) == pipeline.answer([ended])[0].text, stop


def test_other_calls_are_answered_while_a_stream_is_read_and_one_may_be_left(pipeline, picture):
    settings = {"num_beams": 1, "max_new_tokens": 12}
    request = Request(picture, Verb.ASK, "what is it?", decoding=DecodingPreset(**settings))
    alone, other = pipeline.answer([request])[0].text, pipeline.caption(picture, **settings)
    stream = pipeline.stream(request)
    first = next(stream)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(pipeline.caption, picture, **settings).result(timeout=60) == other
    assert first + "".join(stream) == alone
    left = pipeline.stream(request)
    next(left)
    del left
    assert pipeline.caption(picture, **settings) == other


def test_tags_and_ranked_candidates_come_in_one_piece_and_mistakes_with_the_first(pipeline, picture):
    assert list(pipeline.stream(Request(picture, Verb.TAG))) == ["car, tree, sun"]
    request = Request(picture, Verb.ASK, "what is it?", candidates=["a car"])
    assert list(pipeline.stream(request)) == ["a car"]
    with pytest.raises(LionError, match="empty"):
        next(pipeline.stream(Request(picture, Verb.ASK, " ")))
