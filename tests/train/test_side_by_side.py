"""The order in which a chain's recipes train, and what is said of those that train at a time."""

import json
from types import SimpleNamespace

from lion.train.recipe import load
from lion.train.side_by_side import _ready, _RunProcess


def test_what_a_chain_still_has_to_make_is_not_taken_from_the_package():
    made, after = load("mini-stage3"), load("mini-stage3", ["out=again", "init={model: lion-mini}"])
    assert _ready([made, after], []) == [made]


def test_runs_of_one_name_are_watched_apart():
    """As a study's, whose arms and seeds differ by their folders."""
    watched = []
    for folder in ("joint-s0", "joint-s1"):
        run = _RunProcess.__new__(_RunProcess)
        run.recipe, run.watch = load("mini-stage3", [f"out=runs/{folder}"]), lambda *step: watched.append(step)
        run.pipe = SimpleNamespace(recv_bytes=lambda: json.dumps({"step": 3, "row": {}}).encode())
        assert run.receive() is None
    assert [(task, done) for task, done, *_ in watched] == [("joint-s0", 3), ("joint-s1", 3)]
