"""The prompts are frozen to the letter: ``python tests/test_prompts.py`` rewrites the snapshot, on purpose only."""

import json
import re
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.boxes import Box
from lion.errors import LionError
from lion.prompts import (
    BENCHMARK_PROMPTS,
    HELD_OUT_INSTRUCTIONS,
    INSTRUCTIONS,
    SOFT_TOKEN,
    Task,
    benchmark_prompt,
    instruction,
    tag_prompt,
    tag_words,
    template_texts,
)

SNAPSHOT = Path(__file__).parent / "golden" / "prompts.json"
BOX = Box(0.44, 0.06, 0.65, 0.367)
SLOTS = {
    Task.CAPTION: {},
    Task.VQA: {"question": "What color is the umbrella?"},
    Task.DIALOG: {"question": "Is it red?"},
    Task.REC: {"expression": "the red car near the tall building"},
    Task.REG: {"box": BOX},
}
BENCHMARK_SLOTS = {
    "question": "Is it red?",
    "options": "(a) yes (b) no",
    "caption": "a car by a house",
    "expression": "the red car",
    "box": "[0.440,0.060,0.650,0.367]",
}
HISTORY = [("Is there a dog?", "yes"), ("Where is it?", "left of the tree")]


@pytest.mark.parametrize("tags", [[""], ["dog", " "], ["\n"]])
def test_a_blank_tag_is_an_error(tags):
    with pytest.raises(LionError, match="is blank; leave it out"):
        tag_prompt(tag_words(tags))


def every_prompt() -> dict[str, object]:
    return {
        "tag_prompt": tag_prompt(["dog", "round table"]),
        "tag_prompt_empty": tag_prompt([]),
        "dialog": instruction(Task.DIALOG, question="Is it red?", history=HISTORY),
        "instructions": {
            task: [instruction(task, template=i, **SLOTS[task]) for i, _ in enumerate(INSTRUCTIONS[task])]
            for task in Task
        },
        "held_out": {
            task: [instruction(task, template=i, held_out=True, **SLOTS[task]) for i, _ in enumerate(wordings)]
            for task, wordings in HELD_OUT_INSTRUCTIONS.items()
        },
        "benchmarks": {name: benchmark_prompt(name, BENCHMARK_SLOTS, HISTORY) for name in BENCHMARK_PROMPTS},
    }


def words(texts) -> set[str]:
    return {word for text in texts for word in re.findall(r"\w+|[^\w\s]", re.sub(r"\{\w+\}", " ", text))}


def test_snapshot():
    assert every_prompt() == json.loads(SNAPSHOT.read_text())


def test_released_strings():
    """The strings the golden numbers of the released code were made with."""
    assert tag_prompt(["airport", "dog"]) + instruction(Task.CAPTION) == (
        "According to <extra_id_0>, you are allowed to use or partially use the following tags: [airport, dog]. "
        "Please describe the image using a single short sentence."
    )
    assert instruction(Task.REC, expression="the red car near the tall building") == (
        "In the image, can you locate the red car near the tall building and let me know its coordinates?"
    )
    assert instruction(Task.VQA, question="What is it?") == (
        "Based on the image, respond to this question with a short answer: What is it?"
    )


def test_box_decimals():
    assert "[0.44,0.06,0.65,0.37]" in instruction(Task.REG, box=BOX, decimals=2)


def test_every_task_has_wordings_and_held_out_ones_stay_apart():
    for task in Task:
        assert 3 <= len(INSTRUCTIONS[task]) <= 5
        assert 1 <= len(HELD_OUT_INSTRUCTIONS[task]) <= 2
        assert not set(INSTRUCTIONS[task]) & set(HELD_OUT_INSTRUCTIONS[task])
        assert words(HELD_OUT_INSTRUCTIONS[task]) <= words(INSTRUCTIONS[task]), task


def test_the_vocabulary_stays_small():
    assert len(words(template_texts())) < 100


def test_dialog_is_one_line_and_keeps_the_order():
    text = instruction(Task.DIALOG, question="Is it red?", history=HISTORY)
    assert text == (
        "Dialog history: Question: Is there a dog? Answer: yes Question: Where is it? Answer: left of the tree "
        "Question: Is it red? Short answer:"
    )
    assert instruction(Task.DIALOG, question="Is it red?", history=[]) == instruction(
        Task.DIALOG, question="Is it red?"
    )


