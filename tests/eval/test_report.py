"""Tables and gallery: what was run stands beside the paper's, what was not says so, and errors can be looked at."""

import base64
import html.parser
import io
import json
import re

import pytest
from PIL import Image

from lion.boxes import format_box
from lion.data.sources import READERS
from lion.errors import LionError
from lion.eval import PAPER, Evaluation, WorldBenchmark
from lion.eval.benchmark import SampleScore
from lion.eval.document import Heading, Items, Table, html_body, markdown
from lion.eval.predictions import Predictions, run_folders
from lion.eval.report import _with_missing, write_report
from lion.eval.rows import ScoreRow, score_rows
from lion.eval.worst_errors import MAX_ERRORS, annotated, lowest, worst_errors
from lion.prompts import Task
from tests.eval import drawn, tiny_world
from tests.eval.drawn import Knowing, on

LIMIT = 20


class Tags(html.parser.HTMLParser):
    """Checks that tags are closed in order, and collects pictures."""

    def __init__(self, text):
        super().__init__()
        self.open, self.pictures, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.data(tmp_path_factory.mktemp("drawn"))


def mistaken(number, question):
    """The world's answers, one box and one word of them wrong."""
    if number == 1 and question.task == Task.REC:
        return "[0.00,0.00,0.01,0.01]"
    if number == 2 and question.set == Task.VQA:
        return "seven"
    return format_box(question.box) if question.task == Task.REC else question.answer


@pytest.fixture(scope="module")
def runs(parts, data, tmp_path_factory):
    """REC with misses, VQA with a mistake, captions all right, and the world."""
    folder = tmp_path_factory.mktemp("runs")
    spoils = {
        "refcocog-test": lambda record, text: "[0.0,0.0,0.1,0.1]" if int(record.id) % 2 else text,
        "okvqa": lambda record, text: "<b>nonsense</b> | \n" if record.id == "1000" else text,
        "coco-caption": lambda record, text: text,
    }
    for name, spoil in spoils.items():
        benchmark = on(name, data, limit=LIMIT)
        run = Evaluation(Knowing(parts, benchmark, spoil), benchmark, folder / name)
        run.predict()
        run.finish()
    run = Evaluation(tiny_world.Oracle(parts, 4, mistaken), WorldBenchmark(limit=4), folder / "world")
    run.predict()
    run.finish()
    return folder


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return out, write_report([runs], out)


def test_the_files(report):
    out, written = report
    assert {path.name for path in out.iterdir()} == {
        "report.md", "report.json", "report.html", "radar.svg", "radar.png",
    }  # fmt: skip
    assert "3 of them run: knowing, LION-4B (paper)" in (out / "report.md").read_text()
    assert (out / "report.md").read_text() == markdown(written[0])
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(written[1]))
    page = Tags((out / "report.html").read_text())
    for cell in ("coco-caption", "138.20", "not run", "20 of 9602", "The worst errors", "knowing"):
        assert cell in page.text, cell


def test_ours_stands_beside_the_papers(report, runs):
    rows = {(row["benchmark"], row["score"]): row for row in report[1][1]["rows"]}
    captions = rows["coco-caption", "cider"]
    assert captions["paper"] == {"LION-4B": 138.20, "LION-12B": 139.25}
    assert captions["value"] > 100 and (captions["samples"], captions["official"]) == (20, 5000)
    assert captions["setting"] == "prompt caption, decoding lion, with tags" and captions["model"] == "knowing"
    without = {**json.loads((runs / "coco-caption" / "scores.json").read_text()), "tagger": False}
    assert all(
        row.setting.endswith("without tags") for row in score_rows({"date": "2026-11-26", "hardware": "", **without})
    )
    found = rows["refcocog-test", "accuracy@0.5"]
    assert 0 < found["value"] < 100 and found["paper"]["LION-12B zero-shot"] == 64.69
    assert rows["pope-random", "f1"]["value"] is None and rows["visdial", "mrr"]["value"] is None
    assert rows["average of the eight", "accuracy@0.5"]["paper"]["LION-12B"] == pytest.approx(86.36, abs=0.01)
    assert ("vqav2", "accuracy") not in rows  # neither in the paper nor run


def test_markdown_tables_are_tables(report):
    text = markdown(report[1][0])
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") - line.count("\\|") for line in block.splitlines()}) == 1, block
    assert "| coco-caption | cider | 138.20 | 139.25 |" in text
    assert re.search(r"\| refcocog-val \| accuracy@0\.5 \| 85\.69 \| 85\.52 \| 64\.74 \| 66\.12 \| not run \|", text)
    assert "## The drawn world: oracle" in text and "Based on the image, respond to this question" in text


def test_errors_can_be_looked_at(runs, report):
    out, written = report
    errors = written[1]["errors"]
    ours = {error["benchmark"] for error in errors if not error["benchmark"].startswith("world-test: ")}
    assert ours == {"refcocog-test", "okvqa"}
    (wrong,) = (error for error in errors if error["benchmark"] == "okvqa")
    assert wrong["said"] == "<b>nonsense</b> | \n" and wrong["worth"] == 0 and wrong["right"]
    page = Tags((out / "report.html").read_text())
    radar, *pictures = page.pictures
    assert radar.startswith("data:image/svg+xml;base64,") and len(pictures) == len(errors)
    assert "<b>nonsense</b>" in page.text
    assert "truth" in page.text and all(one["worth"] < 0.5 for one in errors if one["benchmark"] == "refcocog-test")
    for source in pictures:
        picture = Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))))
        assert min(picture.size) >= 64


