"""What every figure needs before it is drawn: matplotlib, and a name that ends in a format which it writes."""

from importlib.util import find_spec
from pathlib import Path

from lion.errors import LionError

FORMATS = (".png", ".svg", ".pdf")


def check_matplotlib(needs: str) -> None:
    """Raise LionError without matplotlib; `needs` is what cannot be drawn, with its verb: "--plot needs"."""
    if find_spec("matplotlib") is None:
        raise LionError(f"{needs} matplotlib: pip install 'lion-vlm[plot]'")


def check_format(path: str | Path, named: str) -> None:
    """Raise LionError where no figure could be saved under that name; `named` is how the error calls it."""
    if Path(path).suffix.lower() not in FORMATS:
        raise LionError(f"{named}: the name must end in {', '.join(FORMATS)}")
