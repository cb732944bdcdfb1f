"""The curves of one or several runs as a figure of small panels: losses, scores, gates, gradient norms, speed.

A run has one colour and one kind of line in all panels, which people with any colour vision tell apart; the number at
a line's end is its last value. Where there are many points, a pale line has them and a strong one their running mean.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lion.atomic import atomic_write
from lion.errors import LionError
from lion.figures import COLOURS, DASHES, INK, LEVELS, PALE, SOFT, check_format, check_matplotlib
from lion.train import curves
from lion.train.curves import Panel, Points, RunCurves

_ACROSS, _WIDTH, _DPI = 4, 12.0, 100
"""Panels in a row; inches of the figure's width, which are 1,200 pixels."""
_HEAD, _HEADING, _ROW = 0.4, 0.4, 1.8
"""Inches of height above and below the legend, of a section's heading, and of a row of panels."""
_PLOT, _LEFT, _BELOW = (1.83, 1.15), 0.62, 0.35
"""Inches of a panel without its labels (width, height), and what is left free beside and below it."""
_POINTS, _MANY = 1000, 60
"""Most points of a line, and from how many on a running mean is drawn."""
_BLOCKS = 12
"""Most blocks whose gates are drawn, evenly spaced."""
_LINES: dict[str, Any] = {"image": "-", "region": (0, (4, 1.5))}
"""Kinds of lines of the task levels."""
_HOW_TO_READ = "from left to right: steps; at a line's end: its last value; pale: every value, strong: the running mean"


def check_curves_plot(path: Path) -> None:
    """Raise LionError where no figure could be saved under that name."""
    check_matplotlib("--plot needs")
    check_format(path, f"--out {path}")


