"""The notebooks run, each in a clean kernel, and git has them without outputs."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.notebooks import notebooks, run, stripped

pytestmark = pytest.mark.skipif(
    find_spec("nbclient") is None or find_spec("ipykernel") is None, reason="needs nbclient and ipykernel: make setup"
)
NOTEBOOKS = notebooks()


def test_there_are_five() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_ask", "02_why", "03_train", "04_study", "05_own_pictures"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_git_has_it_without_outputs(path: Path) -> None:
    assert path.read_text("utf-8") == stripped(path), "python -m tools.notebooks --strip"


@pytest.mark.notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path) -> None:
    shown = [output for cell in run(path).cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown), "a notebook shows pictures"
