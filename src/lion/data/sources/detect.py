"""What a user gives, whatever its form: found out by its content, read by that form's reader, and said aloud."""

import os
from dataclasses import dataclass
from pathlib import Path

from lion.data.dataset import Dataset
from lion.data.sources import jsonl


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset, and what it was taken for."""

    dataset: Dataset
    words: str
    """Its form, as a message has it."""
    name: str
    """What a run on it is called."""


def read_any(given: str) -> Found:
    """Read a file or folder of any known form; bad records are left out and listed.

    Raises: LionError if it is none, or holds nothing of use.
    """
    path = Path(os.path.abspath(os.path.expanduser(given)))
    return Found(jsonl.read(path, skip_bad=True), "LION's own JSONL", path.stem)
