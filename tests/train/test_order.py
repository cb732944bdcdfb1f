"""Which samples a step trains on with `order: epochs`: the same for any number of processes, at any resume."""

import json
import pickle
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from lion.data.index import IndexedRecords
from lion.data.mixture import EpochMixture
from lion.data.pack import pack
from lion.data.sources import jsonl
from lion.errors import LionError
from lion.prompts import Task
from lion.train.language_modelling import LanguageModelling
from lion.train.loop import micro_batches
from lion.train.objective import Batch
from lion.train.recipe import parse
from lion.train.run import train
from tests.annotate.conftest import png
from tests.data.test_mixture import Numbers
from tests.train.toy import Toy, recipe

SOURCES = [
    (Numbers("a", {Task.VQA: 1}, broken={3}), 1),
    (Numbers("b", {Task.CAPTION: 3, Task.REC: 1}, size=37), 3),
    (Numbers("c", {Task.REG: 1}, size=1000), 0.5),
]


class Named(Toy):
    """Batches that are nothing but the names of their samples."""

    def __init__(self, recipe) -> None:
        super().__init__(recipe)
        shards, one_task = recipe.gradient_accumulation, recipe.homogeneous_batches
        self.mixture = EpochMixture(SOURCES, ("s", 0), recipe.batch_size, shards, one_task, recipe.length_buckets)

    def batch(self, step, shard=0):
        samples, bad = self.mixture.batch(step, shard, self.recipe.batch_size)
        return Batch({}, [f"{each.id}:{each.task}:{each.answer}" for each in samples], bad=bad)


def seen(recipe, first, until, processes):
    """The samples of each step of [first, until), as these processes load them after a start at `first`."""
    steps = [[] for _ in range(first, until)]
    each = recipe.micro_batches(processes)
    for rank in range(processes):
        accelerator = SimpleNamespace(num_processes=processes, process_index=rank, device=torch.device("cpu"))
        stopped = recipe.model_copy(update={"steps": until})
        for number, batch in enumerate(micro_batches(Named(recipe), stopped, first, accelerator)):
            steps[number // each] += batch.ids
    return [sorted(ids) for ids in steps]


@pytest.mark.parametrize(
    "batches", [(), ("homogeneous_batches",), ("length_buckets",), ("homogeneous_batches", "length_buckets")], ids=str
)
@pytest.mark.parametrize("chain", [[1, 1], [4, 4], [4, 2], [2, 4], [4, 1, 2, 4, 1]], ids=str)
def test_a_resumed_run_sees_what_an_undisturbed_one_sees(chain, batches, tmp_path):
    """Stops in the middle of the passes of every part and of windows, and the parts are mixed by weight."""
    run = recipe(tmp_path, steps=23, batch_size=3, gradient_accumulation=4, order="epochs")
    run = run.model_copy(update=dict.fromkeys(batches, True))
    stops = [0, *sorted({23 * number // len(chain) for number in range(1, len(chain))}), 23]
    resumed = [ids for (a, b), n in zip(pairwise(stops), chain, strict=True) for ids in seen(run, a, b, n)]
    assert resumed == seen(run, 0, 23, 1)
    assert len({ident for ids in resumed for ident in ids}) > 150


def test_workers_build_the_same_batches(tmp_path):
    run = recipe(tmp_path, steps=6, batch_size=3, gradient_accumulation=4, order="epochs")
    assert seen(run.model_copy(update={"workers": 2}), 0, 6, 2) == seen(run, 0, 6, 1)
    assert len(pickle.dumps(Named(run).mixture)) < 10_000


def test_processes_that_cannot_share_a_step_are_refused_with_the_setting(tmp_path):
    run = recipe(tmp_path, gradient_accumulation=4, order="epochs")
    with pytest.raises(LionError, match="3 cannot share 4 evenly: set gradient_accumulation to a multiple"):
        run.micro_batches(3)
    assert recipe(tmp_path, gradient_accumulation=4).micro_batches(3) == 4


def test_a_long_run_keeps_no_list_of_what_is_to_come(tmp_path):
    """10^10 samples, resumed at 10^8: this would not end if anything were counted up."""
    run = recipe(tmp_path, steps=10**8, batch_size=25, gradient_accumulation=4, order="epochs")
    accelerator = SimpleNamespace(num_processes=2, process_index=1, device=torch.device("cpu"))
    assert len(next(micro_batches(Named(run), run, 10**6, accelerator)).ids) == 25


def test_a_sample_far_along_is_reached_at_once():
    """A cut at position 10^8 asks for no sample before it."""
    source = Numbers("n", {Task.VQA: 1}, size=10**7)
    asked = []
    source.sample = lambda index, task, rng: asked.append(index)
    with pytest.raises(LionError):
        EpochMixture([(source, 1)], ("s", 0), 100, 1).batch(10**6, 0, 100)
    assert len(asked) == 20  # the attempts at the first row: this source has nothing to give


def test_a_run_of_epochs_resumes_with_other_processes(tmp_path):
    """The number of processes is what the checkpoint of one process says of its writers."""
    settings = {"gradient_accumulation": 4, "batch_size": 4, "steps": 6, "checkpoint": {"every": 3}}
    for order in ("epochs", "random"):
        run = recipe(tmp_path / order, order=order, **settings)
        with pytest.raises(LionError, match="is nan"):
            train(run, objective=Toy(run, poison=4))
        newest = tmp_path / order / "checkpoints/step-0000003"
        for suffix in ("json", "safetensors"):  # as if two had written it
            (newest / f"random-1.{suffix}").write_bytes((newest / f"random-0.{suffix}").read_bytes())
        if order == "epochs":
            assert train(run, objective=Toy(run))["samples"] == 6 * 4 * 4
        else:
            with pytest.raises(LionError, match="was written by 2 processes; resume it with as many"):
                train(run, objective=Toy(run))


def test_the_stages_read_files_and_archives_alike(tmp_path, monkeypatch):
    """Of one dataset as files and as tars: the same tensors in each step, records in an index, a broken one named."""
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    lines = [{"image": f"{number}.png", "caption": f"a thing, {number}"} for number in range(6)]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    pack(jsonl.read(tmp_path / "own.jsonl").records, tmp_path / "tars", shard_bytes=1)
    base = {
        "name": "own",
        "stage": "stage1",
        "model": "tiny",
        "out": str(tmp_path / "out"),
        "steps": 9,
        "batch_size": 4,
    }
    base |= {"optimizer": {"lr": 0.1}, "gradient_accumulation": 2, "order": "epochs"}
    forms = [
        {"source": "jsonl", "path": str(tmp_path / "own.jsonl")},
        {"source": "shards", "path": str(tmp_path / "tars")},
    ]
    files, tars = (LanguageModelling(parse({**base, "data": [form]})) for form in forms)
    assert all(isinstance(each.sources[0].dataset.records, IndexedRecords) for each in (files, tars))
    for step, shard in ((0, 0), (0, 1), (7, 1)):
        one, other = files.batch(step, shard), tars.batch(step, shard)
        assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
    texts = [ident for shard in (0, 1, 2) for ident in files.batch(0, shard).ids]
    assert sorted(texts[:6]) == sorted(texts[6:]), "each picture once in every pass"
    (tmp_path / "tars/00002.tar").unlink()
    assert [each.id for each in tars.batch(0, 0).bad + tars.batch(0, 1).bad] == ["tars:00002.tar::00002000000:caption"]
