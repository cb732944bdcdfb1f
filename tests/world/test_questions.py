"""The frozen sets: unchanged by hash, of the right number, mixed as promised, true."""

from collections import Counter

import pytest

from lion.errors import LionError
from lion.prompts import HELD_OUT_INSTRUCTIONS, Task
from lion.world import EXPRESSION_KINDS, POPE_TASKS, QUESTION_SETS, VQA_KINDS, test_questions
from lion.world.questions import fingerprints, freeze, frozen
from tests.world import oracle

HOW_TO_CHANGE = "the world moved: raise WORLD_VERSION, call lion.world.questions.freeze(), measure every number anew"


def test_the_world_has_not_moved():
    now, then = fingerprints(), frozen()
    assert {name for name in now if now[name] != then.get(name)} == set(), HOW_TO_CHANGE
    assert set(now) == set(then)


def test_freezing_writes_what_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("lion.world.questions.fingerprints", lambda: {"a": "b"})
    freeze(tmp_path / "frozen.json")
    assert (tmp_path / "frozen.json").read_text() == '{\n "a": "b"\n}\n'


@pytest.mark.parametrize("name", QUESTION_SETS)
def test_sets_are_prefixes_of_themselves(name):
    assert test_questions(name, 20) == test_questions(name, 40)[:20]
    assert len({one.id for one in test_questions(name, 40)}) == 40
    assert test_questions(name, 5, split="val") != test_questions(name, 5)


def test_slices_are_large_enough_to_be_reported():
    for name in (Task.VQA, Task.DIALOG, Task.REC, Task.REG):
        questions = test_questions(name, 400)
        assert 0.1 < sum(one.held_out_pair for one in questions) / 400 < 0.4
        assert 0.4 < sum(one.held_out_instruction is not None for one in questions) / 400 < 0.6
        if name != Task.REG:
            assert 0.3 < sum(one.held_out_wording for one in questions) / 400 < 0.6
    val = [one for name in QUESTION_SETS for one in test_questions(name, 50, split="val")]
    assert not any(one.held_out_pair or one.held_out_wording or one.held_out_instruction is not None for one in val)


def test_kinds_take_turns():
    assert set(Counter(one.kind for one in test_questions(Task.VQA, 400)).values()) == {100}
    assert set(Counter(one.kind for one in test_questions(Task.REC, 400)).values()) == {100}
    assert {one.kind for one in test_questions(Task.VQA, 8)} == set(VQA_KINDS)
    assert {one.kind for one in test_questions(Task.REC, 8)} == set(EXPRESSION_KINDS)
    for name in POPE_TASKS:
        assert Counter(one.answer for one in test_questions(name, 100)) == {"yes": 50, "no": 50}
    rounds = test_questions(Task.DIALOG, 400)
    assert sum(one.needs_history for one in rounds) > 160


def test_answers_are_true():
    for name in (Task.VQA, Task.DIALOG, *POPE_TASKS):
        for one in test_questions(name, 120):
            assert oracle.answer(one.scene, one.question, one.history) == one.answer, one
    for one in test_questions(Task.REC, 120):
        assert oracle.refer(one.scene, one.expression).box == one.box, one
    for one in test_questions(Task.REG, 60):
        assert oracle.only(one.scene, one.answer).box == one.box, one


def test_instructions_hold_the_question():
    for name in QUESTION_SETS:
        for one in test_questions(name, 30):
            text = one.instruction()
            assert (one.question or one.expression or "") in text
            if one.held_out_instruction is not None and not one.history:
                start = HELD_OUT_INSTRUCTIONS[one.task][one.held_out_instruction].split("{")[0]
                assert text.startswith(start)
    box = next(one for one in test_questions(Task.REG, 1))
    assert "[" in box.instruction(decimals=2)
    later = next(one for one in test_questions(Task.DIALOG, 9) if one.history)
    assert later.instruction().startswith("Dialog history: ")


def test_unknown_sets_are_reported():
    with pytest.raises(LionError):
        test_questions("ocr")
    with pytest.raises(LionError):
        test_questions("vqa", split="dev")
