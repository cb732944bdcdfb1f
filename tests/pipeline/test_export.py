"""Export: what other programs read, and LION's own readers and pycocotools' index with them."""

import csv
import io
import json
from collections import defaultdict
from dataclasses import replace

import pytest
from PIL import Image

from lion.boxes import Box, LabelledBox
from lion.data.sources import READERS
from lion.errors import LionError
from lion.pipeline import Answer, Verb, export
from lion.pipeline.export import check_export
from tests.pipeline import tiny

SIZE = (200, 100)


def located(image, phrase, *boxes, **fields):
    found = tuple(LabelledBox.of(phrase, Box(*box), SIZE) for box in boxes)
    return Answer(
        f"said {phrase}",
        Verb.LOCATE,
        boxes=found,
        ok=bool(boxes),
        image=image,
        question=phrase,
        size=SIZE,
        model="tiny",
        **fields,
    )


@pytest.fixture
def answers(tmp_path):
    """Two cameras' equal names, two phrases, a picture without a box and one that could not be opened."""
    one, other, none = (str(tmp_path / "pictures" / name) for name in ("left/a.png", "right/a.png", "right/b.png"))
    for name in (one, other, none):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE).save(name)
    failed = Answer("", Verb.LOCATE, ok=False, reason="no such file", image="gone.png", failed=True, model="tiny")
    return [
        located(one, "the kite", (0.1, 0.2, 0.5, 0.8)),
        located(one, "the cat", (0.5, 0.5, 1, 1)),
        located(other, "the cat", (0, 0, 0.25, 0.5)),
        located(none, "the cat", reason="no box"),
        failed,
    ]


def test_coco_is_an_index_as_pycocotools_builds_it(answers, tmp_path):
    export(answers, tmp_path / "boxes.coco.json")
    data = json.loads((tmp_path / "boxes.coco.json").read_text())
    images = {row["id"]: row for row in data["images"]}
    categories = {row["id"]: row["name"] for row in data["categories"]}
    of_image = defaultdict(list)
    for row in data["annotations"]:
        of_image[row["image_id"]].append((categories[row["category_id"]], row["bbox"], row["area"], row["iscrowd"]))
    assert categories == {1: "the kite", 2: "the cat"}
    assert [(row["file_name"], row["width"], row["height"]) for row in images.values()] == [
        (name, *SIZE) for name in ("left/a.png", "right/a.png", "right/b.png")
    ]
    assert of_image == {
        1: [("the kite", [20, 20, 80, 60], 4800, 0), ("the cat", [100, 50, 100, 50], 5000, 0)],
        2: [("the cat", [0, 0, 50, 50], 2500, 0)],
    }
    assert sorted(row["id"] for row in data["annotations"]) == [1, 2, 3]


def test_coco_is_read_by_our_own_reader(answers, tmp_path):
    export(answers, tmp_path / "boxes.coco.json")
    (tmp_path / "boxes.coco").symlink_to(tmp_path / "pictures")
    records = READERS["coco-detection"](tmp_path, "boxes.coco").records
    assert [(record.meta["category"], record.meta["size"]) for record in records] == [
        ("the kite", SIZE), ("the cat", SIZE), ("the cat", SIZE)
    ]  # fmt: skip
    assert records[0].box.to_unit(*SIZE).xyxy() == pytest.approx((0.1, 0.2, 0.5, 0.8))


def test_yolo_has_a_file_for_each_picture(answers, tmp_path):
    export(answers, tmp_path / "boxes.yolo")
    files = {str(path.relative_to(tmp_path / "boxes.yolo")): path.read_text() for path in tmp_path.rglob("*.txt")}
    assert files == {
        "labels/left/a.txt": "0 0.300000 0.500000 0.400000 0.600000\n1 0.750000 0.750000 0.500000 0.500000\n",
        "labels/right/a.txt": "1 0.125000 0.250000 0.250000 0.500000\n",
        "labels/right/b.txt": "",
    }
    assert json.loads((tmp_path / "boxes.yolo" / "data.yaml").read_text())["names"] == ["the kite", "the cat"]
    with pytest.raises(LionError, match="exists"):
        export(answers, tmp_path / "boxes.yolo")


