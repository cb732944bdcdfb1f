"""The radar: every benchmark of the paper has a spoke, ours beside the paper's columns, and gaps where none was run."""

import io
import math
from xml.etree import ElementTree

import pytest
from PIL import Image

from lion.errors import LionError
from lion.eval import PAPER
from lion.eval.document import Picture, html_body, markdown
from lion.eval.radar import draw, lines, radar
from lion.eval.report import _with_missing
from lion.eval.rows import ScoreRow


def row(name, value=None, model="mine", score=None):
    paper = PAPER[name]
    score = score or paper.headline[0]
    return ScoreRow(paper.table, name, score, paper.paper.get(score, {}), value, model=model)


def test_every_benchmark_of_the_paper_has_a_spoke():
    spokes, paper, ours = lines(_with_missing([row("okvqa", 57.33), row("okvqa", 40.0, score="accuracy-2021")]))
    assert [one.benchmark for one in spokes] == [one.name for one in PAPER.values() if one.paper]
    assert list(paper) == ["LION-4B (paper)", "LION-4B zero-shot (paper)", "LION-12B zero-shot (paper)"]
    assert list(ours) == ["mine"]
    assert all(len(line) == len(spokes) for line in [*paper.values(), *ours.values()])
    place = [one.benchmark for one in spokes].index("okvqa")
    assert ours["mine"][place] == 1 and sum(share is not None for share in ours["mine"]) == 1
    assert paper["LION-4B (paper)"][place] == pytest.approx(51.08 / 57.33)


def test_where_the_paper_names_no_size_its_one_number_is_the_ring():
    spokes, paper, ours = lines(_with_missing([row("pope-random", 88.33), row("mmbench", 36.7)]))
    shares = dict(zip([one.benchmark for one in spokes], ours["mine"], strict=True))
    assert shares["pope-random"] == 1 and shares["mmbench"] == pytest.approx(0.5)
    assert paper["LION-4B (paper)"][-1] is None  # the paper's MMBench is LION-12B's


def test_two_runs_of_one_model_are_two_lines():
    _, _, ours = lines([row("gqa", 20.0), row("gqa", 30.0), row("gqa", 40.0, "LION-4B"), row("vsr", 50.0)])
    assert list(ours) == ["mine", "mine (2)", "LION-4B"] and ours["mine (2)"][1] is None


def test_drawn_pictures_and_own_files_stand_beside_nobodys_numbers():
    drawn = ScoreRow("Questions, drawn", "gqa", "vqa_normalised", {}, 90.0, model="mini", drawn=True)
    assert radar([drawn]) is None
    assert radar(_with_missing([drawn])) is None  # nothing of the paper's was run
    assert list(lines(_with_missing([drawn, row("vsr", 50.0)]))[2]) == ["mine"]


def test_the_figure_in_both_formats():
    rows = _with_missing([row("okvqa", 50.0), row("vsr", 90.0), row("gqa", math.nan), row("coco-caption", 0.0)])
    figure = draw(rows)
    texts = "".join(ElementTree.fromstring(figure["svg"]).itertext())
    for words in ("okvqa", "139.2", "mine", "LION-4B", "not run", "LION-12B (paper): 100 %"):
        assert words in texts, words
    assert figure["svg"] == draw(rows)["svg"]
    assert Image.open(io.BytesIO(figure["png"])).width >= 1000


def test_a_picture_in_both_forms_of_a_document():
    picture = Picture('a "b" [c]', "radar.svg", b"<svg/>")
    assert markdown([picture]) == '![a "b" \\[c\\]](radar.svg)\n'
    assert html_body([picture]) == (
        '<img alt="a &quot;b&quot; [c]" src="data:image/svg+xml;base64,PHN2Zy8+" style="max-width: 100%">'
    )


def test_without_matplotlib_the_report_says_what_it_lacks(monkeypatch):
    def missing(needs):
        raise LionError(f"{needs} matplotlib: pip install 'lion-vlm[plot]'")

    monkeypatch.setattr("lion.eval.radar.check_matplotlib", missing)
    blocks, figure = radar(_with_missing([row("vsr", 50.0)]))
    assert blocks == ["The radar needs matplotlib: pip install 'lion-vlm[plot]'"] and figure == {}
