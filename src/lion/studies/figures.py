"""A study's figures, each as PNG and SVG: colours that people with any colour vision tell apart, and marks beside them.

Points are means over seeds; bars and bands are said in the figure. What has not been run is left out, and said.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from lion.atomic import atomic_write
from lion.figures import COLOURS, INK, check_matplotlib, line_style
from lion.studies.readings import gate_distances
from lion.studies.results import Results, Values
from lion.studies.runs import is_finished
from lion.studies.schema import Cell, Figure

_ACROSS = 3
"""Panels in a row."""


def check_figures() -> None:
    """Raise LionError without matplotlib."""
    check_matplotlib("a study's figures need")


def draw(results: Results, name: str, folder: Path, stem: str) -> list[Path]:
    """Draw one figure of the study into `folder`, as `stem.png` and `stem.svg`; none where nothing was run."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    figure = results.study.figures[name]
    panels = _KINDS[figure.kind](results, figure)
    if not panels:
        return []
    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    height = max(panel.height for panel in panels)
    paths = [folder / f"{stem}.png", folder / f"{stem}.svg"]
    with rc_context({"svg.hashsalt": stem, "svg.fonttype": "none", "font.size": 10, "text.color": INK}):
        width = 9.6 if figure.kind in ("claims", "differences") or across > 1 else 6.4
        canvas = Canvas(figsize=(width, 0.9 + down * height), layout="constrained", facecolor="white")
        canvas.suptitle(figure.title, fontsize=12, x=0.01, ha="left", color=INK)
        grid = canvas.subplots(down, across, squeeze=False).flat
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid, panels, strict=False):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=9)
            panel.paint(axes)
        handles, labels = _legend(grid, panels)
        if handles:
            canvas.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False)
        for path in paths:
            picture = io.BytesIO()
            told = {"metadata": {"Date": None}} if path.suffix == ".svg" else {"dpi": 150}
            canvas.savefig(picture, format=path.suffix[1:], **told)
            atomic_write(path, picture.getvalue())
    return paths


class Panel:
    """A part of a figure: how it is painted, and how high it is in inches."""

    def __init__(self, paint: Callable[[Any], None], height: float = 2.8) -> None:
        self.paint, self.height = paint, height


def _legend(grid: Any, panels: Sequence[Panel]) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for axes in grid[: len(panels)]:
        handles, labels = axes.get_legend_handles_labels()
        found |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in found}
    return list(found.values()), list(found)


def _arms(results: Results, figure: Figure) -> list[str]:
    there = {trained.arm for trained in results.chains}
    return [arm for arm in figure.arms or results.study.arms if arm in there]


def _style(results: Results, arm: str) -> dict[str, Any]:
    """Colour, mark and dashes of an arm, the same in all figures of a study."""
    number = list(results.study.arms).index(arm)
    return {**line_style(number), "markersize": 4, "linewidth": 1.5}


