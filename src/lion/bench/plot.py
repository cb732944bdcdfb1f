"""Results as a picture: steps against the machine's limit, answers by batch size, LION's speed beside its peer's."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lion.atomic import atomic_write
from lion.bench.peers import Comparison
from lion.bench.report import Row, Setting
from lion.bench.stages import ANSWERS, STEPS, Stage
from lion.bench.timing import Spread
from lion.figures import COLOURS, check_format, check_matplotlib


def check_plot(path: Path) -> None:
    """Raise LionError where no picture could be saved under that name."""
    check_matplotlib("--plot needs")
    check_format(path, f"--plot {path}")


@dataclass(frozen=True, slots=True)
class _Panel:
    """Bars on a common axis; those of one group have one colour."""

    title: str
    bars: list[tuple[str, str, Spread]]
    """Group, name and value."""
    limit: float | None = None


def plot(setting: Setting, rows: Sequence[Row], path: Path) -> None:
    """Save the bars, each with its spread, in a format of :data:`lion.figures.FORMATS`."""
    from matplotlib.figure import Figure

    panels = [panel for panel in _panels(rows) if panel.bars]
    heights = [len(panel.bars) + 1.5 for panel in panels]
    figure = Figure(figsize=(8, 0.8 + 0.27 * sum(heights)), layout="constrained")
    figure.suptitle(str(setting).replace("; ", "\n", 1), fontsize="small")
    grid = figure.subplots(len(panels), squeeze=False, height_ratios=heights)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        groups, names, spreads = zip(*panel.bars, strict=True)
        order = list(dict.fromkeys(groups))
        medians = [one.median for one in spreads]
        reach = [[one.median - one.low for one in spreads], [one.high - one.median for one in spreads]]
        colours = [COLOURS[order.index(group) % len(COLOURS)] for group in groups]
        axes.barh(range(len(names)), medians, xerr=reach, color=colours, ecolor="0.3", capsize=2, height=0.75)
        axes.set_yticks(range(len(names)), names, fontsize="small")
        axes.invert_yaxis()
        axes.set_title(panel.title, loc="left", fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        if panel.limit is not None:
            axes.axvline(panel.limit, color="0.2", linestyle="--", linewidth=1)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    atomic_write(path, picture.getvalue())


def _panels(rows: Sequence[Row]) -> list[_Panel]:
    stages = [row for what in (*STEPS, *ANSWERS) for row in rows if isinstance(row, Stage) and row.what == what]
    shares = [
        (row.what, f"{row.what}, batch {row.batch}", row.seconds.per(100 * row.work / row.limit))
        for row in stages
        if row.work and row.limit
    ]
    answers = [(row.what, f"{row.what}, batch {row.batch}", row.rate) for row in stages if row.what in ANSWERS]
    beside = [
        (f"{row.against} {row.what}", f"{row.what}\npictures {row.pictures}, beams {row.beams}", row.speed)
        for row in rows
        if isinstance(row, Comparison)
    ]
    return [
        _Panel("reached of the machine's matrix product (look, encode) and memory read (decode), %", shares, 100),
        _Panel("whole answers, pictures a second", answers),
        _Panel("LION's speed, its peer's as 1", beside, 1),
    ]
