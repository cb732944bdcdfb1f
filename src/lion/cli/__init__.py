"""The command ``lion``: one file per verb. Nothing heavy is imported before a verb runs, so help is instant."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """As :func:`lion.cli.app.main`; an interrupt while that is imported is none of Python's tracebacks."""
    try:
        from lion.cli.app import main as run
    except KeyboardInterrupt:
        print("lion: note: stopped", file=sys.stderr)
        return 130
    return run(arguments)
