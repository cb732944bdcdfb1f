"""Preparing: words, tags and token ids of a request, with the processor alone; what does not fit, and mistakes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lion.boxes import Box, unit_box
from lion.errors import LionError
from lion.pipeline import DecodingPreset, Request, Verb
from lion.pipeline.prepare import candidate_ids, prepare
from lion.prompts import Task, instruction
from tests.pipeline import tiny

pytestmark = pytest.mark.usefixtures("short_answers")
PROCESSOR = tiny.processor()


def test_inputs_are_those_of_the_processor():
    """Instruction, tags and task level reach the model's inputs as the processor makes them."""
    request = Request("a.png", Verb.LOCATE, "the red car", candidates=["[0.1,0.2,0.3,0.4]", "no"])
    prompt = prepare(request, PROCESSOR, (90, 60), ["car", "tree"])
    assert prompt.task is Task.REC and prompt.tags == ("car", "tree") and prompt.note is None
    golden = PROCESSOR(text=[prompt.instruction], tags=[["car", "tree"]], tasks=[Task.REC])
    assert prompt.inputs.keys() == golden.keys()
    assert all(torch.equal(prompt.inputs[name], golden[name]) for name in golden)
    assert prompt.candidates == PROCESSOR.tokenizer(list(request.candidates))["input_ids"]


def test_tags_found_are_for_requests_that_give_none():
    request = Request("a.png", Verb.CAPTION)
    tags = [
        prepare(replace(request, tags=given), PROCESSOR, (9, 9), found).tags
        for given, found in ((None, ("car",)), (["dog"], ("car",)), ([], ("car",)), (None, ()), (None, None))
    ]
    assert tags == [("car",), ("dog",), None, (), None]


def test_no_tag_prompt_and_an_empty_one_are_two_wishes():
    """The ids are the processor's: without a tag prompt, and with the released one whose list is empty."""
    none, empty = (
        prepare(Request("a.png", Verb.CAPTION, tags=tags), PROCESSOR, (9, 9), ("car",)) for tags in ([], "empty")
    )
    assert (none.tags, empty.tags) == (None, ())
    for prompt, tags in ((none, None), (empty, [[]])):
        golden = PROCESSOR(text=[instruction(Task.CAPTION)], tags=tags)["input_ids"]
        assert torch.equal(prompt.inputs["input_ids"], golden)
    assert "following tags: []. Please" in PROCESSOR.tokenizer.decode(empty.inputs["input_ids"][0])


def test_more_tags_than_fit_are_cut_to_the_limit_of_the_request():
    request = Request("a.png", Verb.CAPTION, tags=["car"] * 200)
    lengths = []
    for limit in (None, 48):
        prompt = prepare(replace(request, max_prompt_tokens=limit), PROCESSOR, (9, 9))
        lengths.append(prompt.inputs["input_ids"].shape[1])
        assert prompt.note == f"kept {len(prompt.tags)} of 200 tags: the prompt's limit is {limit or tiny.LIMIT} tokens"
    assert tiny.LIMIT - 8 < lengths[0] <= tiny.LIMIT and 40 < lengths[1] <= 48


@pytest.mark.parametrize("space", ["unit", "pixel"])
def test_a_region_in_either_space_is_one_instruction(space):
    box = {"unit": Box(0.1, 0.2, 0.5, 0.8), "pixel": Box(9, 12, 45, 48, "pixel")}[space]
    assert unit_box(box, (90, 60)).xyxy() == pytest.approx((0.1, 0.2, 0.5, 0.8))
    prompt = prepare(Request("a.png", Verb.DESCRIBE, box=box), PROCESSOR, (90, 60))
    assert "[0.10,0.20,0.50,0.80]" in prompt.instruction and prompt.task is Task.REG


def test_candidates_end_and_are_not_shortened():
    rows = candidate_ids(PROCESSOR, ["yes", "a red car " * 100])
    end = PROCESSOR.tokenizer.eos_token_id
    assert all(row[-1] == end and end not in row[:-1] for row in rows)
    assert PROCESSOR.tokenizer.decode(rows[1], skip_special_tokens=True) == "a red car " * 100


def test_tags_reach_the_model(pipeline, picture):
    prompts = [
        prepare(
            Request(picture, Verb.CAPTION, tags=tags), pipeline.processor, picture.size, pipeline.look(picture).tags
        )
        for tags in (None, [], ["dog"])
    ]
    assert [prompt.tags for prompt in prompts] == [("car", "tree", "sun"), None, ("dog",)]


def test_tags_in_one_text_are_refused(pipeline, picture):
    with pytest.raises(LionError, match="a list of words"):
        pipeline.caption(picture, tags="boat, sea")


def test_tags_that_are_no_words_are_an_error(pipeline, picture):
    with pytest.raises(LionError, match="list of words"):
        pipeline.ask([picture, picture], "what is it?", tags=[["cat"], ["dog"]])


@pytest.mark.parametrize("verb", [Verb.ASK, Verb.LOCATE, Verb.CHAT])
@pytest.mark.parametrize(("text", "message"), [("", "is empty"), (" \n", "is empty"), ("word " * 10_000, "limit is")])
def test_empty_and_endless_questions(pipeline, picture, verb, text, message):
    with pytest.raises(LionError, match=message):
        pipeline.answer([Request(picture, verb, text)])


