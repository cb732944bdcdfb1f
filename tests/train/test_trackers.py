"""W&B and trackio get what the files get, under the same name after a resumption; a service that fails is left out.

Their packages are optional: those tests skip where one is not installed, and a stand-in takes its place in the others.
"""

import json
from importlib.util import find_spec

import pytest

from lion.errors import LionError, LionWarning
from lion.train import trackers
from lion.train.run import train
from lion.train.trackers import check_trackers
from tests.train.test_examples import example
from tests.train.toy import Toy, recipe


class Showing(Toy):
    """Has an example to show."""

    def examples(self):
        return [example()]


class Service:
    """Stands in for one of accelerate's trackers."""

    name = "wandb"

    def __init__(self, fails_at=None):
        self.calls, self.fails_at = [], fails_at

    def start(self):
        self.calls.append(("start",))
        print("the service says hello")

    def store_init_configuration(self, values):
        self.calls.append(("configuration", values["name"]))

    def log(self, values, step):
        if step == self.fails_at:
            raise RuntimeError("no network\nfor long")
        self.calls.append(("log", step, values))

    def log_images(self, values, step):
        self.calls.append(("image", step, values))

    def finish(self):
        self.calls.append(("finish",))


@pytest.fixture
def service(monkeypatch):
    """A stand-in for W&B, and the names under which runs were known."""
    found, names = Service(), []

    def make(name, recipe, known_as):
        names.append(known_as)
        return found

    monkeypatch.setattr(trackers, "_make", make)
    monkeypatch.setattr(trackers, "WandBTracker", Service)
    monkeypatch.setattr(trackers, "find_spec", lambda name: "there")
    return found, names


def test_a_service_that_is_not_installed_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(LionError, match=r"^log_to: trackio is not installed: pip install trackio$"):
        check_trackers(["trackio"])
    check_trackers([])
    toy = recipe(tmp_path, log_to=["wandb"])
    with pytest.raises(LionError, match="pip install wandb"):
        train(toy, objective=Toy(toy))


def test_a_service_gets_every_number_and_picture_and_prints_nothing(tmp_path, service, capsys):
    found, _ = service
    toy = recipe(tmp_path, validation={"every": 6, "samples": 1}, log_to=["wandb"])
    train(toy, objective=Showing(toy))
    assert [call[:2] for call in found.calls[:2]] == [("start",), ("configuration", "toy")]
    assert found.calls[-1] == ("finish",)
    logged = [call for call in found.calls if call[0] == "log"]
    assert [step for _, step, values in logged if "train/loss" in values] == list(range(1, 13))
    assert [step for _, step, values in logged if "validation/error" in values] == [0, 6, 12]
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    last = logged[-2][2]
    assert last["train/per_task/sum"] == rows[-1]["per_task"]["sum"]
    assert last["train/grad_norms/head"] == rows[-1]["grad_norms"]["head"]
    assert [step for kind, step, *_ in [call for call in found.calls if call[0] == "image"]] == [0, 6, 12]
    assert "hello" not in capsys.readouterr().out, "stdout is for the record"


def test_a_resumed_run_is_the_same_one_and_a_restarted_one_is_not(tmp_path, service):
    _, names = service
    toy = recipe(tmp_path, log_to=["wandb"])
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Toy(toy, poison=7))
    train(toy, objective=Toy(toy))
    train(toy, objective=Toy(toy), restart=True)
    assert names[0] == names[1] != names[2] and all(name.startswith("toy-") for name in names)


def test_a_service_that_fails_is_told_once_and_the_run_goes_on(tmp_path, service):
    found, _ = service
    found.fails_at = 5
    toy = recipe(tmp_path, log_to=["wandb"])
    with pytest.warns(LionWarning, match=r"^wandb gets no more of this run: no network$") as told:
        assert train(toy, objective=Toy(toy))["steps"] == 12
    ours = [one for one in told if one.category is LionWarning]  # a collected file or socket warns as well
    assert len(ours) == 1 and ("finish",) not in found.calls


def test_a_service_that_cannot_be_reached_is_told_at_the_start(tmp_path, service, monkeypatch):
    def unreachable(self):
        raise RuntimeError("no API key configured. Use `wandb login`")

    monkeypatch.setattr(Service, "start", unreachable)
    toy = recipe(tmp_path, log_to=["wandb"])
    with pytest.raises(LionError, match=r"^log_to: wandb: no API key .*; WANDB_MODE=offline needs no network$"):
        train(toy, objective=Toy(toy))


@pytest.mark.skipif(not find_spec("wandb"), reason="wandb is not installed")
def test_wandb_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    toy = recipe(tmp_path / "run", validation={"every": 6, "samples": 1}, log_to=["wandb"])
    with pytest.raises(LionError, match="nan"):
        train(toy, objective=Showing(toy, poison=7))
    train(toy, objective=Showing(toy))
    first, second = sorted((tmp_path / "run/wandb").glob("offline-run-*"))
    assert first.name.split("-")[3:] == second.name.split("-")[3:], "the same run, to be synchronised into one"
    assert next(first.glob("*.wandb")).stat().st_size and list(second.rglob("*.png"))


@pytest.mark.skipif(not find_spec("trackio"), reason="trackio is not installed")
def test_trackio_on_this_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is first imported, which is here
    toy = recipe(tmp_path / "run", validation={"every": 6, "samples": 1}, log_to=["trackio"])
    train(toy, objective=Showing(toy))
    from trackio import context_vars

    assert context_vars.current_run.get() is None, "or it would be finished again at exit, on stdout"
    assert list((tmp_path / "trackio").glob("lion*.db")) and list((tmp_path / "trackio").rglob("*.png"))
    assert not capsys.readouterr().out