def test_csv_and_jsonl_leave_nothing_out(answers, tmp_path):
    answers.append(located("q.png", 'a "b",\nc', (0, 0, 1, 1)))
    export(answers, tmp_path / "deep" / "boxes.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "deep" / "boxes.csv").read_text())))
    assert [(row["label"], row["x1"], row["y2"], row["ok"]) for row in rows] == [
        ("the kite", "20.0", "80.0", "True"), ("the cat", "100.0", "100.0", "True"), ("the cat", "0.0", "50.0", "True"),
        ("", "", "", "False"), ("", "", "", "False"), ('a "b",\nc', "0.0", "100.0", "True"),
    ]  # fmt: skip
    assert rows[4]["reason"] == "no such file" and rows[3]["text"] == "said the cat" and rows[0]["width"] == "200"
    export(answers, tmp_path / "boxes.jsonl")
    lines = (tmp_path / "boxes.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == [answer.to_json() for answer in answers]


def test_scores_are_exported_where_there_are_any(answers, tmp_path):
    scored = replace(answers[0], boxes=(replace(answers[0].boxes[0], score=0.75),), confidence=0.5)
    export([scored, *answers[1:]], tmp_path / "boxes.coco.json")
    data = json.loads((tmp_path / "boxes.coco.json").read_text())
    assert [row.get("score") for row in data["annotations"]] == [0.75, None, None]
    export([scored, *answers[1:]], tmp_path / "boxes.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "boxes.csv").read_text())))
    assert [(row["score"], row["confidence"]) for row in rows] == [("0.75", "0.5"), *[("", "")] * 4]


@pytest.mark.parametrize("name", ["boxes.JSONL", "b.Coco.Json", "b.yolo", "b.csv"])
def test_formats_are_known_by_any_letters_and_nothing_is_a_file_too(name, tmp_path):
    export([], tmp_path / name)
    assert (tmp_path / name).exists()


def test_what_stands_in_the_way_is_found_before_there_are_answers(answers, tmp_path):
    (tmp_path / "full.yolo").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    mistakes = [
        ("boxes.json", ["a.png"], Verb.LOCATE, "must end in .coco.json, .csv, .jsonl, .yolo"),
        ("boxes", ["a.png"], Verb.LOCATE, "must end in"),
        ("b.coco.json", ["a.png"], Verb.CAPTION, "caption gives none"),
        ("b.yolo", ["a.png"], Verb.ASK, "ask gives none"),
        ("b.yolo", ["x/a.png", "x/a.jpg"], Verb.LOCATE, "two are a.txt"),
        ("b.coco.json", ["a.png", None], None, "without a file's name"),
        ("b.coco.json", ["data:image/png;base64,iVBO..."], None, "without a file's name"),
        ("full.yolo", ["a.png"], None, "exists"),
        ("folder.csv", ["a.png"], None, "exists"),
        ("file/b.csv", ["a.png"], None, "cannot write"),
    ]
    for name, images, verb, message in mistakes:
        with pytest.raises(LionError, match=message):
            check_export(tmp_path / name, images, verb)
    assert check_export(tmp_path / "b.coco.json", ["x/a.png", "x/a.jpg", "y/a.png"]) == ".coco.json"
    with pytest.raises(LionError, match="without a file's name"):
        export([located(None, "the cat", (0, 0, 1, 1))], tmp_path / "b.coco.json")


def test_a_file_url_is_its_path(tmp_path):
    export(
        [located(f"file://{tmp_path}/x/a.png", "it", (0, 0, 1, 1)), located(f"{tmp_path}/y/a.png", "it")],
        tmp_path / "b.coco.json",
    )
    images = json.loads((tmp_path / "b.coco.json").read_text())["images"]
    assert [row["file_name"] for row in images] == ["x/a.png", "y/a.png"]


def test_boxes_are_those_of_the_picture_as_people_see_it(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "decoder", tiny.Says(pipeline.processor, "[0.10,0.20,0.50,0.80]"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 40)).save(tmp_path / "turned.jpg", exif=exif)
    export(pipeline.locate([tmp_path / "turned.jpg"], "the car"), tmp_path / "b.coco.json")
    data = json.loads((tmp_path / "b.coco.json").read_text())
    assert (data["images"][0]["width"], data["images"][0]["height"]) == (40, 100)
    assert data["annotations"][0]["bbox"] == [4, 20, 16, 60]


def test_one_answer_is_exported_as_it_is(answers, tmp_path):
    export(answers[0], tmp_path / "one.jsonl")
    export(answers[:1], tmp_path / "list.jsonl")
    assert (tmp_path / "one.jsonl").read_text() == (tmp_path / "list.jsonl").read_text()