@settings(max_examples=40)
@given(rounds=st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=12))
def test_a_chat_keeps_as_many_rounds_as_fit(rounds):
    tags = ["car"] * 200  # they get half at most
    request = Request("a.png", Verb.CHAT, "what is it?", history=rounds, tags=tags)
    prompt = prepare(request, PROCESSOR, (9, 9))
    words, note = prompt.instruction, prompt.note if (prompt.note or "").startswith("dropped") else None
    PROCESSOR(text=words.replace("<extra_id_0>", ""), tags=[tags])  # raises if it does not fit
    kept = len(rounds) - int(note.split()[2]) if note else len(rounds)
    if kept < len(rounds):  # one more does not, beside the tags that may fill half of the prompt
        more = instruction(Task.DIALOG, question="what is it?", history=rounds[-kept - 1 :])
        few = PROCESSOR.fitting_tags("", tags, tiny.LIMIT // 2)
        assert max(PROCESSOR.prompt_length(more, few), PROCESSOR.instruction_length(more)) > tiny.LIMIT


def test_a_long_chat_drops_its_oldest_rounds_and_says_so(pipeline, picture):
    history = [(f"is thing {index} red?", "yes it is") for index in range(40)]
    answer = pipeline.chat(picture, "what is it?", history)
    assert answer.ok and answer.note is not None
    dropped = int(answer.note.split()[2])
    assert 0 < dropped < 40
    assert answer.note == f"dropped the {dropped} oldest of 40 rounds: the prompt's limit is {tiny.LIMIT} tokens"
    assert pipeline.chat(picture, "what is it?", history[dropped:]).text == answer.text


def test_a_long_chat_keeps_its_few_tags_and_many_tags_keep_the_chat(pipeline, picture):
    history = [(f"is thing {index} red?", "yes it is") for index in range(40)]
    few = pipeline.chat(picture, "what is it?", history, tags=["car", "tree"])
    many = pipeline.chat(picture, "what is it?", history[:2], tags=["car"] * 200)
    assert few.tags == ("car", "tree") and few.note.startswith("dropped the ") and "tags" not in few.note
    assert 2 < len(many.tags) < 200 and many.note.startswith(f"kept {len(many.tags)} of 200 tags")


def test_a_box_too_thin_for_the_models_decimals_is_noted(pipeline, picture):
    thin, wide = (pipeline.describe_region(picture, Box(0.501, 0.3, x2, 0.6)) for x2 in (0.504, 0.524))
    assert thin.note == "at the 2 decimals that the model reads, the box 0.501,0.3,0.504,0.6 has no area"
    assert wide.note is None


@pytest.mark.parametrize(
    "box",
    [
        Box(0.5, 0.5, 1.01, 0.9),
        Box(-0.1, 0, 1, 1),
        Box(0, 0, 91, 60, "pixel"),
        Box(0.3, 0.3, 0.3, 0.9),
        Box(0.3, 0.3, 0.3 + 1e-9, 0.9),
        Box(9, 9, 9 + 1e-8, 20, "pixel"),
    ],
)
def test_a_region_must_lie_in_the_picture(pipeline, picture, box):
    with pytest.raises(LionError, match=r"reaches outside|no area"):
        pipeline.describe_region(picture, box)


def test_a_box_and_a_history_of_another_kind_are_refused(pipeline, picture):
    for box in ((0.1, 0.2, 0.5, 0.9), [0.1, 0.2, 0.5, 0.9], [Box(0, 0, 1, 1), (0.1, 0.2, 0.5, 0.9)], "0.1,0.2,0.5,0.9"):
        with pytest.raises(LionError, match=r"a box is lion\.Box\(x1, y1, x2, y2\), not .*0\.9"):
            pipeline.describe_region(picture, box)
    for question in (3, ["what is it?", 3]):
        with pytest.raises(LionError, match="a question or phrase is text, not 3"):
            pipeline.ask(picture, question)
    for history in ([("only a question",)], ["no", "ab"], [("is it?", 3)]):
        with pytest.raises(LionError, match=r"a history is a list of rounds \(question, answer\)"):
            pipeline.chat(picture, "what is it?", history)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "no candidates"),
        (["red", ""], "candidate 1 of 2 is empty"),
        (["  ", "red"], "candidate 0 of 2 is empty"),
        ("red", "list of answers, not 'red'"),
        ([["red"], []], "no candidates"),
    ],
)
def test_candidates_that_cannot_be_ranked_are_one_clear_line(pipeline, picture, candidates, message):
    with pytest.raises(LionError, match=message) as caught:
        pipeline.rank(picture, "is it red?", candidates)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("verb", "fields", "words"),
    [
        ("caption", {"text": "what is it?"}, "caption reads no text, which is for ask, chat, locate"),
        ("describe", {"text": "the car", "box": Box(0, 0, 1, 1)}, "describe reads no text"),
        ("tag", {"text": "the car"}, "tag reads no text"),
        ("caption", {"box": Box(0, 0, 1, 1)}, "caption reads no box, which is for describe"),
        ("locate", {"text": "the car", "box": Box(0, 0, 1, 1)}, "locate reads no box"),
        ("ask", {"text": "is it?", "history": [("what?", "a car")]}, "ask reads no history, which is for chat"),
        ("ask", {"text": "is it?", "candidates": ["a"], "decoding": DecodingPreset()}, "candidates are ranked"),
        ("tag", {"candidates": ["a"]}, "ranks no candidates"),
    ],
)
def test_what_a_verb_would_not_read_is_refused(verb, fields, words):
    with pytest.raises(LionError, match=words):
        Request("a.png", verb, **fields)


def test_what_stands_empty_or_beside_an_instruction_is_not_refused():
    assert Request("a.png", "caption", text="", history=[]).text == ""
    assert Request("a.png", "caption", text="x", history=[("a", "b")], instruction="say it").text == "x"
    located = Request("a.png", "locate", "the car", decoding=DecodingPreset(num_beams=1), if_there=True)
    assert located.presence().candidates == ("yes", "no") and located.presence().decoding is None
