"""The order in which a chain's recipes train, and what is said of those that train at a time."""

from multiprocessing import Pipe
from types import SimpleNamespace

from lion.train import side_by_side
from lion.train.recipe import load


def test_what_a_chain_still_has_to_make_is_not_taken_from_the_package():
    made, after = load("mini-captions"), load("mini-captions", ["out=again", "init={model: lion-mini}"])
    assert side_by_side._ready([made, after], []) == [made]


def test_runs_of_one_name_are_watched_apart(monkeypatch):
    """As a study's, whose arms and seeds differ by their folders."""
    shown = []

    class Run:
        def __init__(self, *given):
            self.recipe, *_, shown_as = given
            self.pipe, self.process = Pipe()[0], SimpleNamespace(terminate=lambda: None)
            shown.append(shown_as)

        def receive(self):
            return {"name": self.recipe.name}

        def join(self): ...

    monkeypatch.setattr(side_by_side, "_RunProcess", Run)
    monkeypatch.setattr(side_by_side, "check_init", lambda recipe: None)
    monkeypatch.setattr(side_by_side.connection, "wait", lambda pipes, timeout: pipes)
    monkeypatch.setattr(side_by_side, "make_objective", lambda recipe: SimpleNamespace(prepare=lambda watch: None))
    folders = ("joint-s0", "joint-s1", "stage3")
    chain = [load("mini-stage3", [f"out=nowhere/{folder}", "init={}"]) for folder in folders]
    chain[2] = chain[2].model_copy(update={"name": "another"})
    assert len(list(side_by_side.train_side_by_side(chain, 2))) == 3
    assert shown == ["joint-s0", "joint-s1", "another"]
