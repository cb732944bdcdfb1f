"""Pages of studies: of the studies' files as they are, and summed up in their README with the same numbers."""

import json
import re
from pathlib import Path

import pytest

from lion.studies.schema import load_study, shipped

STUDIES = Path("docs/studies")
PAGES = sorted(path.stem for path in STUDIES.glob("*.md") if path.stem != "README")


def test_every_study_is_summed_up():
    assert PAGES and set(PAGES) <= set(shipped())
    summed_up = (STUDIES / "README.md").read_text("utf-8")
    for name in shipped():
        assert f"[`{name}`]({name}.md)" in summed_up if name in PAGES else f"| `{name}` |" in summed_up


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_of_the_study_as_its_file_has_it(name):
    study, page = load_study(name), (STUDIES / f"{name}.md").read_text("utf-8")
    told = json.loads((STUDIES / f"{name}.json").read_text("utf-8"))
    assert list(told["claims"]) == list(study.claims)
    for key, claim in study.claims.items():
        assert f"| {claim.says} |" in page and f"**{told['claims'][key]['verdict']}**" in page
    assert all(f"| {arm} |" in page for arm in study.arms) and study.held_equal.strip() in page
    assert all((STUDIES / f"{name}-{figure}.png").is_file() for figure in study.figures)


@pytest.mark.parametrize("name", PAGES)
def test_what_came_out_is_what_the_page_says(name):
    page = (STUDIES / f"{name}.md").read_text("utf-8")
    (row,) = [line for line in (STUDIES / "README.md").read_text("utf-8").splitlines() if f"({name}.md)" in line]
    found = re.findall(r"([\d.]*) ± ([\d.]*\d)", row)
    assert found
    for value, half in found:
        number = f"{float(value):.1f} ± {float(half):.1f}" if value else f" ± {float(half):.1f}"
        assert number in page, f"{name}: {number}"
