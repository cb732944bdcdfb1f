"""What every figure shares: matplotlib, the formats it is written in, and one palette.

The colours are Okabe's and Ito's, which people with any colour vision tell apart; marks and dashes go with them, so
that no figure says anything by colour alone.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lion.errors import LionError

FORMATS = (".png", ".svg", ".pdf")

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
LEVELS = {"image": COLOURS[0], "region": COLOURS[1]}
"""Of the task levels and their adapters, in every figure."""
INK, SOFT, PALE = "#222222", "#666666", "#dddddd"
"""Of words, of words beside the point, and of grids."""


def line_style(number: int) -> dict[str, Any]:
    """Colour, mark and dashes of a figure's line of that number, for matplotlib."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKS[number % len(MARKS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def check_matplotlib(needs: str) -> None:
    """Raise LionError without matplotlib; `needs` is what cannot be drawn, with its verb: "--plot needs"."""
    if find_spec("matplotlib") is None:
        raise LionError(f"{needs} matplotlib: pip install 'lion-vlm[plot]'")


def check_format(path: str | Path, named: str, formats: Sequence[str] = FORMATS) -> None:
    """Raise LionError where nothing could be saved under that name; `named` is how the error calls it."""
    if Path(path).suffix.lower() not in formats:
        raise LionError(f"{named}: the name must end in {', '.join(formats)}")
