"""The recipes of the paper: its data by task level, InstructBLIP's mixing, and what trains at the released sizes."""

import gzip
import json
from math import sqrt
from pathlib import Path

import pytest
import torch

from lion.convert.key_map import our_name
from lion.data.sources import READERS
from lion.model import LionForConditionalGeneration
from lion.train.presets import RELEASED
from lion.train.recipe import load, load_chain, shipped

KEYS = Path(__file__).parents[2] / "golden" / "keys_full"
IMAGE = ["coco-caption", "textcaps", "vqav2", "okvqa", "aokvqa", "ocrvqa", "llava"]
STAGES = (("stage1", IMAGE), ("stage2", ["visual-genome"]), ("stage3", [*IMAGE, "visual-genome"]))
COUNTED = {"ocrvqa": 1_002_146, "llava": 394_276, "visual-genome": 5_400_000}
"""Sizes that no reader knows."""


@pytest.mark.parametrize("size", ["xl", "xxl"])
@pytest.mark.parametrize(("stage", "sources"), STAGES)
def test_the_papers_data_weighs_the_square_root_of_its_size(size, stage, sources):
    recipe = load(f"paper-{size}-{stage}")
    assert (recipe.stage, recipe.model) == (stage, f"flan-t5-{size}")
    assert [source.source for source in recipe.data] == sources
    for source in recipe.data:
        records = READERS[source.source].info.splits.get(source.split) or COUNTED[source.source]
        assert source.weight == round(sqrt(records))
        assert source.tags_from and source.tags.share < 1 and source.tags.drop > 0 and source.tags.spurious > 0


def test_the_two_sizes_differ_in_size_and_batch_alone():
    for stage, _ in STAGES:
        xl, xxl = (load(f"paper-{size}-{stage}").model_dump(mode="json") for size in ("xl", "xxl"))
        differing = {key for key in xl if xl[key] != xxl[key]}
        assert differing == {"name", "model", "root", "batch_size", "gradient_checkpointing"}


def test_the_chain_joins_what_its_stages_leave():
    for size in ("xl", "xxl"):
        one, two, three = load_chain(f"paper-{size}").recipes
        assert three.init_folders == {"model": two.folder, "qformer": one.folder, "image_adapter": one.folder}


def test_every_setting_of_a_long_run_names_its_source():
    for name in (name for name in shipped() if name.startswith("paper-") and "stage" in name):
        lines = (Path(load.__code__.co_filename).parents[2] / "recipes" / f"{name}.yaml").read_text().splitlines()
        for key in (
            "steps:",
            "batch_size:",
            "precision:",
            "  lr:",
            "  betas:",
            "  weight_decay:",
            "  warmup:",
            "  decay:",
        ):
            (line,) = (line for line in lines if line.startswith(key))
            assert "InstructBLIP" in line or "ours" in line


@pytest.mark.parametrize("size", ["xl", "xxl"])
@pytest.mark.parametrize(("stage", "sources"), STAGES)
def test_what_trains_is_what_the_released_checkpoint_trains(size, stage, sources):
    with gzip.open(KEYS / f"lion_flant5{size}.json.gz") as file:
        entries = json.load(file)
    with torch.device("meta"):
        model = LionForConditionalGeneration(RELEASED[f"flan-t5-{size}"]())
    trained = {
        name for part in load(f"paper-{size}-{stage}").row.trainable for name, _ in model.component_parameters(part)
    }
    golden = {
        our_name(key) for key, entry in entries.items() if entry["trainable"] and int(stage[-1]) in entry["stages"]
    }
    assert trained == golden
