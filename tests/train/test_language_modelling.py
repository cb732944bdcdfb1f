"""The three stages on LION tiny in the drawn world: they learn, hand over, resume, score and export."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lion.data import pictures
from lion.data.writers import write_as
from lion.errors import LionError
from lion.images import image_hash, open_image
from lion.model import LionConfig, LionForConditionalGeneration
from lion.pipeline import LionPipeline
from lion.tagging import TagRow, write_tags
from lion.train.dry_run import dry_run, time_step
from lion.train.language_modelling import LanguageModelling, checkpoint_blocks
from lion.train.params import train_mode
from lion.train.recipe import parse
from lion.train.run import train
from lion.train.stages import STAGES
from lion.world import render, scene
from tests.model.test_modeling_lion import inputs, labels

ROOT = Path(__file__).parents[2]
IMAGE, REGION = {"caption": 1, "vqa": 2, "dialog": 1}, {"rec": 1, "reg": 1}
TASKS = {"stage1": IMAGE, "stage2": REGION, "stage3": {**IMAGE, **REGION}}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """One small cache of pictures for all tests here; one thread, so that curves can be equal."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LION_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setattr(pictures, "BLOCK", 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    patch.undo()


def recipe(stage, root, **fields):
    world = {"source": "world", "scenes": 16, "pixels": 64, "tasks": TASKS[stage], "tags": {"share": 0.5}}
    settings = {
        "name": stage,
        "stage": stage,
        "model": "tiny",
        "root": str(root),
        "out": stage,
        "data": [world],
        "steps": 3,
        "batch_size": 8,
        "optimizer": {"lr": 0.01},
    }
    return parse({**settings, **fields})


def rows(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def test_three_stages_hand_over_and_train_what_the_table_names(tmp_path):
    validation = {"every": 100, "samples": 4}
    first = recipe("stage1", tmp_path, validation=validation)
    second = recipe("stage2", tmp_path, init={"model": "stage1", "tagger": "tagger"}, options={"soft_coordinates": 1.0})
    third = recipe("stage3", tmp_path, init={"model": "stage2"}, validation=validation)
    tagger = tmp_path / "tagger"
    tagger.mkdir()
    (tagger / "train.jsonl").write_text("{}")
    scores = train(first)["scores"]
    with pytest.raises(LionError, match=r"init\.tagger: .* has not finished; let it go on first"):
        train(second)
    (tagger / "train.jsonl").unlink()
    (tagger / "config.json").write_text('{"model_type": "lion_ram"}')
    assert {"caption/recall", "vqa/accuracy/count", "dialog/accuracy", "pope-adversarial/f1"} <= set(scores)
    train(second)
    assert {"rec/accuracy@0.5", "reg/both"} <= set(train(third)["scores"])
    seen = {task for row in rows(tmp_path / "stage3") for task in row["per_task"]}
    assert seen == {"caption", "vqa", "dialog", "rec", "reg"}
    before, after = (load_file(tmp_path / stage / "model.safetensors") for stage in ("stage1", "stage2"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"language_model", "mlp", "tag_soft_prompt", "vision_aggregator"}
    assert all("region_adapter" in name for name in changed if name.startswith("language_model"))
    assert [path.name for path in (tmp_path / "stage3/tagger").iterdir()] == ["config.json"]
    shutil.rmtree(tmp_path / "stage3/tagger")
    answer = LionPipeline.from_pretrained(tmp_path / "stage3").look(render(scene("val", 0)))
    assert answer.size == (256, 256)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_run_validates_in_every_precision(tmp_path, precision):
    one = recipe("stage3", tmp_path, steps=1, precision=precision, validation={"every": 1, "samples": 4})
    assert train(one)["scores"].keys() > {"rec/accuracy@0.5", "vqa/accuracy", "caption/recall"}


def test_stopped_and_resumed_the_curve_is_the_same(tmp_path):
    whole = recipe("stage3", tmp_path / "whole", steps=5)
    cut = recipe("stage3", tmp_path / "cut", steps=5, checkpoint={"every": 2})
    train(whole)

    class Interrupted(LanguageModelling):
        def batch(self, step, shard=0):
            if step == 3:
                raise KeyboardInterrupt
            return super().batch(step, shard)

    with pytest.raises(KeyboardInterrupt):
        train(cut, objective=Interrupted(cut))
    assert [path.name for path in (tmp_path / "cut/stage3/checkpoints").iterdir()] == ["step-0000002"]
    saved = load_file(tmp_path / "cut/stage3/checkpoints/step-0000002/trained.safetensors")
    assert not any(name.startswith("vision_encoder") for name in saved)
    train(cut)
    curves = [[(row["loss"], row["per_task"]) for row in rows(tmp_path / name / "stage3")] for name in ("whole", "cut")]
    assert len(curves[0]) == 5 and curves[0] == curves[1]


def test_your_own_pictures_train_and_validate_beside_the_world(tmp_path):
    render(scene("train", 0)).save(tmp_path / "a.png")
    for name in ("bad.png", "worse.png"):
        (tmp_path / name).write_bytes(b"")
    lines = [
        {"image": "a.png", "expression": "the dog", "box": [0.1, 0.2, 0.5, 0.9]},
        {"image": "bad.png", "expression": "the cat", "box": [0.1, 0.2, 0.5, 0.9]},
    ]
    for name, chosen in (("own", lines), ("held", [lines[0], {**lines[1], "image": "worse.png"}])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, chosen)))
    tags = [TagRow("a.png", image_hash(open_image(tmp_path / "a.png")), ("dog",), "tagger")]
    write_tags(tmp_path / "tags.jsonl", tags)
    own = {"source": "jsonl", "path": str(tmp_path / "own.jsonl"), "flip": 0.5, "crop": 0.2}
    own["tags_from"] = str(tmp_path / "tags.jsonl")
    held = {"source": "jsonl", "path": str(tmp_path / "held.jsonl")}
    validation = {"every": 2, "samples": 12, "data": [held]}
    record = train(recipe("stage2", tmp_path, data=[own], validation=validation))
    assert record["bad_samples"] > 0 and set(record["scores"]) > {"held_out/rec/mean_iou"}
    bad = [json.loads(line) for line in (tmp_path / "stage2/bad_samples.jsonl").read_text().splitlines()]
    held_out = [one for one in bad if "worse.png" in one["reason"]]
    assert len(held_out) == 2 and record["scores"]["held_out/bad_samples"] == 2  # as REC and as REG, once each
    assert sum("bad.png" in one["reason"] for one in bad) == record["bad_samples"]


