"""Errors and warnings in one line: ours for a user's mistake, with its fix, and those of other libraries."""

import re
import warnings
from typing import Any

_WARNED: dict[Any, int] = {}
"""Where Python keeps that a warning was shown, beside the version of its filters."""


def first_line(error: BaseException) -> str:
    """The first line of an error of another library, cut to 160 characters."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if len(line) <= 160 else line[:157] + "..."


def reason_of(error: "LionError | OSError") -> str:
    """What was wrong with a file, in one line, with what to do about it."""
    system = isinstance(error, OSError) and error.strerror
    return f"{system}; check the path" if system else str(error)


class DrawnScenesWarning(UserWarning):
    """lion-mini, or a model made from it, was loaded: it knows drawn scenes only; Python shows it once in a process."""


def warn_of_domain(domain: str) -> None:
    """Warn from one place, so that Python shows it once, and of no file, whose line it would print as well."""
    known = f"lion-mini, and what is made from it, knows {domain} only (lion world); for photographs name another model"
    warnings.warn_explicit(known, DrawnScenesWarning, "lion-mini", 1, registry=_WARNED)
    if len(_WARNED) > 1:  # shown, which Python forgets as soon as anybody adds a filter, as many an import does
        warnings.filterwarnings("ignore", re.escape(known), DrawnScenesWarning)


class LionError(ValueError):
    """A mistake that the user can correct: a wrong path, an empty question, a box outside the picture.

    The command line prints the message alone and ends with exit code 2; from Python it is an ordinary ``ValueError``.
    A broken promise between our own modules is an ``assert``, not this.
    """


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of a JSON text (`object_pairs_hook`). Raises: LionError for a key given twice, of which `json` would
    keep the last in silence."""
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise LionError(f"the key {key[:80]!r} is there twice")
        out[key] = value
    return out


class LionWarning(UserWarning):
    """What the user should know although the work goes on; the command line prints the message alone, as a note."""
