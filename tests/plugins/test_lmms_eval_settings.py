"""lmms-eval's settings in LION's terms; the plug-in itself needs lmms-eval and is tried as docs/evaluation.md says."""

import tomllib
from pathlib import Path

import pytest

from lion import plugins
from lion.errors import LionError
from lion.pipeline import DecodingPreset, Verb
from lion.plugins.lmms_eval_settings import cut, preset, task_of
from lion.prompts import Task

ROOT = Path(__file__).parents[2]


def test_every_task_has_its_verb():
    assert [task_of(str(task))[0] for task in Task] == list(Task)
    assert task_of("rec") == (Task.REC, Verb.LOCATE)
    with pytest.raises(LionError, match="no task 'tag'; there are caption"):
        task_of("tag")


def test_settings_are_taken_over():
    usual = DecodingPreset(num_beams=5, max_new_tokens=64)
    given = {"num_beams": 1, "max_new_tokens": 8, "top_p": None, "temperature": 0, "until": ["\n"]}
    assert preset(usual, given) == DecodingPreset(num_beams=1, max_new_tokens=8)
    assert preset(usual, {"num_beams": None}) == usual
    assert preset(usual, {"do_sample": False, "temperature": 0.7}) == usual


@pytest.mark.parametrize("given", [{"temperature": 0.7}, {"do_sample": True, "temperature": 0.2}, {"do_sample": True}])
def test_chance_is_refused(given):
    with pytest.raises(LionError, match="does not draw answers by chance"):
        preset(DecodingPreset(), given)


def test_an_answer_ends_at_the_first_stop():
    assert cut("yes.\nno", "\n") == "yes."
    assert cut(" a b c ", ["c", "b", None, ""]) == "a"
    assert cut("whole", None) == "whole"


def test_the_entry_point_is_there_and_wakes_nothing():
    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    module, name = written["lmms_eval.models"]["lion"].split(":")
    assert module == "lion.plugins" and callable(getattr(plugins, name))
