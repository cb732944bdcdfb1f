"""Which records are held out: a tenth of the pictures, always the same, and no picture on both sides."""

import shutil

import pytest
from PIL import Image

from lion.data.sources import jsonl
from lion.errors import LionError
from lion.prompts import Task
from lion.train.finetune.plan import HEAD, Place
from lion.train.finetune.survey import survey, tasks_of


@pytest.fixture
def surveyed(tmp_path):
    def make(lines, pictures=20):
        for number in range(pictures):
            Image.new("RGB", (40 + number, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
        (tmp_path / "own.jsonl").write_text("\n".join(lines))
        return survey(jsonl.read(tmp_path / "own.jsonl", skip_bad=True), 2)

    return make


def captions(count, per_picture=2):
    return [f'{{"image": "{number}.png", "caption": "picture {number}"}}' for number in range(count)] * per_picture


def test_a_tenth_of_the_pictures_is_held_out(surveyed):
    found = surveyed(captions(20))
    train, held_out = found.split()
    assert len(found.held_out) == 2 and (len(train), len(held_out)) == (36, 4)
    assert {record.image for record in train}.isdisjoint(record.image for record in held_out)


def test_always_the_same_and_whatever_the_order(surveyed):
    names = [
        {record.image.name for record in surveyed(lines).split()[1]} for lines in (captions(20), captions(20)[::-1])
    ]
    assert names[0] == names[1]


def test_a_copy_under_another_name_is_the_same_picture(surveyed, tmp_path):
    first = surveyed(captions(20))
    held = next(record.image for record in first.split()[1])
    shutil.copy(held, tmp_path / "copy.png")
    train, held_out = surveyed([*captions(20), '{"image": "copy.png", "caption": "again"}']).split()
    assert "copy.png" in {record.image.name for record in held_out}
    assert "copy.png" not in {record.image.name for record in train}


def test_what_cannot_be_used_is_named(surveyed, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    lines = [
        *captions(2, 1),
        '{"image": "broken.png", "caption": "a dog"}',
        '{"image": "0.png", "expression": "a dog", "box": [0.1, 0.1, 0.102, 0.5]}',
        '{"image": "0.png"}',
    ]
    found = surveyed(lines, pictures=2)
    assert [ident for ident, _ in found.bad] == ["5", "3", "4"] and len(found.records) == 2
    assert "no area once it is written with 2 decimals" in found.bad[2][1]
    assert sorted(found.sizes) == [(40, 30), (41, 30)]


def test_one_picture_cannot_be_held_out(surveyed):
    with pytest.raises(LionError, match="one more is needed to be held out"):
        surveyed(captions(1)).split()


def test_lines_are_read_back_as_they_were(surveyed, tmp_path):
    box = '{"image": "0.png", "expression": "a dog", "box": [0.1, 0.1, 0.5, 0.5]}'
    asked = '{"image": "0.png", "question": "is it day?", "answer": "yes", "history": [["a?", "b"]]}'
    found = surveyed([*captions(2, 1), box, asked])
    place = Place(tmp_path / "out")
    place.write(place.train, place.lines(found.records))
    again = jsonl.read(place.train).records
    told = [(one.task, one.also, one.question, one.history, one.answers, one.box) for one in found.records]
    assert [(one.task, one.also, one.question, one.history, one.answers, one.box) for one in again] == told
    assert tasks_of(again) == {Task.CAPTION: 2, Task.DIALOG: 1, Task.REC: 1, Task.REG: 1}


@pytest.mark.parametrize("begun", ["scores", "run"])
def test_a_plan_takes_the_place_of_another_until_that_has_begun(tmp_path, begun):
    place = Place(tmp_path / "out")
    for text in ("first", "second"):
        assert place.write(place.train, text) == (text == "second")
        assert place.train.read_text() == text and not place.tags.exists(), "tags of other pictures"
        place.tags.write_text("")
    assert not place.write(place.train, "second") and place.tags.exists()
    (place.folder / begun).mkdir()
    with pytest.raises(LionError, match="another --out, or start over with --restart"):
        place.write(place.train, "third")
    assert place.train.read_text() == "second"


def test_nothing_but_a_fine_tuning_is_written_into_or_thrown_away(tmp_path):
    place = Place(tmp_path / "out")

    def claim(restart):
        place.claim(restart).release()

    claim(restart=True)
    claim(restart=True)
    place.write(place.recipe, f"{HEAD}\n")
    claim(restart=False)
    assert place.recipe.is_file()
    claim(restart=True)
    assert not place.recipe.exists()
    place.write(place.recipe, "name: mine\n")
    for restart in (True, False):
        with pytest.raises(LionError, match="holds other files"):
            claim(restart)
    assert place.recipe.read_text() == "name: mine\n"
