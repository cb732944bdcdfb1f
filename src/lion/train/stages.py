"""The stages of LION as a table: what each reads, which tasks it may see, and what it trains.

Stage-wise instruction tuning is section 3.3 of the paper: image-level tasks with the Q-Former alone, region-level tasks
with the aggregator alone, then both with the mixture's router. The pretraining stages make what the paper takes
ready-made (ViT, language model, tagger, Q-Former). This file is data and imports no torch, so that a recipe is checked
at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lion.prompts import Task

IMAGE_TASKS = frozenset({Task.CAPTION, Task.VQA, Task.DIALOG})
REGION_TASKS = frozenset({Task.REC, Task.REG})


class Options(BaseModel):
    """What a recipe may say under `options`: settings that belong to one objective alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LanguageModellingOptions(Options):
    """Settings of stages 1 to 3."""

    soft_coordinates: float = Field(
        default=0.0,
        ge=0,
        description="width, in steps of the last decimal, over which the label of a coordinate piece is spread "
        "(0 = the paper's hard labels); helps a tiny model whose vocabulary has one piece a coordinate",
    )
    alignment: float = Field(
        default=0.0,
        ge=0,
        description="weight of a loss that pulls visual tokens towards the symbols of the drawn things under them, "
        "beside the paper's language-model loss (0 = that alone)",
    )


class PretrainLanguageOptions(Options):
    """Settings of the language model's pretraining."""

    scene_as: Literal["symbols", "text"] = Field(
        default="symbols", description="how a scene is told: one vector a thing (a departure), or in words (the paper)"
    )
    soft_coordinates: float = Field(default=0.0, ge=0, description="as in stages 1 to 3")
    find_first: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the run, at its start, whose texts are bare and ask for no captions or dialogs: finding "
        "what is meant is the skill that all tasks stand on",
    )
    few_first: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the run, at its start, whose scenes hold few things: one, then at most two, then three",
    )
    noise: float = Field(
        default=0.3,
        ge=0,
        description="largest standard deviation of noise on symbols, as visual tokens will be inexact",
    )


@dataclass(frozen=True)
class Stage:
    """One row of the table."""

    objective: str
    """`module:class` of the objective; imported only when a run starts."""
    trainable: tuple[str, ...]
    """Components that train; everything else is frozen."""
    tasks: frozenset[Task] = frozenset()
    """Tasks whose samples the stage may see; empty where the objective takes scenes rather than tasks."""
    unread: tuple[str, ...] = ()
    """Settings of a recipe that this stage has no use for; one that sets them all the same is refused."""
    visual_inputs: Literal["qformer", "aggregator", "both"] | None = None
    """Visual tokens the language model reads (LionConfig.visual_inputs); None where no LION model is built."""
    init: tuple[str, ...] = ()
    """Keys a recipe may name under `init`."""
    options: type[Options] = field(default=Options)
    """What a recipe may say under `options`."""


_IMAGE_PARTS = ("qformer", "image_adapter")
_REGION_PARTS = ("vision_aggregator", "mlp", "region_adapter")
_LION_PARTS = (
    "model",
    "tagger",
    "vision_encoder",
    "language_model",
    *_IMAGE_PARTS,
    *_REGION_PARTS,
    "router",
    "tag_soft_prompt",
)
_ABOUT_WORDS = ("data.tasks", "data.tags")
_OF_THE_STAGES = ("one_task", "validation.data")
_TUNING = "lion.train.language_modelling:LanguageModelling"

STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "pretrain-vit": Stage(
            objective="lion.train.mini.pretrain_vision:PretrainVision",
            trainable=("vision_encoder", "heads"),
            unread=(*_ABOUT_WORDS, "data.loose", *_OF_THE_STAGES),
        ),
        "pretrain-t5": Stage(
            objective="lion.train.mini.pretrain_language:PretrainLanguage",
            trainable=("language_model", "positions", "heads"),
            tasks=IMAGE_TASKS | REGION_TASKS,
            unread=("data.pixels", *_OF_THE_STAGES),
            options=PretrainLanguageOptions,
        ),
        "pretrain-tagger": Stage(
            objective="lion.train.mini.pretrain_tagger:PretrainTagger",
            trainable=("tagger",),
            unread=(*_ABOUT_WORDS, "data.loose", *_OF_THE_STAGES),
        ),
        "pretrain-connectors": Stage(
            objective="lion.train.mini.pretrain_connectors:PretrainConnectors",
            trainable=("qformer", "vision_aggregator", "mlp"),
            unread=(*_ABOUT_WORDS, *_OF_THE_STAGES),
            visual_inputs="both",
            init=("vision_encoder", "language_model"),
        ),
        "stage1": Stage(
            objective=_TUNING,
            trainable=(*_IMAGE_PARTS, "tag_soft_prompt"),
            tasks=IMAGE_TASKS,
            visual_inputs="qformer",
            init=_LION_PARTS,
            options=LanguageModellingOptions,
        ),
        "stage2": Stage(
            objective=_TUNING,
            trainable=(*_REGION_PARTS, "tag_soft_prompt"),
            tasks=REGION_TASKS,
            visual_inputs="aggregator",
            init=_LION_PARTS,
            options=LanguageModellingOptions,
        ),
        "stage3": Stage(
            objective=_TUNING,
            trainable=(*_IMAGE_PARTS, *_REGION_PARTS, "router", "tag_soft_prompt"),
            tasks=IMAGE_TASKS | REGION_TASKS,
            visual_inputs="both",
            init=_LION_PARTS,
            options=LanguageModellingOptions,
        ),
    }
)
