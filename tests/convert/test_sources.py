"""Opening inputs: local files and folders, Hub ids, and everything that can be wrong with them."""

import json
import os
import shutil
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from safetensors.torch import save_file

from lion import hub
from lion.convert import sources
from lion.convert.sources import TEXTS, find, open_source
from lion.errors import LionError
from tests.convert import layouts

WEIGHTS = {"a": torch.arange(4.0), "b": torch.ones(2, 3, dtype=torch.bfloat16)}


class Bomb:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


def read(source):
    return {name: stored.read() for name, stored in open_source(source).tensors.items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("form", ["bare.pth", "model.pth", "x.safetensors", "folder", "folder-of-one"])
def test_forms(tmp_path, form):
    path = tmp_path / form
    if form.endswith(".pth"):
        torch.save({"model": WEIGHTS, "optimizer": {"state": {}}} if form == "model.pth" else WEIGHTS, path)
    elif form.endswith(".safetensors"):
        save_file(WEIGHTS, path)
    else:
        path.mkdir()
        save_file(WEIGHTS, path / "model.safetensors" if form == "folder" else path / "other.safetensors")
        if form == "folder":
            torch.save({"not": torch.ones(1)}, path / "training_args.bin")
    assert same(read(path), WEIGHTS)
    opened = open_source(path).tensors
    assert opened["b"].shape == (2, 3) and opened["b"].dtype == "BF16"


def test_shards(tmp_path):
    for number, name in enumerate(WEIGHTS):
        save_file({name: WEIGHTS[name]}, tmp_path / f"{number}.safetensors")
    where = {"a": "0.safetensors", "b": "1.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert same(read(tmp_path), WEIGHTS)


def test_views_are_read_as_they_were_saved(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    views = {"turned": whole.t(), "part": whole[1:3, 2:], "half": torch.randn(5).half(), "one": torch.tensor(2.5)}
    torch.save({"model": views}, tmp_path / "views.pth")
    read = {name: stored.read() for name, stored in open_source(tmp_path / "views.pth").tensors.items()}
    assert read.keys() == views.keys() and all(torch.equal(read[name], views[name]) for name in views)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="says what is mapped how on Linux alone")
def test_a_mapping_asks_for_no_memory(tmp_path):
    """A writable one counts in full against the memory that the system may promise: XXL failed on 24 GB."""
    torch.save({"a": torch.zeros(1000, 1000)}, tmp_path / "large.pth")
    source = open_source(tmp_path / "large.pth")
    (mapped,) = (line for line in Path("/proc/self/maps").read_text().splitlines() if "large.pth" in line)
    assert mapped.split()[1] == "r--s" and source.tensors["a"].read().sum() == 0


def test_numbers_are_mapped_not_copied(tmp_path):
    """A file of 64 MB is opened and read without this process growing by it."""
    torch.save({"large": torch.zeros(16_000_000)}, tmp_path / "large.pth")
    save_file({"large": torch.zeros(16_000_000)}, tmp_path / "large.safetensors")

    def own_memory():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

    before = own_memory()
    for name in ("large.pth", "large.safetensors"):
        tensor = read(tmp_path / name)["large"]
        assert float(tensor.max()) == 0
        assert own_memory() - before < 20_000
    assert own_memory() - before < 20_000


@pytest.fixture
def the_hub(tmp_path, monkeypatch):
    """The Hub, played by a folder; notes what was asked of it."""
    asked = []

    def snapshot_download(name, repo_type, allow_patterns):
        assert repo_type == "model"
        asked.append((name, tuple(allow_patterns)))
        target = tmp_path / "cache" / name
        for pattern in allow_patterns:
            for file in (tmp_path / "hub" / name).glob(pattern):
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        target.mkdir(parents=True, exist_ok=True)
        return str(target)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub", asked


def test_hub_ids(the_hub):
    folder, asked = the_hub
    (folder / "someone" / "lion").mkdir(parents=True)
    torch.save(WEIGHTS, folder / "someone/lion/lion.pth")
    assert same(read("someone/lion"), WEIGHTS)
    assert same(read("someone/lion/lion.pth"), WEIGHTS)
    assert asked[-1] == ("someone/lion", ("lion.pth",))
    with pytest.raises(LionError, match=r"holds no other\.pth"):
        open_source("someone/lion/other.pth")


def test_safetensors_are_fetched_before_anything_else(the_hub):
    folder, asked = the_hub
    (folder / "google" / "t5").mkdir(parents=True)
    save_file(WEIGHTS, folder / "google/t5/model.safetensors")
    torch.save({}, folder / "google/t5/pytorch_model.bin")
    assert same(read("google/t5"), WEIGHTS)
    assert len(asked) == 1 and "*.bin" not in asked[0][1]


def test_old_names_without_owner(the_hub):
    folder, asked = the_hub
    (folder / "bert-base-uncased").mkdir()
    find("bert-base-uncased", TEXTS)
    assert asked == [("bert-base-uncased", TEXTS)]


def test_a_missing_file_is_not_looked_up_on_the_hub(the_hub):
    for name in ("lion.pth", "checkpoints/lion.pth", "./no/such/folder", "/no/such.safetensors"):
        with pytest.raises(LionError, match="no file or folder"):
            open_source(name)
    assert the_hub[1] == []


def test_out_of_reach():
    with pytest.raises(LionError, match="HF_HUB_OFFLINE"):
        hub.fetch("nobody/no-such-lion", TEXTS)


def cut(path):
    torch.save(layouts.learnable(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_safetensors(path):
    save_file(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:-4])


def old_format(path):
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)


def packed(path):
    """As a tool that zips again leaves it: read where the numbers should lie, it would give others."""
    torch.save(WEIGHTS, path)
    with ZipFile(path) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    with ZipFile(path, "w", ZIP_DEFLATED) as again:
        for name, data in entries.items():
            again.writestr(name, data)


def bare_bomb(path):
    import pickle

    path.write_bytes(pickle.dumps(Bomb()))


BAD_FILES = [
    (cut, "x.pth", "cut off or damaged"),
    (cut_safetensors, "x.safetensors", "cut off"),
    (lambda path: torch.save({"model": {"a": Bomb()}}, path), "x.pth", "might run code"),
    (bare_bomb, "x.pth", "no checkpoint that can be mapped"),
    (packed, "x.pth", "was compressed"),
    (old_format, "x.pth", "before PyTorch 1.6"),
    (lambda path: path.write_bytes(b""), "x.pth", "no checkpoint"),
    (lambda path: path.write_text("<html>not found</html>"), "x.pth", "no checkpoint"),
    (lambda path: path.write_text("<html>not found</html>"), "x.safetensors", "no safetensors file"),
    (lambda path: torch.save([1, 2], path), "x.pth", "no tensors by name"),
    (lambda path: torch.save({"epoch": 1}, path), "x.pth", "no tensors by name"),
    (lambda path: torch.save(WEIGHTS | {"epoch": 1}, path), "x.pth", "'epoch'"),
    (lambda path: path.mkdir(), "folder", "holds no weights"),
]


@pytest.mark.parametrize(("spoil", "name", "says"), BAD_FILES)
def test_bad_files(tmp_path, monkeypatch, spoil, name, says):
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path / name)
    with pytest.raises(LionError, match=says) as caught:
        open_source(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def sharded(folder):
    return layouts.save_flan_t5(folder / "llm", shards=True)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: next(folder.glob("*-00002-*")).unlink(), "lacks the shard model-00002-of-00003"),
        (lambda folder: save_file(WEIGHTS, next(folder.glob("*-00001-*"))), "which the index promises"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{"), "index of shards"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{}"), "index of shards"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": 1}}'), "index of"),
    ],
)
def test_bad_shards(tmp_path, spoil, says):
    folder = sharded(tmp_path)
    spoil(folder)
    with pytest.raises(LionError, match=says):
        open_source(folder)


def test_several_checkpoints_are_named(tmp_path):
    for name in ("one.pth", "two.pth"):
        torch.save(WEIGHTS, tmp_path / name)
    with pytest.raises(LionError, match=r"one.pth, two.pth\); name one"):
        open_source(tmp_path)


def test_numbers_that_are_none_are_marked(tmp_path):
    save_file({"eight": torch.ones(2, dtype=torch.int8)}, tmp_path / "x.safetensors")
    assert sources.open_source(tmp_path / "x.safetensors").tensors["eight"].dtype == "I8"