def test_benchmarks_speak_as_models_are_tuned_where_they_can():
    for name, task in (("caption", Task.CAPTION), ("question", Task.VQA), ("locate", Task.REC), ("describe", Task.REG)):
        slots = {**BENCHMARK_SLOTS, "box": "[0.440,0.060,0.650,0.367]"}
        assert benchmark_prompt(name, slots) == INSTRUCTIONS[task][0].format(**slots)
    assert benchmark_prompt("dialog", BENCHMARK_SLOTS, HISTORY) == instruction(
        Task.DIALOG, question="Is it red?", history=HISTORY
    )
    assert benchmark_prompt("dialog", BENCHMARK_SLOTS) == instruction(Task.DIALOG, question="Is it red?", history=[])
    assert benchmark_prompt("dialog-caption", BENCHMARK_SLOTS).startswith('This image has the caption "a car by a')


@pytest.mark.parametrize(
    ("task", "slots"),
    [
        (Task.VQA, {}),
        (Task.VQA, {"question": " \n"}),
        (Task.REC, {"question": "where?"}),
        (Task.REG, {}),
        (Task.CAPTION, {"question": "what?"}),
        (Task.DIALOG, {"history": HISTORY}),
        (Task.VQA, {"question": "what?", "history": HISTORY}),
        (Task.REG, {"box": Box(0, 0, 10, 10, "pixel")}),
    ],
)
def test_wrong_slots_are_the_users_mistake(task, slots):
    with pytest.raises(LionError) as error:
        instruction(task, **slots)
    assert "\n" not in str(error.value)


@given(st.text(min_size=1).filter(str.strip))
def test_any_question_passes_unchanged_but_for_blanks(question):
    """Braces, brackets and quotes in a user's words are text, not template."""
    assert instruction(Task.VQA, question=question, template=2) == " ".join(question.split())
    assert SOFT_TOKEN not in instruction(Task.CAPTION)


if __name__ == "__main__":
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(every_prompt(), indent=2, ensure_ascii=False) + "\n")


def test_tags_that_are_one_text_are_not_spelt_out():
    assert "boat, sea" in tag_prompt(("boat", "sea"))
    with pytest.raises(LionError, match=r"not one text; write \['boat', 'sea'\]"):
        tag_prompt("boat, sea")


@pytest.mark.parametrize("task", Task)
def test_word_dropout_never_gives_a_held_out_wording(task):
    held_out = {text.lower() for texts in HELD_OUT_INSTRUCTIONS.values() for text in texts}
    slots = {"question": "{question}", "expression": "{expression}"}
    for template, wording in enumerate(INSTRUCTIONS[task]):
        given = {name: slot for name, slot in slots.items() if slot in wording}
        given |= {"box": Box(0, 0, 1, 1)} if "{box}" in wording else {}
        around = sum("{" not in word for word in wording.split())
        for choice in product((False, True), repeat=around):
            dropped = instruction(task, template=template, drop_word=partial(next, iter(choice)), **given)
            assert dropped.replace("[0.000,0.000,1.000,1.000]", "{box}").lower() not in held_out


@given(st.sampled_from(Task), st.randoms(use_true_random=False), st.sampled_from([0.1, 0.5, 1.0]))
def test_word_dropout_keeps_slots_and_the_order_of_words(task, random, chance):
    slots = {
        Task.VQA: {"question": "what color is the cat?"}, Task.DIALOG: {"question": "is it red?"},
        Task.REC: {"expression": "red cat"}, Task.REG: {"box": Box(0, 0.1, 0.5, 1)}, Task.CAPTION: {},
    }[task]  # fmt: skip
    for template in range(len(INSTRUCTIONS[task])):
        whole = instruction(task, template=template, **slots)
        dropped = instruction(task, template=template, drop_word=lambda: random.random() < chance, **slots)
        assert dropped and all(
            (slot if isinstance(slot, str) else "[0.000,0.100,0.500,1.000]") in dropped for slot in slots.values()
        )
        words = iter(whole.split())
        assert all(word in words for word in dropped.split())
        assert instruction(task, template=template, drop_word=lambda: False, **slots) == whole
