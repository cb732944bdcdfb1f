"""Studies' files: those of the package hold together, and a mistake is one line that names the place."""

import re
from pathlib import Path

import pytest
import yaml

from lion.errors import LionError
from lion.studies.runs import distinct, make_chains
from lion.studies.schema import SHIPPED, load_study, shipped

STUDY = {
    "title": "T",
    "question": "Q",
    "held_equal": "H",
    "hours": "1",
    "seeds": 2,
    "base": "a",
    "runs": {"one": {"recipe": "mini-stage1"}, "two": {"recipe": "mini-stage2", "with": {"init": {"model": "one"}}}},
    "arms": {"a": {"says": "A", "chain": ["one", "two"]}, "b": {"says": "B", "chain": ["one"], "seeds": 1}},
    "tests": {"plain": {"questions": 3, "sets": ["rec"]}, "noisy": {"tags": {"drop": 0.5}, "arms": ["a"], "at": 0.5}},
    "scores": ["rec/accuracy@0.5"],
    "claims": {"better": {"says": "C", "score": "rec/mean_iou", "plus": ["a"], "minus": ["b"]}},
    "figures": {"claims": {"kind": "claims", "title": "F"}},
}


def load(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return load_study(path)


@pytest.mark.parametrize("name", shipped())
def test_the_files_of_the_package_open_with_what_is_claimed_compared_and_held_equal(name):
    lines = (SHIPPED / f"{name}.yaml").read_text().splitlines()
    assert lines[0].startswith(f"# {name}: ") and len(load_study(name).title) > 10
    opening = "\n".join(line for line in lines[:12] if line.startswith("#"))
    for word in ("Claim:", "Arms:", "Held equal:", "Hours:", f"Run:        lion study {name} "):
        assert word in opening
    study = load_study(name)
    assert study.seeds == 5 and all(claim.says and claim.plus for claim in study.claims.values())


def test_a_study_of_your_own(tmp_path):
    study = load(tmp_path)
    assert study.name == "mine" and [*study.seeds_of("a")] == [0, 1] and [*study.seeds_of("b")] == [0]
    assert [tuple(cell) for cell in study.cells] == [("a", "plain"), ("b", "plain"), ("a", "noisy")]
    assert tuple(study.cell("a")) == ("a", "plain") and tuple(study.cell("a@noisy")) == ("a", "noisy")
    assert load_study(tmp_path / "mine.yaml", seeds=1, questions=7).tests["plain"].questions == 7


def test_a_study_like_another_has_its_runs_and_the_arms_it_names(tmp_path):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**STUDY, "with": {"steps": 5}}, sort_keys=False))
    run = {"three": {"recipe": "mini-stage3"}}
    study = load(
        tmp_path, like=str(tmp_path / "other.yaml"), runs=run, arms={"a": "same", "b": {"says": "", "chain": ["three"]}}
    )
    assert set(study.runs) == {"one", "two", "three"} and study.arms["a"].says == "A" and "steps" in study.settings
    with pytest.raises(LionError, match=r"arms\.z: .* has no such arm; its arms are a, b"):
        load(tmp_path, like=str(tmp_path / "other.yaml"), arms={"z": "same"})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base": "c"}, "base: c is no arm; there are a, b"),
        ({"arms": {"a": {"says": "A", "chain": ["zero"]}}}, "arms.a.chain: zero is no run"),
        ({"arms": {"a": {"says": "A", "chain": ["one"], "with": {"two:steps": 1}}}}, "the arm's runs are one"),
        ({"tests": {"plain": {"sets": ["boxes"]}}}, "boxes is no set of questions"),
        ({"tests": {"plain": {"gates": "open"}}}, "tests.plain.gates"),
        ({"tests": {"plain": {"misrouted": 8}}}, "needs tests called learnt and swapped"),
        ({"claims": {"c": {"says": "", "score": "rec/mean_iou", "plus": ["b@noisy"], "minus": ["a"]}}}, "no b@noisy"),
        (
            {"claims": {"c": {"says": "", "score": "vqa/accuracy", "plus": ["a"], "minus": ["b"]}}},
            "does not ask the set",
        ),
        ({"claims": {"c": {"says": "", "score": "rec/x", "plus": ["a", "b"], "minus": ["b"]}}}, "of one length"),
        ({"figures": {"f": {"kind": "lines", "title": "", "tests": ["plain"]}}}, "no test with an `at`"),
        ({"figures": {"f": {"kind": "claims", "title": "", "claims": ["worse"]}}}, "worse is no claim"),
        ({"colour": "red"}, "mine.yaml: colour"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, changes, says):
    with pytest.raises(LionError) as error:
        load(tmp_path, **changes)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_name_is_one_line(tmp_path):
    with pytest.raises(LionError, match="no study and no file is called conflit; did you mean conflict"):
        load_study("conflit")


def test_the_study_in_the_docs(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "studies" / "README.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "half.yaml"
    path.write_text(text)
    chains = make_chains(load_study(path), tmp_path)
    assert len(distinct(chains)) == 1 + 5 * (1 + 2 + 2)
