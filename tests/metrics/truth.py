"""Known inputs and results, most of them from the official evaluators, which lie beside the repository (README there).

They are not copied, since not all of them may be; each family has cases worked by hand as well, which run everywhere.
"""

import json
from pathlib import Path
from typing import Any

import pytest

FORMATS = Path(__file__).parents[3] / "shared" / "formats"


def path(name: str) -> Path:
    """A file of metric_truth; skips the test where the folder is absent."""
    if not FORMATS.is_dir():
        pytest.skip(f"{FORMATS} is absent: known results of the official evaluators")
    return FORMATS / "metric_truth" / name


def load(name: str) -> Any:
    """A JSON file of metric_truth."""
    return json.loads(path(name).read_text(encoding="utf-8"))
