"""The baselines see the question and nothing else, answer in kind, and are what they say they are."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lion.boxes import Box, parse_boxes
from lion.eval import WorldBenchmark
from lion.eval.world import baselines
from lion.eval.world.baselines import (
    _mostly_absent,
    _nearest_shape,
    _objects,
    blind_answers,
    blind_tags,
    possible_answers,
    random_answers,
    random_tags,
    template,
)
from lion.prompts import Task
from lion.world import CATEGORIES, COLOURS, POPE_TASKS, QUESTION_SETS, test_questions
from lion.world.scoring import CATEGORY_FORMS, score_answers
from tests.eval.tiny_world import forget

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", QUESTION_SETS)
def test_baselines_see_neither_image_nor_answer(name):
    asked = test_questions(name, 40)
    elsewhere = [replace(one, answer="?", scene_index=one.scene_index + 1000) for one in asked]
    if name == Task.REC:
        elsewhere = [replace(one, box=Box(0, 0, 1, 1)) for one in elsewhere]
    for guess in (blind_answers, random_answers):
        assert guess(name, elsewhere) == guess(name, asked) == guess(name, asked)
        assert len(guess(name, asked)) == 40


@pytest.mark.parametrize("name", [Task.VQA, Task.DIALOG, *POPE_TASKS])
def test_short_answers_are_possible_and_the_true_one_is_among_them(name):
    for one in test_questions(name, 200):
        options = possible_answers(one)
        assert one.answer in options, one
        assert blind_answers(name, [one])[0] in options and random_answers(name, [one])[0] in options


def test_random_answers_are_right_as_often_as_chance_allows():
    asked = test_questions(Task.VQA, 400)
    hits = [said == one.answer for said, one in zip(random_answers(Task.VQA, asked), asked, strict=True)]
    chance = np.mean([1 / len(possible_answers(one)) for one in asked])
    assert np.mean(hits) == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 400) ** 0.5)


def test_blind_is_no_worse_than_random():
    for name, score in ((Task.VQA, "accuracy"), (Task.DIALOG, "accuracy"), ("pope-adversarial", "f1")):
        asked = test_questions(name, 300)
        answers = [one.answer for one in asked]
        blind, chance = (
            score_answers(name, guess(name, asked), answers, [{}] * 300, [])[score]
            for guess in (blind_answers, random_answers)
        )
        assert blind.value > chance.value - 2 * chance.standard_error


def test_templates_blank_the_names():
    assert template("is there a red cat?") == template("is there a small dog?") == "is there a _ _?"
    assert template("how many buses are there?") == "how many _ are there?"


def test_answers_have_the_form_a_model_gives():
    (region,) = test_questions(Task.REG, 1)
    assert parse_boxes(blind_answers(Task.REC, test_questions(Task.REC, 1))[0]).ok
    assert parse_boxes(random_answers(Task.REC, test_questions(Task.REC, 1))[0]).ok
    for guess in (blind_answers, random_answers):
        colour, category = guess(Task.REG, [region])[0].split()
        assert colour in COLOURS and category in CATEGORIES
    caption = blind_answers(Task.CAPTION, test_questions(Task.CAPTION, 1))[0]
    assert sum(word in CATEGORY_FORMS for word in caption.replace(",", "").split()) == 3


def test_the_shape_of_a_region_gives_its_category_away():
    thing = _objects()[7]
    asked = replace(test_questions(Task.REG, 1)[0], box=thing.box)
    same = {other.category for other in _objects() if other.box.xywh()[2:] == thing.box.xywh()[2:]}
    assert _nearest_shape(asked) in same


def test_pope_says_no_only_where_no_pays():
    for name in POPE_TASKS:
        assert _mostly_absent(name) < set(CATEGORIES)


@pytest.mark.slow
def test_the_baselines_of_the_docs(monkeypatch):
    monkeypatch.setattr(baselines, "TRAIN_SCENES", 1000)
    forget()
    blank = {"text": "", "seconds": 0.0, "scores": {}}
    ids = [one.id for name in QUESTION_SETS for one in test_questions(name)] + [f"test-0-{i}" for i in range(1000)]
    scores = WorldBenchmark().score(lambda part: dict.fromkeys(ids, blank), blind=False).references
    rows = re.findall(
        r"^\| (\S+/\S+) \| ([\d.]+) \| ([\d.]+) \|$",
        (ROOT / "docs" / "explanation" / "world_baselines.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) == 13
    for name, blind, chance in rows:
        assert [f"{100 * scores[name][source]['value']:.1f}" for source in ("blind", "random")] == [blind, chance], name
    forget()


def test_tag_scores():
    assert blind_tags(3).shape == random_tags(3).shape == (3, len(CATEGORIES))
    assert (blind_tags(3) == blind_tags(3)[0]).all() and 0 < blind_tags(1).max() < 1
