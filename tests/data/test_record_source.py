"""Any dataset trains: its facts in one of the wordings, one of its answers, its boxes where the picture has them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lion.boxes import Box, parse_boxes
from lion.data.dataset import Dataset
from lion.data.record_source import Augment, RecordSource
from lion.data.sample import Record
from lion.data.tag_noise import TagNoise
from lion.errors import LionError
from lion.images import image_hash, open_image
from lion.prompts import Task
from lion.tagging import TagFile


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def source(*records, **settings):
    return RecordSource(Dataset("some", "train", records, len(records)), **settings)


def draw(own, task, seed=0, index=0):
    return own.sample(own.indices(task)[index], task, np.random.default_rng(seed))


def test_a_record_serves_its_task_and_what_else_it_can(picture):
    own = source(
        Record("1", picture, Task.CAPTION, answers=("a cat",)),
        Record("2", picture, Task.REC, expression="cat", box=Box(0, 0, 1, 1), answers=("cat",), also=(Task.REG,)),
        Record("3", picture, Task.VQA, "what?"),
    )
    assert own.tasks == {Task.CAPTION: 1, Task.REC: 1, Task.REG: 1}
    assert list(own.indices(Task.REG)) == [1]
    assert own.name(1, Task.REG) == draw(own, Task.REG).id == "some:2:reg"


def test_every_right_answer_is_known_to_validation(picture):
    box = {"box": Box(0, 0, 1, 1), "answers": ("cat",), "also": (Task.REG,)}
    own = source(
        Record("1", picture, Task.VQA, "what?", answers=("cat", "dog", "dog")),
        Record("2", picture, Task.REC, expression="the cat", **box),
    )
    assert draw(own, Task.VQA).meta["answers"] == ["cat", "dog", "dog"]
    assert draw(own, Task.REG).meta["answers"] == ["the cat"]


def test_a_length_is_that_of_the_texts_with_an_answer_of_mean_length(picture):
    own = source(
        Record(
            "1",
            picture,
            Task.DIALOG,
            "what?",
            history=(("is it?", "yes"),),
            answers=("cat", "a horse"),
            tags=("a", "b"),
        ),
        Record("2", picture, Task.REC, expression="the cat", box=Box(0, 0, 1, 1), answers=("cat",)),
    )
    assert (own.length(0, Task.DIALOG), own.length(1, Task.REC)) == (5 + 6 + 3 + 5 + 2, 7 + 3)


def test_a_stage_draws_its_own_tasks_alone(picture):
    records = [
        Record("1", picture, Task.CAPTION, answers=("a cat",)),
        Record("2", picture, Task.REC, expression="cat", box=Box(0, 0, 1, 1), answers=("cat",), also=(Task.REG,)),
    ]
    assert source(*records, among={Task.REC, Task.REG}).tasks == {Task.REC: 1, Task.REG: 1}
    with pytest.raises(
        LionError, match=r"some \(train\) has no record for any of rec, reg; it has caption: leave it out"
    ):
        source(records[0], among={Task.REC, Task.REG})


def test_answers_come_as_often_as_annotators_gave_them(picture):
    own = source(Record("1", picture, Task.VQA, "what?", answers=("cat",) * 9 + ("dog",)))
    counts = Counter(draw(own, Task.VQA, seed).answer for seed in range(300))
    assert counts["dog"] / 300 == pytest.approx(0.1, abs=0.06)


def test_blanks_that_annotators_left_are_not_learnt(picture):
    own = source(Record("1", picture, Task.VQA, "what?", answers=("", " ", "a\n cat ")))
    assert {draw(own, Task.VQA, seed).answer for seed in range(9)} == {"a cat"}


def test_wordings_vary_and_history_is_told(picture):
    history = (("is it day?", "yes"),)
    own = source(Record("1", picture, Task.DIALOG, "what?", history=history, answers=("a cat",)))
    texts = {draw(own, Task.DIALOG, seed).instruction for seed in range(20)}
    assert len(texts) > 1 and all("is it day?" in text and "what?" in text for text in texts)


def test_a_box_that_was_rounded_outwards_is_written_inside(picture):
    box = Box(-0.01, 0.5, 0.5, 1.01)
    own = source(Record("1", picture, Task.REC, expression="cat", box=box, answers=("cat",), also=(Task.REG,)))
    assert draw(own, Task.REC).answer == "[0.000,0.500,0.500,1.000]"
    assert "[0.000,0.500,0.500,1.000]" in draw(own, Task.REG).instruction
    mirrored = source(*own.dataset.records, augment=Augment(flip=1))
    assert parse_boxes(draw(mirrored, Task.REC).answer).boxes[0] == Box(0.5, 0.5, 1, 1)


def test_words_of_all_facts_forbid_flips(picture):
    for answers, flipped in ((("left",), False), (("top",), True)):
        record = Record("1", picture, Task.VQA, "which?", box=Box(0, 0, 0.25, 1), answers=answers)
        sample = draw(source(record, augment=Augment(flip=1)), Task.VQA)
        assert (sample.meta["box"] == Box(0.75, 0, 1, 1)) == flipped


def test_pictures_inside_the_file_are_opened(picture):
    own = source(Record("1", picture.read_bytes(), Task.CAPTION, answers=("red",)))
    assert draw(own, Task.CAPTION).image.size == (40, 20)


def test_tags_come_from_the_record_or_else_from_a_file(picture):
    tagger = TagFile({image_hash(open_image(picture)): ["dog", "sea"]}, "tags.jsonl")
    one = Record("1", picture, Task.CAPTION, answers=("red",))
    assert draw(source(one), Task.CAPTION).tags is None
    assert draw(source(one, tagger=tagger, augment=Augment(flip=1)), Task.CAPTION).tags == ("dog", "sea")
    assert draw(source(replace(one, tags=()), tagger=tagger), Task.CAPTION).tags == ()
    with pytest.raises(LionError, match=r"tags\.jsonl has no tags of"):
        draw(source(one, tagger=TagFile({}, "tags.jsonl")), Task.CAPTION)


def test_noise_drops_tags_and_adds_those_of_other_pictures(picture):
    tagger = TagFile({image_hash(open_image(picture)): ["dog", "sea"], "other": ["car", "dog"]}, "tags.jsonl")
    one = Record("1", picture, Task.CAPTION, answers=("red",))
    noise = TagNoise(share=0.5, drop=0.5, spurious=0.5)
    drawn = [draw(source(one, tagger=tagger, noise=noise), Task.CAPTION, seed).tags for seed in range(200)]
    assert 60 < drawn.count(None) < 140
    lists = [tags for tags in drawn if tags is not None]
    assert {tag for tags in lists for tag in tags} == {"dog", "sea", "car"}
    assert () in lists and ("dog", "sea") in lists and all(len(set(tags)) == len(tags) for tags in lists)
    same = source(one, tagger=tagger, noise=TagNoise(drop=0, spurious=0))
    assert draw(same, Task.CAPTION).tags == ("dog", "sea")
    own = [replace(one, tags=("sun",)), replace(one, id="2", tags=("moon",))]
    assert draw(source(*own, noise=TagNoise(drop=1, spurious=0)), Task.CAPTION).tags == ()
    assert {draw(source(*own, noise=TagNoise(drop=1, spurious=1)), Task.CAPTION, seed).tags for seed in range(30)} == {
        (),
        ("moon",),
    }


def test_nothing_to_train_on_is_told(picture):
    with pytest.raises(LionError, match=r"some \(train\) has no answers to train on"):
        source(Record("1", picture, Task.VQA, "what?"))
    with pytest.raises(LionError, match="no record for the task rec; it has caption"):
        source(Record("1", picture, Task.CAPTION, answers=("a",)), weights={Task.REC: 1.0})
    own = source(Record("1", picture.parent / "gone.png", Task.CAPTION, answers=("red",)))
    with pytest.raises(LionError, match=r"gone\.png"):
        draw(own, Task.CAPTION)
