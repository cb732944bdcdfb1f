"""Your own pictures: what a line serves, what it becomes, and one line of help for each way to get it wrong."""

import base64
import json

import numpy as np
import pytest
from PIL import Image

from lion.boxes import Box, parse_boxes
from lion.data.record_source import Augment, RecordSource
from lion.data.sources.jsonl import read
from lion.errors import LionError
from lion.prompts import Task

LINES = [
    {"image": "a.png", "caption": "a dog"},
    {"image": "a.png", "question": "what is it?", "answer": "a dog", "tags": ["dog"]},
    {"image": "a.png", "question": "is it red?", "answer": "no", "history": [["what is it?", "a dog"]]},
    {"image": "a.png", "expression": "the dog", "box": [0.1, 0.2, 0.5, 0.9]},
    {"image": "a.png", "expression": "the dog", "box": [0.1, 0.2, 0.5, 0.9], "task": "rec"},
]


@pytest.fixture
def source(tmp_path):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.png")

    def make(*lines, **settings):
        (tmp_path / "own.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
        return RecordSource(read(tmp_path / "own.jsonl"), **settings)

    return make


def draw(source, task, index=0):
    return source.sample(source.indices(task)[index], task, np.random.default_rng(0))


def test_each_line_serves_the_tasks_it_has_everything_for(source):
    own = source(*LINES)
    assert own.tasks == {Task.CAPTION: 1, Task.VQA: 1, Task.DIALOG: 1, Task.REC: 2, Task.REG: 1}
    assert {task: list(own.indices(task)) for task in own.tasks} == {
        Task.CAPTION: [0],
        Task.VQA: [1],
        Task.DIALOG: [2],
        Task.REC: [3, 4],
        Task.REG: [3],
    }


def test_samples_say_what_the_line_says(source):
    own = source(*LINES, decimals=2)
    assert draw(own, Task.CAPTION).answer == "a dog"
    assert "what is it?" in draw(own, Task.VQA).instruction and draw(own, Task.VQA).tags == ("dog",)
    dialog = draw(own, Task.DIALOG)
    assert dialog.instruction.index("a dog") < dialog.instruction.index("is it red?") and dialog.answer == "no"
    assert draw(own, Task.REC).answer == "[0.10,0.20,0.50,0.90]" and "the dog" in draw(own, Task.REC).instruction
    assert "[0.10,0.20,0.50,0.90]" in draw(own, Task.REG).instruction and draw(own, Task.REG).answer == "the dog"
    assert draw(own, Task.REC).image.size == (40, 20)
    assert draw(own, Task.REC, 1).id == "own.jsonl:5:rec"


def test_weights_choose_tasks_and_flips_move_the_written_box(source):
    own = source(*LINES, weights={Task.REC: 3.0}, augment=Augment(flip=1), decimals=2)
    assert own.tasks == {Task.REC: 3.0}
    sample = draw(own, Task.REC)
    assert parse_boxes(sample.answer).boxes[0] == sample.meta["box"] == Box(0.5, 0.2, 0.9, 0.9)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"caption": "x"}, "line 1: needs a picture"),
        ({"image": "a.png"}, "line 1: needs caption, or question"),
        ({"image": "a.png", "captoin": "x"}, "line 1: unknown key captoin; known are"),
        ({"image": "a.png", "expression": "x", "box": [1, 2, 30, 40]}, "outside the picture; divide pixels"),
        ({"image": "a.png", "expression": "x", "box": [1, 2, 3]}, r"line 1: box: .* not 4 numbers: \[1, 2, 3\]"),
        (
            {"image": "a.png", "expression": "x", "box": ["a", 0, 1, 1]},
            r"line 1: box: .* numbers: \['a', 0, 1, 1\]",
        ),
        ({"image": "a.png", "expression": "x", "box": ["0.1", "0.1", "1", "1"]}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "expression": "x", "box": [False, 0, True, 1]}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "expression": "x", "box": "0,0,1,1"}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "expression": "x", "box": {"x": 1}}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "caption": "x", "box": []}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "caption": "x", "box": 0}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "caption": "x", "box": False}, "line 1: box: .* not 4 numbers"),
        ({"image": "a.png", "expression": "x", "box": [0, 0, 0, 0]}, "line 1: box: .* has no area"),
        ({"image": "a.png", "expression": "x", "box": [0.3, 0.2, 0.3 + 1e-9, 0.6]}, "line 1: box: .* has no area"),
        ({"image": "a.png", "expression": "x", "box": [0.3, 0.2, 0.6, 0.2 + 4e-7]}, "line 1: box: .* has no area"),
        ({"image": "a.png", "expression": "x", "box": [1 - 1e-9, 0, 1, 1]}, "line 1: box: .* has no area"),
        ({"image": "a.png", "expression": "x", "box": [0.3, 0.2, 0.3, 0.6]}, "line 1: box: .* has no area"),
        ({"image": "a.png", "expression": "x", "box": [0.3, 0.2, 0.4, 0.2]}, "line 1: box: .* has no area"),
        ({"image": "a.png", "expression": "x", "box": [0.4, 0.2, 0.3, 0.6]}, "line 1: box: .* x1 <= x2"),
        ({"image": "a.png", "caption": "x", "box": [0.4, 0.2, 0.3, 0.6]}, "line 1: box: .* x1 <= x2"),
        ({"image": "a.png", "question": "x?", "answer": "y", "history": False}, "line 1: history: false is no list"),
        ({"image": "a.png", "question": "x?", "answer": "y", "history": 0}, "line 1: history: 0 is no list"),
        ({"image": "https://x.org/a.png", "caption": "x"}, "line 1: https://x.org/a.png is a web address: download"),
        (
            {"image": "data:image/png;base64,!" + "A" * 999, "caption": "x"},
            r"line 1: data:image.{47}\.\.\. is not base",
        ),
        ({"image": "a.png", "question": "how many?", "answer": 2}, "line 1: answer: 2 is no text; put it in quotes"),
        ({"image": "a.png", "question": "how many?", "answer": 0}, "line 1: answer: 0 is no text"),
        ({"image": "a.png", "question": "how many?", "answer": ["2", "two"]}, "line 1: answer: .* is no text"),
        ({"image": "a.png", "caption": " "}, "line 1: needs caption"),
        ({"image": "a.png", "caption": "x", "tags": "dog, beach"}, 'line 1: tags: "dog, beach" is no list of texts'),
        ({"image": "a.png", "caption": "x", "tags": ["dog", 2]}, "line 1: tags: .* is no list of texts"),
        ({"image": "a.png", "caption": "x", "tags": ["dog", " "]}, "line 1: tags: .*, none of them blank"),
        (
            {"image": "a.png", "question": "what?", "answer": "x", "history": [["how many?", 2]]},
            "line 1: history: .* is no list of rounds",
        ),
        ({"image": "a.png", "caption": "x", "task": "vqa"}, "line 1: task 'vqa' does not fit; the line serves caption"),
    ],
)
def test_a_malformed_line_is_named(source, line, message):
    with pytest.raises(LionError, match=message):
        source(line)


