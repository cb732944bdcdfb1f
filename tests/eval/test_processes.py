"""One process, two, and a run that was killed and gone on with leave the same scores, to the byte."""

import json

import pytest
import torch

from lion.distributed import LaunchError, Processes
from lion.errors import LionError
from lion.eval import Evaluation, rescore
from lion.pipeline import LionPipeline
from tests.eval import drawn, tiny_world
from tests.eval.drawn import on
from tests.processes import torchrun

torch.set_num_threads(1)  # as in the script: sums of several threads differ in the last bit
NAMES = ("okvqa", "visdial", "refcocog-test")
LIMIT = 10
WRITTEN = ("scores.json", "samples.jsonl")

SCRIPT = """
import sys
from pathlib import Path
import torch
from lion.distributed import Processes
from lion.eval import Evaluation
from tests.eval import tiny_world
from tests.eval.drawn import on
from tests.processes import torchrun

torch.set_num_threads(1)
processes = Processes.launched()
pipeline = tiny_world.pipeline(tiny_world.parts(), batch_size=2)
for name in sys.argv[3:]:
    run = Evaluation(pipeline, on(name, Path(sys.argv[1]), limit=10), Path(sys.argv[2]) / name, processes=processes)
    run.predict()
    assert (run.finish() is None) == (not processes.main)
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.data(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def alone(parts, data, tmp_path_factory):
    """The runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    pipeline = tiny_world.pipeline(parts, batch_size=2)
    for name in NAMES:
        run = Evaluation(pipeline, on(name, data, limit=LIMIT), folder / name)
        run.predict()
        run.finish()
    return folder


def same(one, other):
    files = [*WRITTEN, *(str(path.relative_to(one)) for path in (one / "results").glob("*"))]
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_two_processes(alone, data, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = torchrun(2, script, data, tmp_path, *NAMES)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in NAMES:
        files = sorted((tmp_path / name / "predictions").iterdir())
        assert [file.name for file in files] == [f"{name}.jsonl", f"{name}.rank1.jsonl"]
        ids = [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]
        assert len(ids) == len(set(ids)) == LIMIT and all(file.stat().st_size for file in files)
        same(alone / name, tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_gone_on_with(alone, parts, data, tmp_path, monkeypatch, name):
    """Stopped in the middle of a batch's line; the same batch is asked again, and only what is missing is kept."""
    pipeline = tiny_world.pipeline(parts, batch_size=2)
    answer, left = LionPipeline.answer, [2]

    def dies(self, requests, **settings):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return answer(self, requests, **settings)

    monkeypatch.setattr(LionPipeline, "answer", dies)
    with pytest.raises(KeyboardInterrupt):
        Evaluation(pipeline, on(name, data, limit=LIMIT), tmp_path).predict()
    (path,) = (tmp_path / "predictions").iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(LionError, match=f"{name}: 7 of 10 are not answered yet, the first is .*start the same"):
        rescore(tmp_path)
    monkeypatch.setattr(LionPipeline, "answer", answer)
    run = Evaluation(pipeline, on(name, data, limit=LIMIT), tmp_path)
    assert run.pending == 7
    run.predict()
    run.finish()
    same(alone / name, tmp_path)


def test_shares_are_whole_and_apart(parts, data, tmp_path):
    """Also of three processes, and where one goes on with what another left."""
    benchmark = on("refcocog-test", data, limit=LIMIT)
    pipeline = tiny_world.pipeline(parts, batch_size=2)
    Evaluation(pipeline, benchmark, tmp_path)
    shares = [Evaluation(pipeline, benchmark, tmp_path, processes=Alone(3, rank)) for rank in range(3)]
    asked = [number for share in shares for batch in share._todo for number in batch.missing]
    assert sorted(asked) == list(range(LIMIT)) and all(share.pending for share in shares)
    shares[2].predict()
    shares[0].predict()
    run = Evaluation(pipeline, benchmark, tmp_path)
    assert run.pending == shares[1].pending
    run.predict()
    assert run.finish()["samples"] == LIMIT


class Alone(Processes):
    """One of several processes of which the others are imagined."""

    def wait(self):
        """Nobody to wait for."""


def test_without_a_launcher_there_is_one(monkeypatch):
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.launched() == Processes.launched(join=False) == Processes() and Processes().main
    assert Processes().device(None) is None and Processes(2, 1).device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORLD_SIZE", "2"), ("WORLD_SIZE", "many"), ("WORLD_SIZE", "0"), ("RANK", "x"), ("RANK", "1"), ("RANK", "-1")],
)
def test_half_a_launcher_is_an_error_that_says_so(monkeypatch, name, value):
    for other in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(
        LaunchError, match=rf"^{name}.* is set, but not by a launcher; start with torchrun, or unset it"
    ):
        Processes.launched()
    if value != "2":
        with pytest.raises(LaunchError, match=rf"^{name}"):
            Processes.launched(join=False)


def test_a_rank_is_known_without_a_process_group(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert Processes.launched(join=False) == Processes(2, 1)
    assert not torch.distributed.is_initialized()
