"""The processor: budgets, the soft token, levels, boxes."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor

from lion.errors import LionError
from lion.model import LionConfig, LionImageProcessor, LionProcessor, TaskLevel
from lion.prompts import SOFT_TOKEN, Task, instruction
from lion.train.presets import world_processor

PICTURE = Image.effect_noise((40, 60), 80)
QUESTION = "Please locate the red cat in the image."


@pytest.fixture(scope="module")
def processor():
    return world_processor("tiny")


@given(count=st.integers(0, 120))
def test_tags_are_budgeted_and_the_soft_token_never_cut(processor, count):
    batch = processor(text=[QUESTION], tags=[["umbrella"] * count])
    ids = batch["input_ids"][0]
    soft = processor.tokenizer.convert_tokens_to_ids(SOFT_TOKEN)
    assert (ids == soft).sum() == 1
    assert len(ids) <= processor.max_text_tokens
    assert processor.tokenizer.decode(ids, skip_special_tokens=True).endswith(QUESTION.lower())


def test_rows_with_and_without_tags_share_a_batch(processor):
    batch = processor(text=[QUESTION] * 2, tags=[["cat"], None])
    soft = processor.tokenizer.convert_tokens_to_ids(SOFT_TOKEN)
    assert (batch["input_ids"] == soft).sum(1).tolist() == [1, 0]


def test_the_qformer_reads_the_bare_instruction(processor):
    batch = processor(text=[QUESTION], tags=[["cat", "umbrella"]])
    assert "umbrella" not in processor.qformer_tokenizer.decode(batch["qformer_input_ids"][0])


def test_each_row_has_its_own_level(processor):
    batch = processor(text=[QUESTION] * 5, tasks=list(Task))
    levels = {Task.REC: TaskLevel.REGION, Task.REG: TaskLevel.REGION}
    assert batch["task_levels"].tolist() == [levels.get(task, TaskLevel.IMAGE) for task in Task]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ["  "]}, "empty"),
        ({"text": ["red " * 10_000]}, "the limit is 128"),
        ({"text": [f"what is {SOFT_TOKEN}?"]}, "reserved"),
        ({"text": ["what?"], "tags": [[SOFT_TOKEN]]}, "reserved"),
        ({"text": ["what?"], "tags": []}, "0 tag lists for 1"),
        ({"text": ["what?"], "tasks": [Task.VQA, Task.VQA]}, "2 tasks for 1"),
        ({"text": "what?", "answers": ["a", "b"]}, "2 answers for 1"),
        ({}, "nothing to process"),
        ({"images": []}, "there is no picture"),
        ({"text": []}, "text is one text or a list of them"),
        ({"text": [["what", "?"]]}, "text is one text or a list of them"),
        ({"text": 3}, "text is one text"),
        ({"answers": []}, "answers is one text"),
        ({"text": "what?", "tasks": "foo"}, "'foo' is no task; write caption, vqa, dialog, rec, reg"),
        ({"text": "what?", "tasks": ["foo"]}, "'foo' is no task"),
        ({"text": "what?", "tasks": []}, "0 tasks for 1"),
        ({"images": PICTURE, "tasks": "vqa"}, "tags and tasks belong to a text"),
        ({"images": PICTURE, "tags": [["cat"]]}, "tags and tasks belong to a text"),
        ({"images": [PICTURE, PICTURE], "text": "what?"}, "2 images for 1"),
        ({"images": [[PICTURE, PICTURE]], "text": "what?"}, "row 0 has 2 pictures"),
        ({"images": [[PICTURE, PICTURE], []], "text": ["what?", "what?"]}, "row 0 has 2 pictures"),
        ({"text": "what?", "paddign": True}, "no keyword 'paddign'"),
        ({"text": "what?", "padding": "long"}, "padding"),
        ({"text": "what?", "truncation": "only_second"}, "no use for truncation='only_second'"),
        ({"text": "what?", "padding_side": "left"}, "no use for padding_side='left'"),
        ({"text": "what?", "add_special_tokens": False}, "no use for add_special_tokens=False"),
        ({"text": "what?", "return_offsets_mapping": True}, "no use for return_offsets_mapping=True"),
        ({"text": "what?", "max_length": 0}, "max_length=0 must be at least 1"),
        ({"text": "what?", "return_tensors": "tf"}, "return_tensors"),
        ({"text": "what?", "videos": [1]}, "leave videos out"),
        ({"text": "what?", "padding": True, "text_kwargs": {"padding": False}}, "passed two times"),
        ({"text": ["what?", "what is on the table?"], "padding": False}, "leave padding=False out"),
        ({"images": PICTURE, "do_pad": True}, "no use for do_pad=True"),
        ({"images": PICTURE, "images_kwargs": {"do_normalise": False}}, "do_normalise"),
    ],
)
def test_mistakes_are_one_line(processor, arguments, message):
    with pytest.raises(LionError, match=message) as caught:
        processor(**arguments)
    assert "\n" not in str(caught.value)


def test_one_answer_is_one_row_and_callers_of_transformers_are_at_home(processor):
    batch = processor(text=QUESTION, tasks=Task.REC, answers="red", return_tensors="pt", padding=True)
    assert batch["labels"].shape[0] == 1
    assert processor.tokenizer.decode(batch["labels"][0], skip_special_tokens=True) == "red"


def test_truncation_keeps_the_end_and_the_soft_token(processor):
    text = "red " * 500 + "cat?"
    batch = processor(text=[text], tags=[["cat"]], truncation=True)
    words = processor.tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True)
    assert batch["input_ids"].shape[1] == processor.max_text_tokens and words.endswith("cat?")
    assert batch["qformer_input_ids"].shape[1] <= processor.max_text_tokens
    soft = processor.tokenizer.convert_tokens_to_ids(SOFT_TOKEN)
    assert (batch["input_ids"] == soft).sum() == 1


def test_round_trip(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    LionConfig.tiny().save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(again, LionProcessor)
    assert (again.box_decimals, again.max_text_tokens, again.max_answer_tokens) == (2, 128, 96)
    assert again.image_processor.image_size == processor.image_processor.image_size
    picture = Image.effect_noise((40, 60), 80)
    ours, theirs = (each(images=[picture], text=[QUESTION], tags=[["cat"]]) for each in (processor, again))
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_grounding_never_invents_a_box(processor):
    texts = ["[0.10,0.20,0.30,0.40]", "a cat", "[0.9,0.9,0.1,0.1]"]
    good, none, bad = processor.post_process_grounding(texts, [(100, 200)] * 3)
    torch.testing.assert_close(good["boxes"], torch.tensor([[20.0, 20.0, 60.0, 40.0]]))
    assert good["ok"] and not none["ok"] and not bad["ok"]
    assert len(none["boxes"]) == len(bad["boxes"]) == 0 and bad["reason"]


TWO = ["is there a cat?", "is there a red cat beside the umbrella?"]


@pytest.mark.parametrize(
    "keywords",
    [
        {"max_length": 20, "truncation": True},
        {"max_length": 20},
        {"padding": "longest"},
        {"padding": True, "truncation": "longest_first"},
        {"truncation": False},
        {"truncation": None, "padding": None},
        {"text_kwargs": {"padding": True}},
        {"images_kwargs": {}},
        {"common_kwargs": {"return_tensors": "pt"}},
        {"add_special_tokens": True, "return_attention_mask": True, "return_token_type_ids": False, "stride": 0},
        {"padding_side": "right"},
        {"audio": None, "videos": None},
        {"do_normalize": True},
    ],
)
def test_keywords_that_ask_for_the_usual_change_nothing(processor, keywords):
    plain = processor(images=[PICTURE] * 2, text=TWO, tasks="vqa")
    asked = processor(images=[PICTURE] * 2, text=TWO, tasks="vqa", **keywords)
    assert plain.keys() == asked.keys() and all(torch.equal(plain[name], asked[name]) for name in plain)


@pytest.mark.parametrize("tags", [None, [["cat"] * 30]])
def test_the_settings_of_a_request_are_those_that_transformers_merges(processor, tags):
    short, merged = (
        processor(text=TWO[:1], tags=tags, tasks="vqa", **keywords)
        for keywords in ({"max_length": 40}, {"text_kwargs": {"max_length": 40, "pad_to_multiple_of": 1}})
    )
    assert short.keys() == merged.keys() and short["input_ids"].shape[1] <= 40
    assert all(torch.equal(short[name], merged[name]) and short[name].dtype == merged[name].dtype for name in short)


@pytest.mark.parametrize("nested", [False, True])
def test_keywords_act_flat_and_nested(processor, nested):
    def call(images=None, **text):
        flat = {"text_kwargs": text, "images_kwargs": images} if nested else {**text, **images}
        return processor(images=[PICTURE] * 2, text=TWO, **flat)

    batch = call(padding="max_length", max_length=30, images={"do_normalize": False})
    assert batch["input_ids"].shape == batch["qformer_input_ids"].shape == batch["attention_mask"].shape == (2, 30)
    assert batch["pixel_values"].min() >= 0 and batch["pixel_values"].max() <= 1
    short = call(truncation=True, max_length=6, images={"size": 28})
    assert short["input_ids"].shape == short["qformer_input_ids"].shape == (2, 6)
    assert short["pixel_values"].shape == (2, 3, 28, 28)
    assert short["qformer_input_ids"][:, 0].tolist() == [processor.qformer_tokenizer.cls_token_id] * 2
    assert short["qformer_input_ids"][1, -1] == processor.qformer_tokenizer.sep_token_id
    assert call(pad_to_multiple_of=16, images={})["input_ids"].shape[1] % 16 == 0


@pytest.mark.parametrize(("kind", "type_"), [("pt", torch.Tensor), ("np", np.ndarray), (None, list)])
def test_tensors_are_of_the_kind_asked_for(processor, kind, type_):
    plain = processor(images=PICTURE, text=QUESTION, answers="red")
    batch = processor(images=PICTURE, text=QUESTION, answers="red", return_tensors=kind)
    for name, value in batch.items():
        assert type(value) is type_, name
        assert torch.equal(torch.as_tensor(np.asarray(value)), plain[name]), name


def test_rows_without_padding_are_lists(processor):
    batch = processor(text=TWO, padding=False, return_tensors=None)
    assert [len(row) for row in batch["input_ids"]] == [len(row) for row in batch["attention_mask"]]
    assert len(batch["input_ids"][0]) < len(batch["input_ids"][1])


def test_the_level_is_that_of_the_task_named_else_of_vqa(processor):
    assert processor(text=TWO)["task_levels"].tolist() == [TaskLevel.IMAGE] * 2
    assert processor(text=TWO, tasks="rec")["task_levels"].tolist() == [TaskLevel.REGION] * 2
    assert processor(text=TWO, tasks=["rec", "vqa"])["task_levels"].tolist() == [TaskLevel.REGION, TaskLevel.IMAGE]


def test_pictures_may_be_arrays_tensors_and_rows_of_one(processor):
    golden = processor(images=[PICTURE] * 2, text=TWO)["pixel_values"]
    rgb = np.asarray(PICTURE.convert("RGB"))
    for images in ([rgb] * 2, np.stack([rgb] * 2), torch.from_numpy(np.stack([rgb] * 2)), [[PICTURE], [rgb]]):
        assert torch.equal(processor(images=images, text=TWO)["pixel_values"], golden)


def test_no_call_changes_a_later_one_or_what_is_saved(tmp_path):
    processor, fresh = world_processor("tiny"), world_processor("tiny")
    plain = processor(text=TWO, answers=["red"] * 2)
    processor(text=["red " * 200 + "cat?"], answers=["red " * 200], truncation=True, max_length=9, padding="max_length")
    for tokenizer in (processor.tokenizer, processor.qformer_tokenizer):
        tokenizer(TWO, truncation=True, max_length=3, padding="max_length")
    again = processor(text=TWO, answers=["red"] * 2)
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    processor.save_pretrained(tmp_path / "used")
    fresh.save_pretrained(tmp_path / "fresh")
    files = [path.relative_to(tmp_path / "used") for path in (tmp_path / "used").rglob("*") if path.is_file()]
    assert {"chat_template.jinja", "processor_config.json", "tokenizer.json"} <= {str(path) for path in files}
    for path in files:
        assert (tmp_path / "used" / path).read_text() == (tmp_path / "fresh" / path).read_text(), path
    assert json.loads((tmp_path / "used/tokenizer.json").read_text())["truncation"] is None


def test_a_tokenizer_file_that_tells_of_truncation_changes_nothing(tmp_path):
    processor = world_processor("tiny")
    processor.save_pretrained(tmp_path)
    processor.tokenizer(TWO, truncation=True, max_length=3, padding=True)
    processor.tokenizer.save_pretrained(tmp_path)  # as checkpoints of earlier versions have it
    again = LionProcessor.from_pretrained(tmp_path)
    assert again.tokenizer.init_kwargs["max_length"] == 3
    assert torch.equal(again(text=TWO)["input_ids"], processor(text=TWO)["input_ids"])


def test_long_answers_lose_their_end_but_not_the_last_token(processor):
    ids = processor(answers=["red " * 300, "cat"])["labels"]
    assert ids.shape == (2, processor.max_answer_tokens)
    assert ids[0, -1] == processor.tokenizer.eos_token_id and ids[1, -1] == -100


def test_image_options_are_saved_and_loaded(processor, tmp_path):
    own = LionProcessor(LionImageProcessor(56, do_normalize=False), processor.tokenizer, processor.qformer_tokenizer)
    own.save_pretrained(tmp_path)
    again = LionProcessor.from_pretrained(tmp_path)
    assert torch.equal(again(images=PICTURE)["pixel_values"], own(images=PICTURE)["pixel_values"])
    assert again(images=PICTURE)["pixel_values"].min() >= 0


def user(*content):
    return {"role": "user", "content": list(content) if len(content) > 1 else content[0]}


def text(words):
    return {"type": "text", "text": words}


def test_a_chat_is_worded_as_a_dialog(processor):
    seen = {"type": "image", "image": PICTURE}
    assert processor.apply_chat_template([user(seen, text("what is  it?"))]) == "what is it?"
    rounds = [("what is it?", "a 100% red cat"), ("is it big?", "no")]
    chat = [user(seen, text("what is it?"))]
    for question, answer in zip(["is it big?", "where is it?"], ["a 100% red cat", "no"], strict=True):
        chat += [{"role": "assistant", "content": [text(answer)]}, user(question)]
    worded = instruction(Task.DIALOG, question="where is it?", history=rounds)
    assert processor.apply_chat_template(chat) == worded
    batch = processor.apply_chat_template(chat, tokenize=True, return_dict=True)
    golden = processor(images=PICTURE, text=worded, tasks="dialog")
    assert batch.keys() == golden.keys() and all(torch.equal(batch[name], golden[name]) for name in golden)
    two = processor.apply_chat_template(
        [chat, [user(seen, text("a short image caption."))]],
        tokenize=True,
        return_dict=True,
        processor_kwargs={"tasks": ["dialog", "rec"]},
    )
    assert two["pixel_values"].shape[0] == 2 and two["task_levels"].tolist() == [TaskLevel.IMAGE, TaskLevel.REGION]


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ([user("what?"), user("what?")], "in turn"),
        ([{"role": "system", "content": "be brief"}, user("what?")], "in turn"),
        ([user("what?"), {"role": "assistant", "content": "a cat"}], "the last message"),
    ],
)
def test_a_chat_that_is_none_is_refused(processor, chat, message):
    with pytest.raises(Exception, match=message):
        processor.apply_chat_template(chat)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Please locate the kite in the image.", True),
        ("give me its COORDINATES", True),
        ("what is in [0.10, 0.20,0.30,0.40]?", True),
        ("where is the located kite?", False),
        ("which [red] thing, 1 or 2?", False),
    ],
)
def test_a_text_about_places_without_its_task_is_told_of(processor, text, told):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        processor(text=["what?", text])
        given = len(caught)
        processor(text=["what?", text], tasks="vqa")
    assert len(caught) == given == told
    assert not told or 'give tasks="rec" to locate' in str(caught[0].message)
