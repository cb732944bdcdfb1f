"""`lion train --dry-run --on`: plans, what would fit instead, and mistakes in one line."""

import json

import pytest

from lion.train.plan.cards import CARDS
from lion.train.plan.plan import make_plan
from lion.train.recipe import load


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_does_not_fit_is_told_with_the_settings_that_do(run):
    ran = run("train", "paper-xl-stage3", "--dry-run", "--on", "a100:8")
    assert ran.code == 0 and "does NOT fit; would fit: " in ran.out, ran.err
    settings = ran.out.split("would fit: ")[1].splitlines()[0].split()
    again = make_plan(load("paper-xl-stage3", settings), CARDS["a100"], 8)
    assert again.fits and again.samples == 8 * 24 * 30000


def test_the_plan_as_json(run):
    (row,) = run("train", "finetune-own", "--dry-run", "--on", "l4", "--json", "--mfu", "0.2").rows
    assert row["fits"] and row["mfu"] == 0.2 and row["sources"][0]["epochs"] is None
    assert json.dumps(row)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mini-t5", "--dry-run", "--on", "h200"], "--on plans stage1, stage2 and stage3"),
        (["paper-xl", "--on", "h200"], "give it with --dry-run"),
        (["paper-xl", "--dry-run", "--on", "gpu"], "the cards known are"),
        (["finetune-own", "model=huge", "--dry-run", "--on", "h200", "init={}"], "model: huge is not one of"),
    ],
)
def test_a_plan_that_cannot_be_made_is_one_line(run, words, says):
    ran = run("train", *words)
    assert ran.code == 2 and says in ran.err and len(ran.err.splitlines()) == 1
