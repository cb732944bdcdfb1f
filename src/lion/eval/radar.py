"""The paper's benchmarks as a radar: a spoke each, and on it ours and the paper's columns as shares of LION-12B's.

What was not run is a gap in the line, and its spoke says so. Drawn pictures and own files have no spoke.
"""

import io
import math
from collections.abc import Mapping, Sequence

from lion.errors import LionError
from lion.eval.benchmarks.paper import PAPER, XXL
from lion.eval.document import Block, Picture
from lion.eval.rows import NOT_RUN, ScoreRow
from lion.figures import DASHES, INK, PALE, SOFT, check_matplotlib, line_style

FILE = "radar"
"""Its name in a report's folder, without the format's ending."""
_OF_ALL = "LION"
"""The paper's column where it names no size; there it is the ring."""
Shares = list[float | None]


def radar(rows: Sequence[ScoreRow]) -> tuple[list[Block], Mapping[str, bytes]] | None:
    """What a report shows, and the files by format; None where no benchmark of the paper was run."""
    if not any(row.paper and row.value is not None for row in rows):
        return None
    try:
        check_matplotlib("The radar needs")
    except LionError as missing:
        return [str(missing)], {}
    figure, (spokes, paper, ours) = draw(rows), lines(rows)
    names = ", ".join([*ours, *paper])
    alt = f"Radar of the paper's {len(spokes)} benchmarks, {sum(_run(spokes, ours))} of them run: {names}"
    return [Picture(alt, f"{FILE}.svg", figure["svg"])], figure


def lines(rows: Sequence[ScoreRow]) -> tuple[list[ScoreRow], dict[str, Shares], dict[str, Shares]]:
    """A row for each spoke, and by name the lines, the paper's other columns and ours: shares of the ring, or None.

    A model's second run of a benchmark is on a line of its own.
    """
    comparable = [row for row in rows if row.benchmark in PAPER and not row.drawn and row.score == _score(row)]
    spokes = {row.benchmark: row for row in reversed(comparable) if row.paper}
    places = {name: place for place, name in enumerate(reversed(spokes))}
    shown = [spokes[name] for name in places]
    columns = dict.fromkeys(model for row in shown for model in row.paper if model not in (XXL, _OF_ALL))
    paper = {
        f"{model} (paper)": [row.paper[model] / _ring(row) if model in row.paper else None for row in shown]
        for model in columns
    }
    ours: dict[str, Shares] = {}
    for row in comparable:
        if row.value is None or row.benchmark not in places:
            continue
        place, number, name = places[row.benchmark], 1, row.model
        while name in ours and ours[name][place] is not None:
            number += 1
            name = f"{row.model} ({number})"
        ours.setdefault(name, [None] * len(shown))[place] = row.value / _ring(row)
    return shown, paper, ours


def draw(rows: Sequence[ScoreRow]) -> dict[str, bytes]:
    """The figure as ``svg`` and as ``png``."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    spokes, paper, ours = lines(rows)
    run = _run(spokes, ours)
    angles = [2 * math.pi * place / len(spokes) for place in range(len(spokes) + 1)]
    top = max(1.1, *(share or 0 for line in [*paper.values(), *ours.values()] for share in line))
    with rc_context({"svg.hashsalt": FILE, "svg.fonttype": "none", "font.size": 10, "text.color": INK}):
        figure = Figure(figsize=(9.6, 8.8), layout="constrained", facecolor="white")
        axes = figure.add_subplot(projection="polar", theta_offset=angles[-1] / 4, theta_direction=-1)
        styles = [{"color": SOFT, "linestyle": dashes, "linewidth": 1} for dashes in DASHES[1:]]
        styles[len(paper) :] = [{**line_style(number), "linewidth": 2} for number in range(len(ours))]
        for (name, line), style in zip([*paper.items(), *ours.items()], styles, strict=True):
            closed = [math.nan if share is None else share for share in [*line, line[0]]]
            axes.plot(angles, closed, label=name, **style)
        circle = [angles[-1] * part / 100 for part in range(101)]
        axes.plot(circle, [1] * len(circle), label=f"{XXL} (paper): 100 %", color=INK, linewidth=1.5)
        axes.set_ylim(0, 1.05 * top)
        axes.set_yticks([0.25, 0.5, 0.75, 1], ["25 %", "50 %", "75 %", "100 %"], fontsize=8, color=SOFT)
        names = [_label(row, there) for row, there in zip(spokes, run, strict=True)]
        axes.set_xticks(angles[:-1], names, fontsize=9)
        for label, there, angle in zip(axes.get_xticklabels(), run, angles, strict=False):
            label.set(color=INK if there else SOFT)
            side = angle / angles[-1]
            label.set_horizontalalignment("center" if side in (0, 0.5) else "left" if side < 0.5 else "right")
        axes.grid(color=PALE)
        axes.spines["polar"].set_visible(False)
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        out = {}
        for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, **options)
            out[suffix] = buffer.getvalue()
        return out


def _score(row: ScoreRow) -> str:
    """The one score of a benchmark that its spoke shows."""
    return PAPER[row.benchmark].headline[0]


def _ring(row: ScoreRow) -> float:
    """LION-12B's number, or that of the LION without a size: the share 1."""
    return row.paper.get(XXL) or row.paper[_OF_ALL]


def _run(spokes: Sequence[ScoreRow], ours: Mapping[str, Shares]) -> list[bool]:
    """Whether each spoke's benchmark was run."""
    return [any(line[place] is not None for line in ours.values()) for place in range(len(spokes))]


def _label(row: ScoreRow, run: bool) -> str:
    return f"{row.benchmark}\n{row.score} {_ring(row):.1f}" + ("" if run else f"\n{NOT_RUN}")
