"""The processor: budgets, the soft token, levels, boxes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor

from lion.errors import LionError
from lion.model import LionConfig, LionProcessor, TaskLevel
from lion.prompts import SOFT_TOKEN, Task
from lion.train.presets import world_processor

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
        ({"text": "what?", "return_tensors": "np"}, "leave them out"),
        ({"images": np.zeros((4, 4, 3), dtype=np.uint8)}, "PIL images"),
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
    batch = processor(text=[text], tags=[["cat"]], too_long="truncate")
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
