"""A gallery as one figure for a paper: pictures with question and answers below, boxes as lines."""

import io
import textwrap
from typing import Any

from lion.boxes import Box
from lion.eval.gallery import Gallery, Panel
from lion.figures import COLOURS, INK

_ACROSS, _LETTERS = 3, 44
"""Panels in a row, and letters in a line below one."""
_DASHED = (0, (3.0, 2.0))
"""In line widths."""


def draw(gallery: Gallery, suffix: str) -> bytes:
    """The figure in a format of :data:`lion.figures.FORMATS`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    texts = [_words(gallery, panel) for panel in gallery.panels]
    rows = [range(start, min(start + _ACROSS, len(texts))) for start in range(0, len(texts), _ACROSS)]
    heights = []
    for row in rows:
        heights += [3.05, 0.185 * max(texts[place].count("\n") + 1 for place in row) + 0.15]
    with rc_context({"svg.hashsalt": "gallery", "svg.fonttype": "none", "font.size": 9, "text.parse_math": False}):
        figure = Figure(figsize=(9.6, sum(heights) + 0.3), layout="constrained", facecolor="white")
        grid = figure.subplots(len(heights), _ACROSS, squeeze=False, height_ratios=heights)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, (panel, text) in enumerate(zip(gallery.panels, texts, strict=True)):
            down, across = divmod(number, _ACROSS)
            _paint(grid[2 * down, across], panel)
            grid[2 * down + 1, across].text(0.03, 1, text, va="top", linespacing=1.35).set_in_layout(False)
        if key := _key(gallery):
            figure.legend(handles=key, loc="outside lower center", ncols=len(key), frameon=False)
        buffer = io.BytesIO()
        options: dict[str, Any] = {"metadata": {"Date": None}} if suffix == "svg" else {"dpi": 150}
        figure.savefig(buffer, format=suffix, **options)
    return buffer.getvalue()


def _words(gallery: Gallery, panel: Panel) -> str:
    lines = [panel[0].prompt, *(f"{name}: {text}" for name, text in gallery.answers(panel))]
    return "\n".join(textwrap.fill(" ".join(line.split()), _LETTERS, subsequent_indent="  ") for line in lines)


def _paint(axes: Any, panel: Panel) -> None:
    """The picture in the unit square, true or given box dashed, every answer's in its run's colour."""
    picture = panel[0].image()
    axes.imshow(picture, extent=(0, 1, 1, 0), aspect=picture.height / picture.width)
    for one, colour in zip(panel, COLOURS, strict=False):
        if one.predicted_box:
            _frame(axes, one.predicted_box, colour, "-")
    if panel[0].box:
        _frame(axes, panel[0].box, INK, _DASHED)


def _frame(axes: Any, box: Box, colour: str, dashes: Any) -> None:
    """A line on a wider white one, so that it shows on any ground."""
    x1, y1, x2, y2 = box.clamp().xyxy()
    corners = ([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1])
    for ink, width in (("white", 3.5), (colour, 2)):
        scaled = dashes if dashes == "-" else (0, tuple(length * 2 / width for length in dashes[1]))
        axes.plot(*corners, color=ink, linewidth=width, linestyle=scaled)


def _key(gallery: Gallery) -> list[Any]:
    """What the boxes' lines mean, where there are boxes."""
    from matplotlib.lines import Line2D

    found = [Line2D([], [], color=INK, linewidth=2, linestyle=_DASHED, label="true box, or the one asked about")]
    for place, (name, colour) in enumerate(zip(gallery.names, COLOURS, strict=False)):
        if any(panel[place].predicted_box for panel in gallery.panels):
            found.append(Line2D([], [], color=colour, linewidth=2, label=name))
    return found if any(panel[0].box for panel in gallery.panels) else []
