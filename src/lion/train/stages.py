"""The stages of training as a table: what each trains, on which tasks, and which settings of a recipe it reads.

Stages 1 to 3 are section 3.3 of the paper: image-level tasks with the Q-Former alone, region-level tasks with the
aggregator alone, then both with the mixture's router. The pretraining stages make what the paper takes ready-made (ViT,
language model, tagger, Q-Former). Nothing here imports torch, so that a recipe is checked without it; what trains each
stage is in :data:`lion.train.run.OBJECTIVES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lion.prompts import Task

IMAGE_TASKS = frozenset({Task.CAPTION, Task.VQA, Task.DIALOG})
REGION_TASKS = frozenset({Task.REC, Task.REG})


Share = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """Settings of a recipe that belong together: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Options(Section):
    """Section `options` of a recipe: settings of one stage's objective. This base, without any, is the default."""


class LanguageModellingOptions(Options):
    """Options of stages 1 to 3."""

    soft_coordinates: NonNegative = Field(
        default=0.0,
        description="width, in steps of the last decimal, over which the label of a coordinate token is spread "
        "(0: the paper's hard labels); helps a tiny model whose vocabulary has one token per coordinate",
    )
    alignment: NonNegative = Field(
        default=0.0,
        description="weight of a loss that pulls visual tokens towards the object tokens of the drawn objects under "
        "them, beside the paper's language-model loss (0: the paper's loss alone)",
    )
    self_critical: NonNegative = Field(
        default=0.0,
        description="weight of a loss on captions of drawn scenes that draws captions from the model and makes those "
        "likelier that name what is there, and nothing twice (0: none)",
    )


class PretrainLanguageOptions(Options):
    """Options of the language model's pretraining."""

    scene_as: Literal["object_tokens", "text"] = Field(
        default="object_tokens",
        description="how a scene is given to the model: one vector per object (a departure from the paper), or as text",
    )
    soft_coordinates: NonNegative = Field(default=0.0, description="as in stages 1 to 3")
    curriculum_grounding: Share = Field(
        default=0.0,
        description="share of the run, at its start, that trains on rec, reg and vqa alone, with the bare question, "
        "expression or box as instruction: every task needs the model to find the object that is referred to",
    )
    curriculum_few_objects: Share = Field(
        default=0.0,
        description="share of the run, at its start, in which a scene has at most one object, then two, then three",
    )
    grids: Share = Field(
        default=0.0,
        description="share of the batches, once object tokens are at their noisiest, in which a scene is given as the "
        "connectors will give it: a token for each cell of the Q-Former's grid, of the aggregator's, or of both",
    )
    noise: NonNegative = Field(
        default=0.3,
        description="largest standard deviation of the noise added to object tokens, as visual tokens will be inexact",
    )
    blended: Share = Field(
        default=0.0,
        description="largest share that another object has in a token of the Q-Former's grid; with any, the "
        "aggregator's tokens, which blend nothing, have half of the noise",
    )


class Setting(StrEnum):
    """Settings that some stages do not read, by their dotted names (N: a source's number)."""

    TASKS = "data.N.tasks"
    TAGS = "data.N.tags"
    PIXELS = "data.N.pixels"
    WORD_DROPOUT = "data.N.word_dropout"
    COMPARISONS = "data.N.comparisons"
    ARCHITECTURE = "architecture"
    ORDER = "order"
    GRADIENT_CHECKPOINTING = "gradient_checkpointing"
    HOMOGENEOUS_BATCHES = "homogeneous_batches"
    LENGTH_BUCKETS = "length_buckets"
    FROZEN_WEIGHTS = "frozen_weights"
    TAP_CACHE = "tap_cache"
    TRAINABLE = "trainable"
    EXPORT = "export"
    VALIDATION_DATA = "validation.data"
    VALIDATION_DECODING = "validation.decoding"
    VALIDATION_GRADIENTS = "validation.gradients"


@dataclass(frozen=True)
class Stage:
    """One row of the table."""

    trainable: tuple[str, ...]
    """Components that train; everything else is frozen."""
    tasks: frozenset[Task] = frozenset()
    """Tasks whose samples the stage trains on; empty where the objective takes scenes rather than tasks."""
    unread: frozenset[Setting] = frozenset()
    """Settings that the stage does not read; a recipe that sets one is refused."""
    visual_inputs: Literal["qformer", "aggregator", "both"] | None = None
    """Visual tokens the language model reads (LionConfig.visual_inputs); None where no LION model is built."""
    init: tuple[str, ...] = ()
    """Keys that a recipe may have under `init`."""
    options: type[Options] = Options
    """Schema of the recipe's section `options`."""


_IMAGE_PARTS = ("qformer", "image_adapter")
_REGION_PARTS = ("vision_aggregator", "mlp", "region_adapter")
_ALL_PARTS = ("vision_encoder", "language_model", *_IMAGE_PARTS, *_REGION_PARTS, "router", "tag_soft_prompt")
_TUNING_ALONE = frozenset(
    {
        Setting.GRADIENT_CHECKPOINTING,
        Setting.ORDER,
        Setting.HOMOGENEOUS_BATCHES,
        Setting.LENGTH_BUCKETS,
        Setting.FROZEN_WEIGHTS,
        Setting.TAP_CACHE,
        Setting.TRAINABLE,
        Setting.EXPORT,
        Setting.VALIDATION_DATA,
        Setting.VALIDATION_DECODING,
        Setting.VALIDATION_GRADIENTS,
    }
)
_SCENES_ALONE = _TUNING_ALONE | {Setting.TASKS, Setting.TAGS, Setting.COMPARISONS}
_tuning = partial(
    Stage,
    init=("model", "tagger", *_ALL_PARTS),
    options=LanguageModellingOptions,
)

STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "pretrain-vit": Stage(
            trainable=("vision_encoder", "heads"),
            unread=_SCENES_ALONE | {Setting.ARCHITECTURE, Setting.WORD_DROPOUT},
        ),
        "pretrain-t5": Stage(
            trainable=("language_model", "positions", "heads"),
            tasks=IMAGE_TASKS | REGION_TASKS,
            unread=_TUNING_ALONE | {Setting.ARCHITECTURE, Setting.PIXELS},
            init=("language_model",),
            options=PretrainLanguageOptions,
        ),
        "pretrain-tagger": Stage(
            trainable=("tagger",),
            unread=_SCENES_ALONE | {Setting.ARCHITECTURE, Setting.WORD_DROPOUT},
        ),
        "pretrain-connectors": Stage(
            trainable=("qformer", "vision_aggregator", "mlp"),
            unread=_SCENES_ALONE,
            visual_inputs="both",
            init=("vision_encoder", "language_model"),
        ),
        "stage1": _tuning(trainable=(*_IMAGE_PARTS, "tag_soft_prompt"), tasks=IMAGE_TASKS, visual_inputs="qformer"),
        "stage2": _tuning(
            trainable=(*_REGION_PARTS, "tag_soft_prompt"), tasks=REGION_TASKS, visual_inputs="aggregator"
        ),
        "stage3": _tuning(
            trainable=(*_IMAGE_PARTS, *_REGION_PARTS, "router", "tag_soft_prompt"),
            tasks=IMAGE_TASKS | REGION_TASKS,
            visual_inputs="both",
        ),
    }
)

AUXILIARY_LOSSES: Mapping[str, tuple[str, Task | None]] = {
    "alignment": ("drawn scenes", None),
    "self_critical": ("captions of drawn scenes", Task.CAPTION),
}
"""Options of stages 1 to 3 that are the weight of a loss beside the language-model loss; in words, and as a task if it
is of one alone, what holds that loss's targets."""
