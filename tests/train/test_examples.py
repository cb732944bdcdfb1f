"""What the model answered, as rows and as one picture on which true and predicted boxes have their colours."""

import numpy as np
import pytest
from PIL import Image

from lion.boxes import Box
from lion.data.sample import Sample
from lion.pipeline.drawing import COLOURS
from lion.prompts import Task
from lion.train.examples import Example, _shorten, sheet

BOX = Box(0.25, 0.25, 0.5, 0.5)
GREY = np.full((64, 64, 3), 128, np.uint8)


def example(task=Task.REC, answer="[0.60,0.60,0.90,0.90]", image=GREY, questions="rec", **fields):
    sample = {"id": "rec-1", "instruction": "where is the dog?", "answer": "", "meta": {"box": BOX}} | fields
    return Example(questions, Sample(image=image, task=task, **sample), answer)


def colours(picture):
    """The house's first two colours, and whether they are in the picture."""
    there = set(picture.convert("RGB").get_flattened_data())
    return [tuple(bytes.fromhex(colour[1:])) in there for colour in COLOURS[:2]]


def test_a_row_names_question_answer_and_truth():
    assert example(tags=["dog"]).row() == {
        "set": "rec", "id": "rec-1", "asked": "where is the dog?", "tags": ["dog"],
        "answer": "[0.60,0.60,0.90,0.90]", "truth": "[0.250,0.250,0.500,0.500]",
    }  # fmt: skip
    vqa = Example("vqa", Sample("vqa-1", GREY, Task.VQA, "how many?", "two"), "three")
    assert (vqa.row()["truth"], vqa.row()["answer"], vqa.row()["tags"]) == ("two", "three", [])


@pytest.mark.parametrize(
    ("shown", "drawn"),
    [
        (example(), [True, True]),
        (example(answer="no box"), [True, False]),
        (example(answer="[0.9,0.9,0.1,0.1]"), [True, False]),
        (example(Task.REG, "a dog"), [True, False]),
        (example(Task.VQA, "[0.6,0.6,0.9,0.9]", meta={}), [False, False]),
    ],
)
def test_the_true_box_is_drawn_in_one_colour_and_the_models_in_another(shown, drawn):
    assert colours(shown.picture()) == drawn


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (224, 224), (30, 900)])
def test_pictures_of_any_size_share_a_sheet(size):
    several = [example(image=Image.new("RGB", size)), example(questions="held_out/rec", answer="word " * 200)]
    whole = sheet([*several[:1] * 4, *several[1:] * 2])
    assert whole.width >= 4 * 320 and whole.height < 2500 and whole.mode == "P"


def test_of_a_long_dialog_the_end_is_shown():
    short = _shorten("Dialog history: " + "Question: is it? Answer: no " * 20 + "Question: why? Short answer:")
    assert short.startswith("... ") and short.endswith("Question: why? Short answer:") and len(short) <= 164
