"""The docs' figures are what their scripts draw of today's code, and can be read by all."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.figures import house, stages, svg
from docs.figures.__main__ import FIGURES
from lion.model.modeling_lion import FROZEN, TRAINABLE
from lion.train.stages import STAGES

FOLDER = Path(svg.__file__).parent


@pytest.mark.parametrize("name", FIGURES)
def test_scripts_and_figures_agree(name):
    drawn = str(FIGURES[name]())
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == drawn, "python -m docs.figures draws them again"
    root = ElementTree.fromstring(drawn)
    title, about = root[:2]
    assert title.text and len(about.text) > 60
    assert "http" not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")  # nothing is fetched


def test_no_figure_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(FIGURES)


def test_words_that_do_not_fit_are_an_error():
    figure = svg.Figure(100, "a", "b")
    with pytest.raises(AssertionError, match="needs"):
        figure.box(0, 0, 60, 40, "plain", "more than fits")
    with pytest.raises(AssertionError, match="leaves the figure"):
        figure.text(svg.WIDTH - 10, 10, "more than fits")


def test_the_stages_show_every_component():
    assert set(stages.ROWS) == {*FROZEN, *TRAINABLE}
    assert [stages.state("qformer", STAGES[f"stage{n}"]) for n in (1, 2, 3)] == ["trains", "not read", "trains"]
    assert [stages.state("region_adapter", STAGES[f"stage{n}"]) for n in (1, 2, 3)] == ["gate 0", "trains", "trains"]


def test_every_floor_of_the_house_is_named():
    assert [floor[0] for floor in house.floors()] == list(house.FLOORS)