def _forest(axes: Any, names: Sequence[str], differences: Sequence[Any], note: str) -> None:
    """A row for each difference, in points of 100, with its interval."""
    places = range(len(names))
    values = [100 * one.value for one in differences]
    reach = [min(100 * one.half_width, 200) for one in differences]
    clear = [not one.low <= 0 <= one.high for one in differences]
    axes.axvline(0, color="0.6", linewidth=1)
    axes.errorbar(values, places, xerr=reach, fmt="none", ecolor="0.35", capsize=3, linewidth=1.2)
    for place, value, seen in zip(places, values, clear, strict=True):
        axes.plot(value, place, "o", markersize=6, markeredgecolor=COLOURS[0], color=COLOURS[0] if seen else "white")
    axes.set_yticks(list(places), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(note, fontsize=9)


def _claims(results: Results, figure: Figure) -> list[Panel]:
    claims = results.study.claims
    chosen = [name for name in figure.claims or claims if results.claim(claims[name])]
    if not chosen:
        return []

    def paint(axes: Any) -> None:
        names = [f"{fill(claims[name].says, _WRAP)}\n{claims[name].score}" for name in chosen]
        _forest(axes, names, [results.claim(claims[name]) for name in chosen], _FOREST)
        for place, name in enumerate(chosen):
            side = " (expected below 0)" if claims[name].expect == "below" else ""
            text = results.verdict(claims[name]) + side
            axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9)

    lines = sum(2 + len(claims[name].says) // _WRAP for name in chosen)
    return [Panel(paint, 0.8 + 0.2 * lines)]


_WRAP = 44
"""Characters of a line of a claim's words."""
_FOREST = (
    "difference in points of 100, with its 95 % interval over seeds and questions; filled: the interval leaves 0 out"
)


def _differences(results: Results, figure: Figure) -> list[Panel]:
    test = next(iter(results.study.tests))
    panels: list[Panel] = []
    for score in figure.scores:
        cells = [Cell(arm, test) for arm in _arms(results, figure) if arm != results.study.base]
        found = [(cell.arm, one) for cell in cells if (one := results.to_base(cell, score))]

        def paint(axes: Any, score: str = score, found: Sequence[Any] = found, first: bool = not panels) -> None:
            _forest(axes, [arm for arm, _ in found], [one for _, one in found], f"less {results.study.base}, points")
            axes.set_title(score, fontsize=10, loc="left")
            if not first:
                axes.tick_params(labelleft=False)

        if found:
            panels.append(Panel(paint, 1.0 + 0.32 * len(found)))
    return panels


def _spread(results: Results, figure: Figure) -> list[Panel]:
    """Scores of the base arm, a ring a seed; the bar is one standard deviation on both sides of their mean."""
    cell = results.study.cell(results.study.base)
    seeds = results.seeds(cell)
    if not seeds:
        return []
    found = {score: 100 * results.values(cell, score, seeds).mean(1) for score in figure.scores}

    def paint(axes: Any) -> None:
        for place, values in enumerate(found.values()):
            axes.plot(values, [place] * len(values), "o", markersize=7, color="none", markeredgecolor=COLOURS[0])
            apart = values.std(ddof=1) if len(values) > 1 else 0.0
            axes.errorbar(values.mean(), place, xerr=apart, fmt="|", color=INK, capsize=4, markersize=12)
            axes.annotate(
                f"{values.mean():.1f} ± {apart:.1f}", (1.01, place), xycoords=("axes fraction", "data"), va="center"
            )
        axes.set_yticks(range(len(found)), list(found))
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlabel("score times 100: rings are seeds, the bar one standard deviation on both sides", fontsize=9)

    return [Panel(paint, 0.8 + 0.42 * len(found))]


def _lines(results: Results, figure: Figure) -> list[Panel]:
    """A score against the tests' places on the axis, a line for each arm, the band one standard error over seeds."""
    tests = [(results.study.tests[name].at or 0.0, name) for name in figure.tests]
    panels = []
    for score in figure.scores:
        lines = {}
        for arm in _arms(results, figure):
            found = [(at, results.score(Cell(arm, name), score)) for at, name in sorted(tests)]
            if points := [(at, one.mean, (one.spread or 0) / one.seeds**0.5) for at, one in found if one]:
                lines[arm] = np.array(points)

        def paint(axes: Any, score: str = score, lines: dict[str, Values] = lines) -> None:
            for arm, points in lines.items():
                style = _style(results, arm)
                axes.plot(points[:, 0], 100 * points[:, 1], label=arm, **style)
                low, high = points[:, 1] - points[:, 2], points[:, 1] + points[:, 2]
                axes.fill_between(points[:, 0], 100 * low, 100 * high, color=style["color"], alpha=0.15, linewidth=0)
            axes.set_title(score, fontsize=10, loc="left")
            axes.set_xlabel(f"{figure.axis}\nband: one standard error over seeds", fontsize=9)

        if lines:
            panels.append(Panel(paint))
    return panels


def _curves(results: Results, figure: Figure) -> list[Panel]:
    """Scores on val questions against samples seen, mean over seeds, the band from the lowest to the highest seed."""
    panels = []
    for score in figure.scores:
        curves = {arm: results.curves(arm).get(score, []) for arm in _arms(results, figure)}
        curves = {arm: points for arm, points in curves.items() if points}

        def paint(axes: Any, score: str = score, curves: dict[str, Any] = curves) -> None:
            for arm, points in curves.items():
                style, at = _style(results, arm), [place for place, _ in points]
                axes.plot(at, [100 * values.mean() for _, values in points], label=arm, **style)
                low, high = [100 * v.min() for _, v in points], [100 * v.max() for _, v in points]
                axes.fill_between(at, low, high, color=style["color"], alpha=0.15, linewidth=0)
            axes.set_title(f"{score}, val", fontsize=10, loc="left")
            axes.set_xlabel("samples seen, all runs of the arm\nband: lowest to highest seed", fontsize=9)

        if curves:
            panels.append(Panel(paint))
    return panels


def _cosines(results: Results, figure: Figure) -> list[Panel]:
    """Cosine between the levels' gradients by layer, mean over validations and seeds; grey: within a level."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for arm in _arms(results, figure):
        for name, points in results.curves(arm).items():
            kind, _, layer = name.partition("/")
            if kind in ("gradient_cosine", "gradient_cosine_within"):
                means = [float(values.mean()) for _, values in points]
                found.setdefault(arm, {}).setdefault(kind, {})[layer] = float(np.mean(means))
    if not found:
        return []
    layers = list(dict.fromkeys(layer for kinds in found.values() for kind in kinds.values() for layer in kind))
    layers = [each for each in layers if "." in each] + [each for each in layers if "." not in each]

    def paint(axes: Any) -> None:
        axes.axhline(0, color="0.6", linewidth=1)
        for arm, kinds in found.items():
            style = _style(results, arm)
            for kind, more in (("gradient_cosine", {"label": arm}), ("gradient_cosine_within", {"alpha": 0.35})):
                some = [(place, kinds[kind][layer]) for place, layer in enumerate(layers) if layer in kinds[kind]]
                axes.plot([at for at, _ in some], [value for _, value in some], **style, **more)
        axes.set_xticks(range(len(layers)), layers, rotation=35, ha="right", fontsize=8)
        axes.set_ylabel("cosine", fontsize=9)
        axes.set_title("between image- and region-level gradients; pale: between two batches of one level", fontsize=9)

    return [Panel(paint, 3.6)]


def _gates(results: Results, figure: Figure) -> list[Panel]:
    """How far the gates of the two levels are apart, by layer; the band one standard deviation over seeds."""
    lines: dict[str, dict[str, list[float]]] = {}
    for arm in _arms(results, figure):
        folders = [
            results.chains[t][-1].folder for t in results.chains if t.arm == arm and is_finished(results.chains[t][-1])
        ]
        if folders:
            lines[arm] = gate_distances(folders)
    if not lines:
        return []

    def paint(axes: Any) -> None:
        layers = list(next(iter(lines.values())))
        for arm, found in lines.items():
            style, places = _style(results, arm), range(len(layers))
            means = np.array([np.mean(found[layer]) for layer in layers])
            apart = np.array([np.std(found[layer], ddof=1) if len(found[layer]) > 1 else 0.0 for layer in layers])
            axes.plot(places, means, label=arm, **style)
            axes.fill_between(places, means - apart, means + apart, color=style["color"], alpha=0.15, linewidth=0)
        axes.set_xticks(range(len(layers)), layers, rotation=35, ha="right", fontsize=8)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.set_ylabel("mean |image gate - region gate|\n(1 before training)", fontsize=9)
        axes.set_xlabel("band: one standard deviation over seeds", fontsize=9)

    return [Panel(paint, 3.2)]


_KINDS: dict[str, Callable[[Results, Figure], list[Panel]]] = {
    "claims": _claims,
    "differences": _differences,
    "spread": _spread,
    "lines": _lines,
    "curves": _curves,
    "cosines": _cosines,
    "gates": _gates,
}
