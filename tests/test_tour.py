"""CONTRIBUTING.md's tour: as short as it says, and true: what it names is what runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WHAT_RUNS = """
import inspect, sys, threading
ran = set()
def note(frame, event, argument):
    code, caller = frame.f_code, frame.f_back
    # Functions alone: not what runs once, when a file is imported.
    imports = caller is not None and caller.f_code.co_name == "<module>"
    if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and not imports:
        ran.add(code.co_filename)
from lion.cli import main
sys.argv = ["lion", "ask", "examples/scene.png", "what color is the cat?", "--device", "cpu"]
threading.setprofile(note)
sys.setprofile(note)
try:
    main()
except SystemExit as end:
    assert not end.code
finally:
    sys.setprofile(None)
print("ran", *sorted(ran))
"""


def files_of(section: str) -> list[str]:
    """The files that a section of the tour names."""
    tour = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"`(src/[\w./-]*\.py)`", tour.split(f"### {section}\n")[1].split("\n### ")[0])


@pytest.mark.parametrize(
    ("section", "most"),
    [("From a picture to an answer", 26), ("From a sample to its loss", 18), ("From a prediction to a score", 10)],
)
def test_it_opens_few_files_and_none_twice(section, most):
    files = files_of(section)
    assert 5 < len(files) <= most and len(set(files)) == len(files), files


def test_it_names_every_file_that_runs_for_an_answer():
    out = subprocess.run(
        [sys.executable, "-c", WHAT_RUNS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    ran = {Path(name).relative_to(ROOT).as_posix() for name in out.splitlines()[-1].split() if f"{ROOT}/src" in name}
    ran -= {name for name in ran if name.endswith("/__init__.py")}
    path, behind = files_of("From a picture to an answer"), files_of("What else runs for that answer")
    assert not set(path) & set(behind) and len(set(behind)) == len(behind)
    assert ran == {*path, *behind}, (sorted(ran - {*path, *behind}), sorted({*path, *behind} - ran))
