"""The patches of docs/extending/ apply, one on top of the other, to a copy of the code, where their tests pass."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OVERVIEW = (ROOT / "docs" / "extending.md").read_text("utf-8")
NAMES = re.findall(r"^\| .*?\(extending/(\w+)\.md\)", OVERVIEW, re.MULTILINE)
PAGE = "\n".join((ROOT / "docs" / "extending" / f"{name}.md").read_text("utf-8") for name in NAMES)
PATCHES = re.findall(r"^```diff\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COPIED = ("docs", "src/lion", "tests", "tools")
LINKED = ("src/lion/bundled", "tests/golden")
ALSO = ("tests/data/sources/test_docs.py", "tests/train/recipe/test_docs.py", "tests/train/recipe/test_reading.py")
_RULES = ("imports_point_left", "every_file_says_what_it_is_for", "files_and_functions_stay_readable")
ALSO += tuple(f"tests/test_architecture.py::test_{rule}" for rule in _RULES)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The code with all patches applied."""
    folder = tmp_path_factory.mktemp("lion")
    linked = {str(ROOT / one) for one in LINKED}

    def left_out(parent, names):
        return {one for one in names if one == "__pycache__" or str(Path(parent, one)) in linked}

    for one in COPIED:
        shutil.copytree(ROOT / one, folder / one, ignore=left_out, symlinks=True)
    for one in LINKED:
        (folder / one).symlink_to(ROOT / one, target_is_directory=True)
    for one in ROOT.iterdir():
        if one.is_file():
            shutil.copy(one, folder)
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    for patch in PATCHES:
        subprocess.run(["git", "apply"], input=patch, text=True, cwd=folder, env=outside, check=True)
    return folder


def test_what_is_added_passes_its_tests(copy):
    ours = {**os.environ, "PYTHONPATH": str(copy / "src")}
    subprocess.run([sys.executable, "-m", "tools.recipe_docs"], cwd=copy, env=ours, check=True)
    new = re.findall(r"^\+\+\+ b/(tests/.*/test_\w+\.py)$", PAGE, re.MULTILINE)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *new, *ALSO]
    ran = subprocess.run(command, cwd=copy, env=ours, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert len(new) == len(PATCHES) == 5


def test_lines_are_counted_right():
    counted = re.findall(r"^\| .*?\.md\) \| (\d+) \| (\d+) \|", OVERVIEW, re.MULTILINE)
    for (source, test), patch in zip(counted, PATCHES, strict=True):
        parts = re.split(r"^\+\+\+ b/(.*)$", patch, flags=re.MULTILINE)
        added = {"src": 0, "tests": 0, "docs": 0}
        for name, lines in zip(parts[1::2], parts[2::2], strict=True):
            added[name.split("/")[0]] += len(re.findall(r"^\+(?!\+\+ b/)", lines, re.MULTILINE))
        assert (added["src"], added["tests"]) == (int(source), int(test))
