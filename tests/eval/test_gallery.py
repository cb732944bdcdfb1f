"""The gallery: right and wrong answers in turn, of one run or several side by side, each picture once, boxes drawn."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from PIL import Image

from lion.boxes import Box, format_box
from lion.errors import LionError
from lion.eval import Evaluation, WorldBenchmark
from lion.eval.benchmark import SampleScore
from lion.eval.gallery import Gallery, choose, drawn_boxes
from lion.figures import COLOURS
from lion.prompts import Task
from tests.eval import tiny_world


def sample(group, number, score=1.0, picture=None, **boxes):
    colour = number if picture is None else picture
    image = Image.new("RGB", (40, 40), (colour, 0, 0))
    return SampleScore(group, str(number), "asked", "said", "right", score, lambda: image, **boxes)


def ids(panels):
    return [(panel[0].group, panel[0].id) for panel in panels]


def test_right_and_wrong_ones_in_turn_from_each_set():
    run = [sample("a", n, float(n > 1)) for n in range(6)] + [sample("b", n, picture=100 + n) for n in range(6)]
    assert ids(choose([run], 6)) == [("a", "0"), ("a", "1"), ("a", "2"), ("b", "0"), ("b", "1"), ("b", "2")]
    assert len(choose([run], 50)) == 12


def test_each_picture_is_shown_once():
    run = [sample("a", n, picture=n // 2) for n in range(6)]
    assert ids(choose([run], 6)) == [("a", "0"), ("a", "2"), ("a", "4")]


def test_of_several_runs_those_come_first_that_tell_them_apart():
    first = [sample("a", n, score) for n, score in enumerate((1, 0, 1, 0))]
    second = [sample("a", n, score) for n, score in enumerate((1, 0, 0, 1))]
    assert ids(choose([first, second], 2)) == [("a", "2"), ("a", "3")]
    assert len(choose([first[:3], second], 9)) == 3  # asked of both
    with pytest.raises(LionError, match="no question in common"):
        choose([first, [sample("b", 0)]], 9)


def test_a_dashed_true_box_and_a_solid_answer():
    one = sample("rec", 0, box=Box(0.1, 0.1, 0.9, 0.5), predicted_box=Box(0.1, 0.6, 0.9, 0.95))
    shown = drawn_boxes([one, replace(one, predicted_box=None)])
    assert min(shown.size) >= 256
    row = [shown.getpixel((x, round(0.1 * shown.height))) for x in range(shown.width)]
    assert sum(a != b for a, b in pairwise(row)) > 12  # dashes
    line = shown.getpixel((shown.width // 2, round(0.6 * shown.height)))
    assert line == tuple(bytes.fromhex(COLOURS[0][1:]))


def right(number, question):
    """The world's answers."""
    return format_box(question.box) if question.task == Task.REC else question.answer


def mistaken(number, question):
    """All boxes and one word of the world's answers are wrong."""
    if question.task == Task.REC:
        return "[0.00,0.00,0.01,0.01]"
    return "*seven* <b> [x](y) | \n" if number == 2 and question.set == Task.VQA else right(number, question)


@pytest.fixture(scope="module")
def runs(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, spoil in {"one": mistaken, "other": right}.items():
        run = Evaluation(tiny_world.Oracle(parts, 4, spoil, name=name), WorldBenchmark(limit=4), folder / name)
        run.predict()
        run.finish()
    return folder


def test_a_page_and_its_pictures(runs, tmp_path):
    (tmp_path / "pictures").mkdir()
    for old in ("panel-99.webp", "mine.webp"):
        (tmp_path / "pictures" / old).write_bytes(b"old")
    text = Gallery.read([runs / "one"], 9).page(tmp_path / "pictures")
    shown = re.findall(r"!\[(.*?)\]\((.*?)\)", text)
    assert sorted(path for _, path in shown) == [f"pictures/panel-{n:02}.webp" for n in range(1, len(shown) + 1)]
    assert all(alt for alt, _ in shown)
    for _, path in shown:
        assert Image.open(tmp_path / path).format == "WEBP"
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        "mine.webp", *(path.rpartition("/")[2] for _, path in shown),
    }  # fmt: skip
    assert r"\*seven\* &lt;b&gt; \[x\](y) |" in text and "The pictures are drawn" in text
    assert (
        "## Boxes for words (REC)\n\none 0 of 4 right." in text
        and "one 3 of 4 right." in text
        and "**one** ✗ IoU 0.00: " in text
    )


def test_two_runs_side_by_side(runs, tmp_path):
    text = Gallery.read([runs / "one", runs / "other"], 9).page(tmp_path / "pictures")
    assert "**one** (blue" in text and "**other** (vermilion" in text
    card = next(card for card in text.split("\n-   ") if "seven" in card)
    assert "**one** ✗" in card and "**other** ✓" in card and card.count("![") == 1


def test_two_runs_of_one_model_go_by_their_folders(runs, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "predictions").symlink_to(runs / name / "predictions")
        for file in ("run.json", "scores.json"):
            found = json.loads((runs / name / file).read_text())
            (tmp_path / name / file).write_text(json.dumps({**found, "model": "same"}))
    text = Gallery.read([tmp_path / "one", tmp_path / "other"], 3).page(tmp_path / "pictures")
    assert "**same, one**" in text and "**same, other**" in text


def test_mistakes(runs, tmp_path):
    with pytest.raises(LionError, match="at most 4 runs"):
        Gallery.read([runs / "one"] * 5, 9)
    with pytest.raises(LionError, match=r"holds no run\.json"):
        Gallery.read([tmp_path], 9)