def plot_curves(folders: Sequence[Path], path: Path) -> list[str]:
    """Save the figure of the runs in the folders (see :func:`lion.train.curves.read_runs`) in a format of
    :data:`lion.figures.FORMATS`.

    Returns: the runs' names. Raises: LionError as `read_runs`, without matplotlib, or if nothing has been logged yet.
    """
    check_curves_plot(path)
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    runs = curves.read_runs(folders)
    sections = [each for each in _sections(runs) if each.panels]
    if not sections:
        raise LionError(f"{', '.join(run.name for run in runs)}: nothing has been logged yet; try again later")
    rows = [-(-len(section.panels) // _ACROSS) for section in sections]
    head = _HEAD + 0.25 * -(-len(runs) // _ACROSS)
    height = head + sum(section.heading + row * _ROW for section, row in zip(sections, rows, strict=True))
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    names = [run.name if len(run.name) <= 40 else "..." + run.name[-37:] for run in runs]
    lines = [Line2D([], [], **_style(runs, run), lw=2.2, label=name) for run, name in zip(runs, names, strict=True)]
    _legend(figure, lines, (0.004, 1 - 0.05 / height), loc="upper left", fontsize=11)
    figure.text(0.012, 1 - (head - 0.12) / height, _HOW_TO_READ, fontsize=9, color=SOFT, va="center")
    top = height - head
    for section, row in zip(sections, rows, strict=True):
        where: dict[str, Any] = {
            "fontsize": 12,
            "fontweight": "bold",
            "color": INK,
            "va": "center",
            "parse_math": False,
        }
        figure.text(0.012, (top - 0.6 * _HEADING) / height, section.title, **where)
        _legend(figure, section.legend, (0.004, (top - 1.3 * _HEADING) / height), loc="center left", fontsize=9)
        top -= section.heading
        for number, panel in enumerate(section.panels):
            down, across = divmod(number, _ACROSS)
            left, bottom = across * _WIDTH / _ACROSS + _LEFT, top - (down + 1) * _ROW + _BELOW
            box = (left / _WIDTH, bottom / height, _PLOT[0] / _WIDTH, _PLOT[1] / height)
            section.draw(figure.add_axes(box), panel)
        top -= row * _ROW
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=_DPI)
    if path.suffix.lower() == ".png":  # a third of the bytes, and nobody sees it
        whole, picture = Image.open(picture).convert("RGB"), io.BytesIO()
        whole.quantize(128).save(picture, "PNG", optimize=True)
    try:
        atomic_write(path, picture.getvalue())
    except OSError as error:
        raise LionError(f"cannot save '{path}': {error.strerror or error}; name another place") from error
    return [run.name for run in runs]


@dataclass(frozen=True, slots=True)
class _Section:
    """Panels under a heading; `draw` is called with axes and a panel."""

    title: str
    panels: Sequence[Any]
    draw: Callable[[Any, Any], None]
    legend: Sequence[Any] = ()
    """Labelled lines that stand under the title."""

    @property
    def heading(self) -> float:
        """Inches of height."""
        return 1.65 * _HEADING if self.legend else _HEADING


def _sections(runs: Sequence[RunCurves]) -> Iterator[_Section]:
    from matplotlib.lines import Line2D

    def curve(axes: Any, panel: Panel, log: bool = False) -> None:
        _draw(axes, panel, runs, log)

    pairs = [(adapter, level) for level in LEVELS for adapter in LEVELS]
    kinds = [Line2D([], [], **_gate_style(*pair), label=f"{pair[0]} adapter, {pair[1]} level") for pair in pairs]

    yield _Section("Loss", curves.losses(runs), curve)
    yield _Section("Validation: scores times 100", curves.scores(runs), curve)
    for run in runs:
        blocks = _some(curves.gates(run))
        of = f" of {run.name}" if len(runs) > 1 else ""
        title = f"Router's gates{of}, mean over channels: change since the first step, and at the end the gate"
        yield _Section(title, list(blocks.items()), partial(_draw_gates, _range(blocks)), kinds)
    yield _Section("Gradient norm, before clipping (logarithmic)", curves.norms(runs), partial(curve, log=True))
    yield _Section("Speed, memory, learning rate", curves.speeds(runs), curve)


def _legend(figure: Any, lines: Sequence[Any], place: tuple[float, float], **how: Any) -> None:
    if lines:
        found = figure.legend(
            handles=lines, bbox_to_anchor=place, ncols=_ACROSS, frameon=False, handlelength=2.6, **how
        )
        for text in found.get_texts():
            text.set_parse_math(False)


def _style(runs: Sequence[RunCurves], run: RunCurves) -> dict[str, Any]:
    number = runs.index(run)
    return {"color": COLOURS[number % len(COLOURS)], "ls": DASHES[number % len(DASHES)]}


def _draw(axes: Any, panel: Panel, runs: Sequence[RunCurves], log: bool) -> None:
    if log:
        axes.set_yscale("log")
    ends = []
    for run, points in panel.lines:
        style = _style(runs, run)
        last = _line(axes, points, style, log)
        ends.append((last, style["color"], f"{last:.3g}"))
    _dress(axes, panel.title)
    _label_ends(axes, ends)


def _line(axes: Any, points: Points, style: dict[str, Any], positive: bool = False) -> float:
    """Draw a curve; returns where its line ends."""
    steps, values = (np.asarray(each, float) for each in points)
    if positive:
        steps, values = steps[values > 0], values[values > 0]
    if len(values) > _POINTS:
        bins = np.array_split(np.arange(len(values)), _POINTS)
        steps, values = (np.array([each[some].mean() for some in bins]) for each in (steps, values))
    strong = {**style, "lw": 1.6}
    if len(values) > _MANY:
        axes.plot(steps, values, color=style["color"], alpha=0.22, lw=0.7)
        width = max(len(values) // 25, 2)
        weights = np.ones(width)
        mean = np.convolve(values, weights, "same") / np.convolve(np.ones(len(values)), weights, "same")
        axes.plot(steps, mean, **strong)
        return float(mean[-1])
    axes.plot(steps, values, marker="o" if len(values) < 20 else None, ms=2.5, **strong)
    return float(values[-1]) if len(values) else float("nan")


def _dress(axes: Any, title: str) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    axes.grid(axis="y", color=PALE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5, colors=INK)
    axes.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if step >= 1000 else f"{step:g}")
    axes.xaxis.get_major_locator().set_params(nbins=5, integer=True)
    if axes.get_yscale() == "log":
        axes.set_yticks(_log_ticks(*axes.get_ylim()))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")


def _log_ticks(low: float, high: float) -> list[float]:
    """At most five round numbers of a logarithmic axis."""
    decades = np.log10(high / low)
    if decades < 0.8:
        step = 10.0 ** np.floor(np.log10(high - low))
        step *= next(factor for factor in (0.2, 0.5, 1, 2, 5) if (high - low) / (factor * step) <= 5)
        return [number * step for number in range(int(np.ceil(low / step)), int(high / step) + 1)]
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = [float(power * factor) for power in powers for factor in ((1, 2, 5) if decades < 1.7 else (1,))]
    ticks = [tick for tick in ticks if low <= tick <= high]
    return ticks[:: -(-len(ticks) // 5)]


def _label_ends(axes: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """A text beside each line's end (place, colour, text), moved apart where they would touch."""
    ends = [end for end in ends if np.isfinite(end[0])]
    bottom, top = axes.get_ylim()
    if axes.get_yscale() == "log":
        low = np.array([np.log(value / bottom) / np.log(top / bottom) for value, *_ in ends])
    else:
        low = np.array([(value - bottom) / (top - bottom) for value, *_ in ends])
    high, places = 0.0, []
    for number in np.argsort(low):
        high = max(low[number], high)
        places.append((number, high))
        high += 0.13
    over = max(high - 0.13 - max(1.0, low.max()), 0.0) if len(ends) else 0.0
    for number, place in places:
        _, colour, text = ends[number]
        where = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points"}
        axes.annotate(text, (1, place - over), **where, color=colour, fontsize=8.5, va="center")


def _some(blocks: dict[str, dict[str, Points]]) -> dict[str, dict[str, Points]]:
    """At most _BLOCKS of them, evenly spaced, with the first and the last."""
    if len(blocks) <= _BLOCKS:
        return blocks
    chosen = np.linspace(0, len(blocks) - 1, _BLOCKS).round().astype(int)
    names = list(blocks)
    return {names[number]: blocks[names[number]] for number in chosen}


def _range(blocks: dict[str, dict[str, Points]]) -> tuple[float, float]:
    """The scale that the changes of all gates of a run share."""
    changes = [value - gates[0] for pairs in blocks.values() for _, gates in pairs.values() for value in gates] or [0.0]
    room = 0.06 * max(max(changes) - min(changes), 1e-3)
    return min(changes) - room, max(changes) + room


def _gate_style(adapter: str, level: str) -> dict[str, Any]:
    return {"color": LEVELS[adapter], "ls": _LINES[level], "lw": 1.6}


def _draw_gates(scale: tuple[float, float], axes: Any, of: tuple[str, dict[str, Points]]) -> None:
    """How far the gates of a block have moved, which is little beside where they began, and what they are now."""
    block, pairs = of
    ends = []
    for pair, (steps, gates) in pairs.items():
        level, adapter = pair.split("/")
        changes = [value - gates[0] for value in gates]
        axes.plot(steps, changes, **_gate_style(adapter, level))
        ends.append((changes[-1], LEVELS[adapter], f"{round(gates[-1], 3) + 0.0:.3f}"))
    axes.set_ylim(scale)
    _dress(axes, block)
    _label_ends(axes, ends)