def test_datasets_in_their_original_files_train(tmp_path):
    for name in ("refcoco", "okvqa", "visdial"):
        write_as(name, tmp_path, 4, pixels=64)
        write_as(name, tmp_path / "held", 4, pixels=64)
    next((tmp_path / "okvqa").rglob("*.jpg")).unlink()
    data = [{"source": name, "folder": str(tmp_path)} for name in ("refcoco", "visdial")]
    data.append({"source": "okvqa", "folder": str(tmp_path), "skip_bad": True})
    validation = {"every": 9, "samples": 30, "data": [{**one, "folder": str(tmp_path / "held")} for one in data]}
    record = train(recipe("stage3", tmp_path, data=data, validation=validation))
    seen = {task for row in rows(tmp_path / "stage3") for task in row["per_task"]}
    assert set(record["scores"]) > {"held_out/rec/mean_iou", "held_out/reg/cider", "held_out/vqa/accuracy"}
    assert {"dialog", "vqa"} <= seen and seen & {"rec", "reg"}
    shown = [json.loads(line) for line in (tmp_path / "stage3/examples.jsonl").read_text().splitlines()]
    by_step = {step: [(one["set"], one["id"]) for one in shown if one["step"] == step] for step in (0, 3)}
    sets = [name for name, _ in by_step[0]]
    assert by_step[0] == by_step[3] and set(sets) == {f"held_out/{task}" for task in ("rec", "reg", "vqa", "dialog")}
    assert max(map(sets.count, sets)) == 4 and len(list((tmp_path / "stage3/samples").iterdir())) == 2
    bad = [json.loads(line) for line in (tmp_path / "stage3/bad_samples.jsonl").read_text().splitlines()]
    assert (
        record["bad_samples"] == len(bad) == 1 and bad[0]["id"].startswith("okvqa:") and "picture" in bad[0]["reason"]
    )


def test_a_dry_run_needs_no_run_that_comes_before_it_and_writes_nothing(tmp_path):
    first = recipe("stage1", tmp_path)
    second = recipe("stage2", tmp_path, init={"model": "stage1"}, gradient_accumulation=2)
    with pytest.raises(LionError, match=r"init\.model: there is no folder .*stage1; train what it comes from first"):
        dry_run(second)
    plan, objective = dry_run(second, [first])
    assert set(plan.trained) == {"vision_aggregator", "mlp", "region_adapter", "tag_soft_prompt"}
    assert plan.samples == 48 and plan.missing == (tmp_path / "stage1",) and plan.seconds_per_step is None
    assert time_step(second, objective) > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3"])
def test_checkpointed_blocks_give_the_same_gradients_to_the_bit(stage, dtype):
    """With frozen weights, adapters and gates, levels mixed, dropout, and another batch in between."""
    torch.manual_seed(0)
    config = LionConfig.tiny()
    config.visual_inputs = STAGES[stage].visual_inputs
    model = LionForConditionalGeneration(config).freeze(STAGES[stage].trainable)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".mixture." in name or "vision_aggregator" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    train_mode(model)

    def gradients():
        model.zero_grad()
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = model(**inputs(levels=[0, 1, 1, 0]), labels=labels()).loss
            with torch.no_grad():
                model(**inputs(levels=[1, 0, 0, 1], seed=1), labels=labels())
        loss.backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.requires_grad}

    plain = gradients()
    checkpoint_blocks(model)
    again = gradients()
    assert all(torch.equal(again[name], gradient) for name, gradient in plain.items())
    assert any("mixture" in name and gradient.any() for name, gradient in plain.items())
    taps = model.vision_encoder(inputs()["pixel_values"])
    assert not any(tap.requires_grad for tap in taps)  # the ViT is not part of any graph


def test_checkpointed_blocks_give_the_same_model(tmp_path):
    runs = [recipe("stage3", tmp_path, out=str(flag), gradient_checkpointing=flag) for flag in (False, True)]
    for run in runs:
        train(run)
    plain, checkpointed = ([(row["loss"], row["grad_norm"]) for row in rows(run.folder)] for run in runs)
    assert checkpointed == plain
    one, other = ((run.folder / "config.json").read_text() for run in runs)
    assert one == other


def test_initial_weights_that_are_missing_are_named(tmp_path):
    with pytest.raises(LionError, match=r"init\.model: there is no folder .*stage1; train what it comes from first"):
        train(recipe("stage2", tmp_path, init={"model": "stage1"}))


def test_a_bad_record_names_the_setting_of_recipes(tmp_path):
    (tmp_path / "own.jsonl").write_text("{")
    own = recipe("stage1", tmp_path, data=[{"source": "jsonl", "path": str(tmp_path / "own.jsonl")}])
    with pytest.raises(LionError, match=r"own\.jsonl line 1: .*with skip_bad: true beside the source in the"):
        train(own)
