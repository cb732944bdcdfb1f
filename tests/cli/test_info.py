"""``lion info``: counts and sizes from headers alone."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from lion.checkpoints.finding import find_folder
from lion.model import LionForConditionalGeneration


def test_components_add_up_to_the_model(run, checkpoint):
    ran = run("info", checkpoint, "--json")
    assert (ran.code, ran.err) == (0, "")
    (found,) = ran.rows
    model = LionForConditionalGeneration.from_pretrained(checkpoint)
    assert found["parameters"] == model.num_parameters()
    for part in found["components"]:
        parameters = [parameter for _, parameter in model.component_parameters(part["name"])]
        assert part["parameters"] == sum(parameter.numel() for parameter in parameters)
        assert part["bytes"] == 4 * part["parameters"] and part["dtypes"] == ["F32"]
    trained = {part["name"] for part in found["components"] if part["trained"]}
    assert trained == {part["name"] for part in found["components"]} - {"vision_encoder", "language_model"}
    stored = load_file(f"{checkpoint}/tagger/model.safetensors")
    assert found["tagger"]["parameters"] == sum(tensor.numel() for tensor in stored.values())


def test_the_model_in_the_package(run):
    """Its Vision Encoder has running statistics, which are no parameters."""
    ran = run("info", "--json")
    assert (ran.code, ran.err) == (0, "")
    model = LionForConditionalGeneration.from_pretrained(find_folder(None)[0])
    assert ran.rows[0]["parameters"] == model.num_parameters()
    assert run("doctor", "lion-mini").code == 0


def test_a_model_without_a_tagger_is_noted(run, checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "bare", ignore=shutil.ignore_patterns("tagger"))
    for more in ([], ["--json"]):
        ran = run("info", tmp_path / "bare", *more)
        assert ran.code == 0 and len(ran.err.splitlines()) == 1
        assert "note: " in ran.err and "has no tagger" in ran.err and "--tagger" in ran.err
    assert ran.rows[0]["tagger"] is None


def test_no_weight_is_read(run, checkpoint, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", refuse)
    monkeypatch.setattr("torch.nn.Module.load_state_dict", refuse)
    assert run("info", checkpoint).code == 0


def test_precision_shards_and_record(run, checkpoint, tmp_path):
    folder = tmp_path / "half"
    shutil.copytree(checkpoint, folder)
    (folder / "model.safetensors").unlink()
    half = LionForConditionalGeneration.from_pretrained(checkpoint).to(torch.bfloat16)
    half.save_pretrained(folder, max_shard_size="200KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    record = {
        "name": "mini-stage3",
        "commit": "abc",
        "hardware": "a toaster",
        "scores": {"rec": 0.9},
        "decoding": "greedy",
    }
    (folder / "finished.json").write_text(json.dumps(record))

    ran = run("info", folder)

    assert (ran.code, ran.err) == (0, "")
    assert "BF16" in ran.out and "503 kB in bfloat16" in ran.out
    for line in (
        "recipe: mini-stage3",
        "commit: abc",
        "hardware: a toaster",
        "scores on the run's own validation samples: rec 0.9",
        "their decoding: greedy",
    ):
        assert line in ran.out.splitlines()


def misfit(folder):
    config = json.loads((folder / "config.json").read_text())
    config["adapter_bottleneck"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    return "another shape than its config.json"


def cut(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    return "no safetensors file"


def missing(folder):
    (folder / "model.safetensors").unlink()
    return "no *.safetensors"


def nonsense(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "taps": [99]}))
    return "does not describe a LION model"


def negative(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "adapter_bottleneck": -1}))
    return "does not describe a LION model"


def damaged_record(folder):
    (folder / "finished.json").write_text("[]")
    return "finished.json is damaged"


@pytest.mark.parametrize(
    "spoil", [misfit, cut, missing, nonsense, negative, damaged_record], ids=lambda spoil: spoil.__name__
)
def test_spoilt_checkpoints_are_one_line(run, checkpoint, tmp_path, spoil):
    folder = tmp_path / "spoilt"
    shutil.copytree(checkpoint, folder)
    says = spoil(folder)
    ran = run("info", folder)
    assert ran.code == 2 and ran.out == ""
    assert len(ran.err.splitlines()) == 1 and says in ran.err
