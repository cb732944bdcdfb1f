"""One palette for all figures."""

import re
from pathlib import Path

import pytest

from lion.errors import LionError
from lion.figures import COLOURS, DASHES, MARKS, check_format, line_style

SOURCE = Path(__file__).parents[1] / "src" / "lion"


def test_every_plot_takes_its_colours_from_the_palette():
    plots = [path for path in SOURCE.rglob("*.py") if "matplotlib" in path.read_text() and path.name != "figures.py"]
    plots.append(SOURCE / "studies" / "figures.py")
    assert len(plots) >= 4
    assert [path.name for path in plots if re.search(r"[\"']#[0-9a-fA-F]{6}[\"']", path.read_text())] == []


def test_lines_differ_by_more_than_colour():
    assert len(COLOURS) == len(set(COLOURS)) == len(set(MARKS)) == len(set(DASHES))
    assert line_style(len(COLOURS)) == line_style(0) != line_style(1)


def test_formats():
    check_format("a.PNG", "--out")
    with pytest.raises(LionError, match=r"--out: the name must end in \.png, \.svg, \.pdf"):
        check_format("a.jpg", "--out")