def test_lines_with_several_facts_make_a_record_for_each(source):
    own = source({**LINES[0], **LINES[1], **LINES[3]})
    assert set(own.tasks) == {Task.CAPTION, Task.VQA, Task.REC, Task.REG}
    assert {record.id for record in own.dataset.records} == {"1"} and len(own.dataset.records) == 3


def test_bad_lines_are_listed_when_they_are_to_be_skipped(source, tmp_path):
    own = source(LINES[0])
    bad = ["{", '{"image": "gone.png", "caption": "x"}', '{"image": "a.png"}']
    (tmp_path / "own.jsonl").write_text("\n".join([json.dumps(LINES[0]), "", *bad]))
    with pytest.raises(LionError, match=r"own\.jsonl line 3: it is not JSON.*skip_bad=True"):
        read(tmp_path / "own.jsonl")
    dataset = read(tmp_path / "own.jsonl", skip_bad=True)
    assert dataset.records == own.dataset.records
    assert [line for line, _ in dataset.skipped] == ["3", "4", "5"] and "gone.png" in dataset.skipped[1][1]


def test_a_table_of_questions(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    table = 'image,question,answer,caption\na.png,"what,\nthen?",a dog,\na.png,,,a dog\n'
    (tmp_path / "own.csv").write_text(table)
    vqa, caption = read(tmp_path / "own.csv").records
    assert (vqa.question, vqa.answers, vqa.task) == ("what,\nthen?", ("a dog",), Task.VQA)
    assert (caption.answers, caption.task) == (("a dog",), Task.CAPTION)
    (tmp_path / "OWN.CSV").write_text(table)
    assert len(read(tmp_path / "OWN.CSV").records) == 2
    for damaged, message in (
        ('"image,caption\na.png,x', r"own\.csv line \d: unexpected end of data"),
        ("image,caption\na.png,a dog,too many", r"own\.csv line 2: it has more cells than the first line has columns"),
    ):
        (tmp_path / "own.csv").write_text(damaged)
        with pytest.raises(LionError, match=message):
            read(tmp_path / "own.csv")
    (tmp_path / "own.csv").write_text("image,label\na.png,dog\n")
    with pytest.raises(LionError, match=r"own\.csv: unknown column label; known are answer, caption, image, question"):
        read(tmp_path / "own.csv")
    (tmp_path / "own.csv").write_text("image,question,answer\na.png,what?,\n")
    with pytest.raises(LionError, match=r"own\.csv line 2: needs caption, or question and answer"):
        read(tmp_path / "own.csv")


def test_a_quotation_mark_that_is_never_closed_is_named(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "own.csv").write_text('image,caption\na.png,"a dog on a beach\na.png,a cat\n')
    with pytest.raises(LionError, match=r"own\.csv line \d: .*; is a quotation mark missing\?"):
        read(tmp_path / "own.csv")


def test_a_missing_file_an_empty_one_and_a_task_nobody_serves(source, tmp_path):
    with pytest.raises(LionError, match=r"no file .*gone\.jsonl"):
        read(tmp_path / "gone.jsonl")
    with pytest.raises(LionError, match="holds no samples"):
        source()
    with pytest.raises(LionError, match="no record for the task rec; it has caption"):
        source(LINES[0], weights={Task.REC: 1.0})


@pytest.mark.parametrize(
    "line",
    ["[" * 200_000, '{"image": "' + "a" * 300 + '.png", "caption": "x"}',
     '{"image": "a.png", "expression": "x", "box": [0, 0, 1, 1' + "0" * 400 + "]}"],
    ids=["deep", "long name", "huge number"],
)  # fmt: skip
def test_whatever_is_wrong_with_a_line_it_is_named_or_skipped(tmp_path, line):
    (tmp_path / "a.png").write_bytes(b"")
    path = tmp_path / "own.jsonl"
    path.write_text(f'{line}\n{{"image": "a.png", "caption": "a dog"}}\n')
    with pytest.raises(LionError, match=r"own\.jsonl line 1: "):
        read(path)
    dataset = read(path, skip_bad=True)
    assert len(dataset.records) == 1 and [ident for ident, _ in dataset.skipped] == ["1"]


@pytest.mark.parametrize("box", [[0.301, 0.2, 0.3014, 0.6], [0.3, 0.2, 0.6, 0.2001], [0.99991, 0, 1, 1]])
@pytest.mark.parametrize("task", [Task.REC, Task.REG])
def test_a_box_that_is_too_thin_to_be_written_is_no_target(source, box, task):
    line = {"image": "a.png", "expression": "the dog", "box": box}
    with pytest.raises(LionError, match="has no area once it is written with 3 decimals"):
        draw(source(line), task)
    assert parse_boxes(draw(source(line, decimals=5), Task.REC).answer).ok
    with pytest.raises(LionError, match="2 decimals"):
        draw(source({**line, "box": [0.301, 0.2, 0.304, 0.6]}, decimals=2), task)


def test_a_key_twice_in_a_line_is_a_bad_line(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "own.jsonl").write_text('{"image": "a.png", "caption": "x", "caption": "y"}\n')
    with pytest.raises(LionError, match=r"own\.jsonl line 1: the key 'caption' is there twice"):
        read(tmp_path / "own.jsonl")


def test_a_column_twice_is_told(tmp_path):
    (tmp_path / "own.csv").write_text("image,caption,caption\na.png,x,y\n")
    with pytest.raises(LionError, match=r"own\.csv: the column caption is there twice"):
        read(tmp_path / "own.csv")


def test_pictures_may_lie_at_home_or_in_the_line(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a.png"
    source(LINES[0])
    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    for image in ("a.png", "~/a.png", str(path), path.as_uri(), uri):
        assert draw(source({"image": image, "caption": "a dog"}), Task.CAPTION).image.getpixel((0, 0)) == (255, 0, 0)
    assert read(type(path)("~/own.jsonl")).records[0].answers == ("a dog",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"image": "a.png", "caption": "caf\u00e9"}'.encode("latin-1"), r"is not UTF-8 text \(.*\): save it as UTF-8"),
        ('{"image": "a.png", "caption": "x"}'.encode("utf-16"), "save it as UTF-8"),
        (b'[{"image": "a.png", "caption": "x"}]', "line 1: a list is no JSON Lines; write one object a line"),
        (b'[\n  {"image": "a.png", "caption": "x"}\n]', "line 1: a list is no JSON Lines; write one object a line"),
        (b'{\n"image": "a.png",\n"caption": "x"}', "line 1: it is not JSON: .*; write one whole object a line"),
    ],
    ids=["Latin-1", "UTF-16", "a list", "a list over lines", "an object over lines"],
)
def test_files_that_are_no_json_lines(tmp_path, content, message):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    (tmp_path / "own.jsonl").write_bytes(content)
    with pytest.raises(LionError, match=message) as error:
        read(tmp_path / "own.jsonl")
    assert "get it again" not in str(error.value) and "\n" not in str(error.value)
