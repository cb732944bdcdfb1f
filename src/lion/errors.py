"""Errors in one line: ours for a mistake of the user's, which says what to do about it, and those of libraries."""


def first_line(error: BaseException) -> str:
    """What another library's error says first, shortened: theirs go over many lines."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if len(line) <= 160 else line[:157] + "..."


class LionError(ValueError):
    """Something the user can mend: a wrong path, an empty question, a box outside the picture.

    The command line prints the message alone and ends with exit code 2; from Python it is an ordinary ``ValueError``.
    A broken promise between our own modules is an ``assert``, not this.
    """
