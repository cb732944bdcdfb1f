"""Samples from the drawn world: true, pure, cached at the model's size."""

import pickle

import numpy as np
import pytest

from lion.boxes import parse_boxes
from lion.data import pictures
from lion.data.sources.world import COMPARISONS, WorldSource, instruction_and_answer, vary_question
from lion.data.tag_noise import TagNoise
from lion.model import LionImageProcessor
from lion.prompts import Task
from lion.world import render, scene, tags
from lion.world.templates import is_held_out

ALL = dict.fromkeys(Task, 1.0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path))
    monkeypatch.setattr(pictures, "BLOCK", 8)
    return tmp_path


def source(**settings):
    return WorldSource(LionImageProcessor(32), "train", 12, ALL, pixels=64, decimals=2, **settings)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("task", Task)
def test_a_sample_is_a_pure_function_and_its_box_is_an_object(task):
    world = source()
    samples = [world.sample(index, task, rng(index)) for index in range(12)]
    assert [s.answer for s in samples] == [source().sample(i, task, rng(i)).answer for i in range(12)]
    for sample in samples:
        assert sample.task == task and sample.id.endswith(f":{task}") and sample.tags is None
        if task in (Task.REC, Task.REG):
            text = sample.answer if task == Task.REC else sample.instruction
            written = parse_boxes(text).boxes[0]
            assert written.iou(sample.meta["box"]) > 0.8
            assert sample.meta["box"] in [obj.box for obj in sample.meta["scene"].objects]


def test_pictures_are_what_the_model_would_see_and_are_drawn_once(cache):
    world = source()
    drawn = world.picture(3)
    assert not list(cache.rglob("*.npy"))
    world.prepare()
    assert len(list(cache.rglob("*.npy"))) == 2
    expected = LionImageProcessor(32).resize(render(world.scene(3), 64))
    assert np.array_equal(drawn, expected) and np.array_equal(world.picture(3), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(world)).picture(11), world.picture(11))


def test_the_cache_holds_a_block_whole_or_not_at_all_and_is_shared(cache, monkeypatch):
    reports = []
    source().prepare(lambda *report: reports.append(report))
    drawn = 2 * pictures.BLOCK
    assert reports in ([], [("drawing pictures", drawn // 2, drawn), ("drawing pictures", drawn, drawn)]), (
        "none with one CPU"
    )
    stamps = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    larger = WorldSource(LionImageProcessor(32), "train", 20, ALL, pixels=64)
    larger.prepare()
    assert len(list(cache.rglob("*.npy"))) == 3
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    other_size = WorldSource(LionImageProcessor(16), "train", 8, ALL, pixels=64)
    other_size.prepare()
    assert other_size.picture(0).shape == (16, 16, 3) and larger.picture(0).shape == (32, 32, 3)


def test_tags_come_as_often_and_as_noisy_as_configured():
    exact = source(tags=TagNoise(share=1, drop=0, spurious=0))
    assert [exact.sample(i, Task.VQA, rng(i)).tags for i in range(12)] == [tags(exact.scene(i)) for i in range(12)]
    half = source(tags=TagNoise(share=0.5, drop=0.5, spurious=0.5))
    given = [half.sample(i % 12, Task.VQA, rng(i)).tags for i in range(200)]
    assert 60 < sum(each is not None for each in given) < 140
    wrong = [set(each) - set(tags(half.scene(i % 12))) for i, each in enumerate(given) if each is not None]
    assert any(wrong)


def test_phrases_name_or_place_as_requested():
    words = rng()
    shown = [scene("train", number) for number in range(40)]
    placed = [
        instruction_and_answer(each, Task.REC, words, placed=True)[2]["kind"] for each in shown if len(each.objects) > 2
    ]
    named = [instruction_and_answer(each, Task.REC, words, bare=True, placed=True)[2]["kind"] for each in shown]
    assert set(placed) == {"relation", "ordinal"} and set(named) == {"unique", "attribute"}


def test_word_dropout_changes_wordings_and_not_answers():
    exact, varied = source(), source(word_dropout=0.5)
    for task in (Task.CAPTION, Task.VQA, Task.DIALOG, Task.REC, Task.REG):
        pairs = [(exact.sample(i, task, rng(i)), varied.sample(i, task, rng(i))) for i in range(12)]
        assert all(one.answer == other.answer for one, other in pairs)
        assert sum(one.instruction != other.instruction for one, other in pairs) > 6


def test_a_varied_question_keeps_its_content():
    original, words = "is the small red cat to the left or to the right of the dog?", rng()
    found = [vary_question(original, words, 0.3) for _ in range(200)]
    kept = ["small", "red", "cat", "to", "left", "or", "to", "right", "of", "dog"]
    neutral = {"in", "the", "image", "do", "you", "see", "can", "there", "is", "are", "a", "an", "any"}
    for question in found:
        assert question.endswith("?") and [w for w in question[:-1].split() if w not in neutral] == kept
    assert any(len(one) > len(original) for one in found) and any(len(one) < len(original) for one in found)
    assert vary_question(original, words, 0) == original


def test_a_varied_question_is_never_a_held_out_wording():
    words = rng()
    for original in ("how many cats do you see?", "do you see the cat left of the dog?"):
        found = {vary_question(original, words, 0.2) for _ in range(8000)}
        assert len(found) > 2000 and not any(is_held_out(question) for question in found)


def test_dialogs_change_their_subject():
    """A dialog's question about colour or place that names its object occurs only after a change of subject."""
    turned, rounds = 0, 0
    for number in range(400):
        text, _, meta = instruction_and_answer(scene("train", number), Task.DIALOG, rng(number))
        question = text.split("?")[-2].split(":")[-1].split()
        rounds = max(rounds, meta["round"])
        turned += meta["kind"] in ("colour", "relation") and not {"it", "its", "one"} & set(question)
        assert meta["round"] == text.count("?") - 1
    assert 25 < turned < 75 and rounds == 4


def test_a_question_for_an_absent_object_is_about_none():
    words = rng()
    made = [instruction_and_answer(scene("train", index), Task.VQA, words, 2) for index in range(300)]
    absent = [meta for _, answer, meta in made if (meta["kind"], answer) == ("exists", "no")]
    assert absent and not any(meta["about"] for meta in absent)
    assert all(meta["about"] for _, answer, meta in made if (meta["kind"], answer) == ("exists", "yes"))


def test_bare_phrases_name_and_do_not_place():
    words = rng()
    kinds = {
        instruction_and_answer(scene("train", index), Task.REC, words, 2, bare=True)[2]["kind"] for index in range(200)
    }
    assert kinds == {"unique", "attribute"}


def test_dialogs_compare_as_often_as_configured():
    def kinds(share):
        rng = np.random.default_rng(0)
        drawn = [instruction_and_answer(scene("train", i), Task.DIALOG, rng, comparisons=share) for i in range(300)]
        return [(meta["kind"], answer) for _, answer, meta in drawn]

    crowded = sum(
        len(one.objects) > len({o.category for o in one.objects}) for one in (scene("train", i) for i in range(300))
    )
    never, half = kinds(0), kinds(0.5)
    assert sum(kind in COMPARISONS for kind, _ in never) < 30
    compared = [answer for kind, answer in half if kind in COMPARISONS]
    assert 0.4 < len(compared) / crowded < 0.65  # no scene without two of a category has any
    assert 0.25 < compared.count("yes") / len(compared) < 0.75