def test_the_world_has_its_errors_too(report):
    errors = [error for error in report[1][1]["errors"] if error["benchmark"] == "world-test: rec"]
    assert errors[0]["said"] == "[0.00,0.00,0.01,0.01]" and errors[0]["worth"] == 0
    (vqa,) = (error for error in report[1][1]["errors"] if error["benchmark"] == "world-test: vqa")
    assert vqa["said"] == "seven" and vqa["id"] == "vqa-test-2"


@pytest.mark.parametrize("count", [0, 3, MAX_ERRORS, 100])
def test_the_worst_of_many(count):
    places = lowest([0.0] * count + [1.0] * 5 + [0.5] * 2)
    assert len(places) == min(MAX_ERRORS, count + 2) == len(set(places))
    assert all(place < count for place in places[:count])
    if count == 100:
        assert places[-1] > 90  # from all of them, not the first ones


def test_a_box_that_hits_is_no_error():
    def located(iou, right_from):
        return SampleScore("rec", str(iou), "", "", "", iou, lambda: None, right_from=right_from)

    errors = worst_errors([located(iou, 0.5) for iou in (0.9, 0.5, 0.49, 0.0)])
    assert [one.id for one in errors] == ["0.0", "0.49"]
    assert [one.id for one in worst_errors([located(score, 1.0) for score in (0.9, 1.0)])] == ["0.9"]


def test_the_worst_come_first_and_boxes_are_drawn(runs, data):
    benchmark = on("refcocog-test", data, limit=LIMIT)
    errors = worst_errors(benchmark.sample_scores(Predictions(runs / "refcocog-test").read))
    scores = [one.score for one in errors]
    assert 0 < len(errors) <= MAX_ERRORS and scores == sorted(scores)
    assert all(one.score < 0.5 and one.generated == "[0.0,0.0,0.1,0.1]" for one in errors[:3])
    plain = benchmark.selection.records[0].image
    assert annotated(errors[0]).size[0] >= 320 and errors[0].reference.startswith("[0.")
    assert annotated(errors[0]).tobytes() != Image.open(plain).tobytes()


def test_no_errors_no_gallery(parts, data, tmp_path):
    benchmark = on("gqa", data, limit=3)
    run = Evaluation(Knowing(parts, benchmark), benchmark, tmp_path / "run")
    run.predict()
    run.finish()
    assert write_report([tmp_path / "run"], tmp_path / "out")[1]["errors"] == []
    assert "worst errors" not in (tmp_path / "out" / "report.html").read_text()


def test_drawn_pictures_stand_beside_nobodys_numbers(parts, data, tmp_path):
    benchmark = on("gqa", data, limit=3, drawn=True)
    run = Evaluation(Knowing(parts, benchmark), benchmark, tmp_path / "run")
    run.predict()
    run.finish()
    rows = write_report([tmp_path / "run"], tmp_path / "out")[1]["rows"]
    assert [(row["table"], row["benchmark"]) for row in rows] == [("Questions, drawn", "gqa")] * 2
    assert all(row["paper"] == {} and row["official"] is None and row["value"] == 100 for row in rows)
    both = on("vsr", data, limit=3)
    run = Evaluation(Knowing(parts, both), both, tmp_path / "both")
    run.predict()
    run.finish()
    rows = write_report([tmp_path / "run", tmp_path / "both"], tmp_path / "out")[1]["rows"]
    gqa = [row for row in rows if row["benchmark"] == "gqa"]
    assert [(row["table"], row["value"]) for row in gqa] == [
        ("Questions", None), ("Questions, drawn", 100), ("Questions, drawn", 100),
    ]  # fmt: skip


def test_mistakes(runs, parts, data, tmp_path):
    with pytest.raises(LionError, match=r"holds no run\.json"):
        run_folders([tmp_path])
    assert [path.name for path in run_folders([runs])] == ["coco-caption", "okvqa", "refcocog-test", "world"]
    assert run_folders([runs / "okvqa", runs])[0] == runs / "okvqa" and len(run_folders([runs / "okvqa", runs])) == 4
    benchmark = on("gqa", data, limit=3)
    Evaluation(Knowing(parts, benchmark), benchmark, tmp_path / "run")
    with pytest.raises(LionError, match="is not scored yet"):
        write_report([tmp_path / "run"], tmp_path / "out")
    (tmp_path / "run" / "scores.json").write_text("{")
    with pytest.raises(LionError, match="not readable JSON; run lion eval score"):
        write_report([tmp_path / "run"], tmp_path / "out")


def test_a_document_in_both_forms():
    document = [
        Heading("A & B", 1),
        Table([["x", "y"], ["1 | 2", ""], ["<i>", "z"]]),
        Items(["one", "two & three"]),
        "a < b",
    ]
    assert markdown(document) == (
        "# A & B\n\n| x | y |\n| --- | --- |\n| 1 \\| 2 |  |\n| <i> | z |\n\n* one\n* two & three\n\na < b\n"
    )
    page = Tags(html_body(document))
    assert "<i>" in page.text and "<td></td>" in html_body(document) and "A &amp; B" in html_body(document)


def test_the_average_of_limited_runs_says_so():
    """Ten samples of each split are eighty of all."""
    splits = [one for one in PAPER.values() if one.headline[0] == "accuracy@0.5"]
    official = {one.name: READERS[one.dataset].info.splits[one.split] for one in splits}
    rows = [
        ScoreRow(one.table, one.name, "accuracy@0.5", {}, 50.0, 1.0, 10, official[one.name], model="m")
        for one in splits
    ]
    (mean,) = [row for row in _with_missing(rows) if row.benchmark == "average of the eight"]
    assert mean.ours == "50.00 ± 0.35" and mean.count == f"80 of {sum(official.values())}"
