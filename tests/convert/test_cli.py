"""``lion convert official``: what it prints, and one clear line for everything that can be wrong."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from lion.convert import official
from tests.convert import layouts
from tests.parity import released

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "convert.md"


def test_convert(run, parts, tmp_path):
    ran = run(*parts.command, tmp_path / "out", "--dtype", "fp32")
    assert ran.code == 0
    assert "parameters, visual inputs: both, float32" in ran.out and f"GB in {tmp_path / 'out'}" in ran.out
    assert (
        ran.err == "lion: note: without --ram the model has no tagger: its prompts hold no tags unless you give them\n"
    )
    assert run("info", tmp_path / "out").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_dry_run_names_every_key_and_writes_nothing(run, parts, tmp_path):
    ran = run(*parts.command, "--dry-run")
    assert ran.code == 0 and ran.err == ""
    assert set(layouts.full()) <= set(re.findall(r"(?<=  )\S+(?= |$)", ran.out, re.MULTILINE))
    ours = {name for name, _ in released.model().named_parameters()}
    assert ours <= set(re.findall(r"-> (\S+) ", ran.out))
    assert not list(tmp_path.iterdir())


def test_dry_run_shows_all_and_then_fails(run, parts, tmp_path):
    weights = layouts.full()
    del weights["ln_adapter.bias"]
    torch.save(weights | {"surplus": torch.ones(1)}, tmp_path / "lion.pth")
    ran = run(*[tmp_path / "lion.pth" if word == parts.full else word for word in parts.command], "--dry-run")
    assert ran.code == 2
    assert re.search(r"^missing +vision_aggregator.norm.bias$", ran.out, re.MULTILINE)
    assert re.search(r"^unknown +surplus ", ran.out, re.MULTILINE)
    assert len(ran.err.splitlines()) == 1 and "vision_aggregator.norm.bias" in ran.err


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def truncated(place, parts):
    (place / "lion.pth").write_bytes(Path(parts.full).read_bytes()[:50_000])
    return {"--lion": place / "lion.pth"}, "cut off or damaged"


def bomb(place, parts):
    torch.save({"model": layouts.full() | {"x": Bomb()}}, place / "lion.pth")
    return {"--lion": place / "lion.pth"}, "might run code"


def nan(place, parts):
    weights = layouts.full()
    weights["t5_proj.weight"][3, 5] = float("nan")
    torch.save(weights, place / "lion.pth")
    return {"--lion": place / "lion.pth"}, "t5_proj.weight holds NaN"


def infinity(place, parts):
    weights = layouts.full(dtype=torch.float16)
    weights["visual_encoder.blocks.7.mlp.fc1.weight"][0, 0] = float("inf")
    torch.save(weights, place / "lion.pth")
    return {"--lion": place / "lion.pth"}, "visual_encoder.blocks.7.mlp.fc1.weight holds NaN or infinity"


def integers(place, parts):
    torch.save(layouts.full() | {"t5_proj.weight": torch.ones(40, 48, dtype=torch.int8)}, place / "lion.pth")
    return {"--lion": place / "lion.pth"}, "no floating-point numbers"


def sparse(place, parts):
    torch.save(layouts.full() | {"t5_proj.weight": torch.ones(40, 48).to_sparse()}, place / "lion.pth")
    return {"--lion": place / "lion.pth"}, "'t5_proj.weight' among its tensors, which is none, or sparse"


def missing_shard(place, parts):
    folder = layouts.save_flan_t5(place / "llm", shards=True)
    (folder / "model-00003-of-00003.safetensors").unlink()
    return {"--lion": parts.learnable, "--vit": parts.vit, "--llm": folder}, "lacks the shard model-00003-of-00003"


def another_size(place, parts):
    folder = layouts.save_flan_t5(place / "llm")
    weights = {"shared.weight": torch.zeros(416, 80), "encoder.final_layer_norm.weight": torch.ones(80)}
    (folder / "model.safetensors").unlink()
    layouts.save_safetensors(folder, weights)
    return {"--lion": parts.learnable, "--vit": parts.vit, "--llm": folder}, "give the FLAN-T5 of the size of --lion"


def no_vision_encoder(place, parts):
    return {"--lion": parts.learnable}, "--vit eva_vit_g.pth"


def wrong_vision_encoder(place, parts):
    torch.save({"cls_token": torch.zeros(1, 1, 32)}, place / "vit.pth")
    return {"--lion": parts.learnable, "--vit": place / "vit.pth"}, "eva_vit_g.pth"


def swapped(place, parts):
    return {"--lion": parts.vit}, "neither Q-Former nor Vision Aggregator"


def no_such_file(place, parts):
    return {"--lion": place / "lion.pth"}, "no file or folder"


def no_network(place, parts):
    return {"--llm": "google/flan-t5-xl"}, "HF_HUB_OFFLINE"


def no_tokenizer(place, parts):
    (place / "llm").mkdir()
    (place / "llm" / "config.json").write_text('{"model_type": "t5"}')
    return {"--llm": place / "llm"}, "--llm"


def a_file_for_a_tokenizer(place, parts):
    return {"--llm": parts.vit}, "its tokenizer is needed too"


def another_bert(place, parts):
    return {"--bert": parts.llm}, "give the BERT it was trained with"


def another_t5(place, parts):
    return {"--llm": parts.bert}, "give its FLAN-T5 as --llm"


def no_config(place, parts):
    return {"--config": None}, "neither XL (2048) nor XXL (4096); give --config"


def another_config(place, parts):
    (place / "config.json").write_text('{"model_type": "llama"}')
    return {"--config": place / "config.json"}, "give a LION's config.json"


def config_of_another_lion(place, parts):
    fields = json.loads(Path(parts.config).read_text()) | {"adapter_bottleneck": 16}
    (place / "config.json").write_text(json.dumps(fields))
    return {"--config": place / "config.json"}, "give --config"


def full_disk(place, parts, monkeypatch):
    usage = shutil.disk_usage(place)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=1000))
    return {}, "make room"


def failing_disk(place, parts, monkeypatch):
    def write(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(official, "write_sharded", write)
    return {}, "No space left on device"


DAMAGES = [
    truncated, bomb, nan, infinity, integers, sparse, missing_shard, another_size, no_vision_encoder,
    wrong_vision_encoder, swapped, no_such_file, no_network, no_tokenizer, a_file_for_a_tokenizer, another_bert,
    another_t5, no_config, another_config, config_of_another_lion, full_disk, failing_disk,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_one_clear_line_and_nothing_written(run, parts, tmp_path, monkeypatch, damage):
    place, target = tmp_path / "inputs", tmp_path / "target"
    place.mkdir()
    target.mkdir()
    monkeypatch.chdir(target)
    patched = (monkeypatch,) if damage in (full_disk, failing_disk) else ()
    change, says = damage(place, parts, *patched)
    words = parts.command[2:]
    options = dict(zip(words[::2], words[1::2], strict=True)) | change
    given = [str(word) for option, value in options.items() if value is not None for word in (option, value)]

    ran = run("convert", "official", *given, target / "out")

    assert ran.code == (1 if damage is failing_disk else 2) and ran.out == ""
    assert len(ran.err.splitlines()) == 1 and ran.err.startswith("lion: error: ")
    assert says in ran.err and len(ran.err) < 600
    assert list(target.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(run, parts, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    ran = run(*parts.command, tmp_path / "out")
    assert ran.code == 2 and "there already" in ran.err
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("way", ["folder", "here", "link"])
def test_an_empty_folder_is_taken(run, parts, tmp_path, monkeypatch, way):
    out = tmp_path / "out"
    out.mkdir()
    if way == "here":
        monkeypatch.chdir(out)
    if way == "link":
        (tmp_path / "link").symlink_to(out)
    ran = run(*parts.command, {"folder": out, "here": ".", "link": tmp_path / "link"}[way])
    assert ran.code == 0, ran.err
    assert (out / "config.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"][way != "link" :]


def test_a_disk_of_its_own_and_what_a_killed_conversion_left(run, parts, tmp_path, monkeypatch):
    (tmp_path / ".out.1234.tmp").mkdir()
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda path: usage._replace(free=1000))
        ran = run(*parts.command, tmp_path / "out")
    assert ran.code == 2 and "remove" in ran.err and ".out.1234.tmp" in ran.err
    monkeypatch.setattr("os.path.ismount", lambda path: True)
    ran = run(*parts.command, tmp_path / "out")
    assert ran.code == 2 and "name a folder in it" in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["convert", "official", "--lion", "x.pth"], "name the folder to write"),
        (["convert", "official", "out"], "--lion"),
        (["convert", "official", "--lion", "x.pth", "out", "--dtype", "fp16"], "fp16"),
    ],
)
def test_wrong_usage(run, words, says):
    ran = run(*words)
    assert ran.code == 2 and says in ran.err and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("command", re.findall(r"^\$ lion (.*)$", DOCS.read_text(), re.MULTILINE))
def test_command_of_the_docs(run, parts, tmp_path, monkeypatch, command):
    """As written, with the tiny model in the place of XL and a folder in the Hub's."""
    monkeypatch.chdir(tmp_path)
    hub = {"google/flan-t5-xl": parts.llm, "bert-base-uncased": parts.bert}
    shutil.copy(parts.full, "lion_flant5xl.pth")
    shutil.copy(parts.learnable, "lion_flant5xl_Learnable.pth")
    shutil.copy(parts.vit, "eva_vit_g.pth")
    shutil.copy(parts.config, "config.json")
    if "instructblip" in command:
        hub["Salesforce/instructblip-flan-t5-xl"] = str(layouts.save_instruct_blip(tmp_path / "blip"))
    monkeypatch.setattr("lion.convert.sources.fetch", lambda name, patterns: Path(hub[name]))
    monkeypatch.setattr("lion.convert.plan.PRESETS", {40: (released.config, "google/flan-t5-xl")})
    monkeypatch.setattr(official, "convert_ram", lambda source, folder: folder.mkdir())
    Path("ram.pth").touch()
    ran = run(*command.split())
    assert ran.code == 0 and ran.out
