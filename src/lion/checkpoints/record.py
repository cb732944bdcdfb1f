"""The record of a finished training run, which lies beside the model it made."""

import json
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.hub import LOAD_ERRORS

FINISHED = "finished.json"
"""Its file name; a run's folder without it is not finished."""


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record in a model's folder (recipe, steps, scores, hardware, versions, commit); None where there is none.

    Raises: LionError if it is damaged.
    """
    path = folder / FINISHED
    if not path.is_file():
        return None
    try:
        return {**json.loads(path.read_text("utf-8"))}
    except LOAD_ERRORS as error:
        raise LionError(f"{path} is damaged; copy the model again, or train it again with --restart") from error
