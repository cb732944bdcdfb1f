"""One model, one global batch: the same curve alone, with DDP and with FSDP2, and checkpoints that all of them read.

The processes are gloo's on a CPU in float32. What differs between them is the order in which gradients and norms are
summed. A sum of n terms in another order is off by a few units in the last place (6e-8 each), and a step hands that on:
measured over 12 steps (2026-11-29, an Intel Xeon with 2 cores) were 4e-7 of the loss, 1e-5 of the gradient norm. AdamW
divides by the gradient's size, so that where a gradient is nearly zero its last digits move a weight as well: 1e-5 of
weights that had moved by 0.03. The bounds are 20 times that: a lost micro-batch or a gradient that is summed instead of
averaged is off by more than 1e-2.
"""

import json
import textwrap
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from lion.errors import LionError
from lion.model import LionForConditionalGeneration
from lion.train.parallel import autocast, parallelise
from lion.train.presets import preset_config, world_processor
from lion.train.run import train
from tests.processes import torchrun
from tests.train import scaling
from tests.train.toy import Toy, ToyModel
from tests.train.toy import recipe as toy_recipe

FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
LOSS, NORM, WEIGHT = 1e-5, 3e-4, 3e-4

SCRIPT = """
    import os, sys
    from pathlib import Path
    import torch
    from lion.train.run import train
    from tests.train.scaling import Scored, go_on, recipe

    torch.set_num_threads(1)
    out = Path({out!r})
    for name in {names!r}:
        wrapper, *rest = name.split("-")
        os.environ["ACCELERATE_USE_FSDP"] = str(wrapper == "fsdp2")
        run = recipe(out, f"{{name}}", gradient_checkpointing="checkpointing" in rest)
        train(run, objective=Scored(run))
    for name, wrappers in {moves!r}:
        go_on(recipe(out, name), wrappers)
    torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A tiny model without dropout, whose masks would be others in other processes."""
    folder = tmp_path_factory.mktemp("start")
    processor = world_processor("tiny")
    config = preset_config("tiny", processor)
    config.qformer_config.hidden_dropout_prob = config.qformer_config.attention_probs_dropout_prob = 0.0
    torch.manual_seed(0)
    LionForConditionalGeneration(config).save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def alone(start):
    """The run of one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LION_CACHE", str(start / "cache"))
        run = scaling.recipe(start, "alone")
        train(run, objective=scaling.Scored(run))
    return run.folder


def launch(start, processes, names, moves=()):
    script = start / f"script{processes}.py"
    script.write_text(textwrap.dedent(SCRIPT.format(out=str(start), names=names, moves=moves)))
    environment = {**FSDP2, "ACCELERATE_USE_CPU": "true", "LION_CACHE": str(start / "cache")}
    done = torchrun(processes, script, **environment)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def ran(request, start, alone):
    """Runs of several processes; `moved` changes its wrapper twice."""
    names = [f"ddp-{request.param}", f"fsdp2-{request.param}", f"fsdp2-{request.param}-checkpointing"]
    launch(start, request.param, names, [(f"moved-{request.param}", ["ddp", "fsdp2", "ddp"])])
    return [start / name for name in (*names, f"moved-{request.param}")]


def rows(folder, name="train"):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_the_curve_does_not_depend_on_processes_or_wrapper(alone, ran):
    wanted, weights = rows(alone), load_file(alone / "model.safetensors")
    assert wanted[-1]["loss"] < 0.8 * wanted[0]["loss"] and len(wanted) == 8
    for folder in ran:
        for row, other in zip(wanted, rows(folder), strict=True):
            assert other["loss"] == pytest.approx(row["loss"], rel=LOSS), folder
            assert other["per_task"] == pytest.approx(row["per_task"], rel=LOSS), folder
            assert other["grad_norm"] == pytest.approx(row["grad_norm"], rel=NORM), folder
        trained = load_file(folder / "model.safetensors")
        assert trained.keys() == weights.keys()
        assert max(float((trained[name] - weights[name]).abs().max()) for name in weights) < WEIGHT


def test_scores_are_those_of_the_whole_model(alone, ran):
    wanted = rows(alone, "validation")
    assert [row["step"] for row in wanted] == [0, 4, 8]
    for folder in ran:
        for row, other in zip(wanted, rows(folder, "validation"), strict=True):
            assert other["loss"] == pytest.approx(row["loss"], rel=LOSS), folder


def test_checkpoints_have_one_form(start, alone, ran):
    """Names, shapes and types of what a run of DDP, one of FSDP2 and one alone left on the way."""
    forms = []
    for folder in (alone, *ran[:2]):
        left = start / "kept" / folder.name
        (step,) = left.iterdir()
        files = [load_file(step / f"{name}.safetensors") for name in ("trained", "optimiser")]
        forms.append([{name: (t.shape, t.dtype) for name, t in file.items()} for file in files])
    assert forms[0] == forms[1] == forms[2]
    assert not any("vision_encoder" in name for name in forms[0][0]), "trainables only"


def test_what_cannot_be_sharded_is_refused_with_the_fix(tmp_path, monkeypatch):
    toy = Toy(toy_recipe(tmp_path))
    toy.unused_parameters = True
    accelerator = SimpleNamespace(num_processes=2, device=torch.device("cpu"), is_main_process=False)
    for name, value in FSDP2.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LionError, match="take DDP for it"):
        parallelise(ToyModel(), accelerator, toy)
    quantised = ToyModel()
    quantised.head.weight = type("Params4bit", (torch.nn.Parameter,), {"__module__": "bitsandbytes.nn"})(
        torch.ones(1, 8)
    )
    with pytest.raises(LionError, match="weights of 8 or 4 bits are not sharded; take bf16, or DDP"):
        parallelise(quantised, accelerator, toy)
    monkeypatch.setenv("FSDP_OFFLOAD_PARAMS", "true")
    with pytest.raises(LionError, match="leave fsdp_offload_params out"):
        parallelise(ToyModel(), accelerator, toy)
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(LionError, match="set fsdp_version: 2 in accelerate's file, or FSDP_VERSION=2"):
        parallelise(ToyModel(), accelerator, toy)


@pytest.mark.parametrize(("dtype", "kernel"), [(torch.bfloat16, "attention_math"), (torch.float32, "flash_attention")])
def test_the_attention_kernel_of_a_cpu(dtype, kernel):
    query_BHND = torch.randn(2, 3, 40, 16, requires_grad=True)
    with torch.profiler.profile() as profiled, autocast(torch.device("cpu"), dtype):
        torch.nn.functional.scaled_dot_product_attention(query_BHND, query_BHND, query_BHND).sum().backward()
    assert any(f"_scaled_dot_product_{kernel}" in event.key for event in profiled.key_averages())
