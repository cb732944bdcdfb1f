"""The schema of a recipe: all that one training run depends on, as a small YAML file (docs/reference/recipes.md).

Checked before torch is imported. `reading.py` reads the files; `fingerprint.py` hashes what shapes the loss curve.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from lion.checkpoints.finding import BUNDLED, bundled_folder
from lion.data.sources import DatasetName
from lion.data.tag_noise import TagNoise
from lion.errors import LionError
from lion.prompts import Task
from lion.train.recipe.architecture import Architecture
from lion.train.stages import AUXILIARY_LOSSES, STAGES, Options, Section, Share, Stage

SHIPPED = Path(__file__).parents[2] / "recipes"
"""Folder of the recipes in the package."""

RENAMED = {
    "optimiser": "optimizer",
    "clip": "max_grad_norm",
    "accumulate": "gradient_accumulation",
    "one_task": "homogeneous_batches",
    "loose": "word_dropout",
    "find_first": "curriculum_grounding",
    "few_first": "curriculum_few_objects",
}
"""Settings by the names that earlier versions gave them: refused with a hint, and hashed in fingerprints."""
RENAMED_VALUES = {"symbols": "object_tokens"}
"""Values by the names that earlier versions gave them; defaults, so that fingerprints do not hold them."""


def _expanded(path: str) -> str:
    """Raises: LionError for a variable that is not set, of which a folder of that name would be made."""
    found = os.path.expandvars(os.path.expanduser(path))
    if unset := re.search(r"\$\{?[A-Za-z_]\w*", found):
        raise LionError(f"{unset[0].replace('{', '')} is not set; set it, or write the path out")
    return found


UserPath = Annotated[Path, AfterValidator(lambda path: Path(_expanded(str(path))))]
"""A path as users write it: ``~`` is the home folder, ``$SCRATCH`` a variable of the environment."""
TaskWeights = dict[Task, Annotated[float, Field(gt=0)]]
_Weights = dict[str, Annotated[float, Field(gt=0)]]


class Source(Section):
    """Settings that all sources share."""

    weight: float = Field(default=1.0, gt=0, description="mixing weight of this source against the others")

    def paths(self) -> dict[str, Path]:
        """Files and folders that the source reads, by setting."""
        return {name: value for name, value in self if isinstance(value, Path)}

    def records(self) -> dict[str, Any]:
        """What identifies the annotated pictures that the source reads."""
        known = self.model_dump(include={"source", "split", "path", "folder"})
        return {name: value.resolve() if isinstance(value, Path) else value for name, value in known.items()}


class WorldData(Source):
    """Scenes of the drawn world."""

    source: Literal["world"] = Field(description="this kind of source")
    scenes: int = Field(gt=0, description="number of train scenes; their pictures are drawn once and kept in the cache")
    pixels: int = Field(default=256, ge=32, description="side of the drawn picture, before the model's own resize")
    tasks: TaskWeights = Field(default={}, description="sampling weight of each task; one left out is not sampled")
    tags: TagNoise | None = Field(default=None, description="tags in prompts, and their noise; null: no tags")
    word_dropout: Share = Field(
        default=0.0,
        description="chance that a word of the instruction around question, expression or box is left out; half of the "
        "questions have words left out and inserted, too, at half that chance",
    )
    comparisons: Share = Field(default=0.0, description="chance that a dialog is drawn until it compares objects")


class RecordData(Source):
    """Settings that sources of annotated pictures share."""

    tasks: TaskWeights = Field(
        default={}, description="sampling weight of each task; empty: all, as often as in the file"
    )
    flip: float = Field(
        default=0.0, ge=0, le=1, description="chance to mirror a picture whose text does not mention left or right"
    )
    crop: Share = Field(default=0.0, description="largest share that a random crop cuts off each side")
    tags_from: UserPath | None = Field(
        default=None, description="file of `lion tag --out` with the tags; null: no tags"
    )
    tags: TagNoise | None = Field(
        default=None, description="noise on the pictures' tags, where they have any; null: none"
    )
    skip_bad: bool = Field(default=False, description="list bad records in bad_samples.jsonl and go on; false: stop")


class JsonlData(RecordData):
    """Your own pictures: JSON lines (image; caption, question and answer, or expression and box) or a CSV."""

    source: Literal["jsonl"] = Field(description="this kind of source")
    path: UserPath = Field(description="the JSONL or CSV file; relative picture paths in it start at its folder")

    @property
    def address(self) -> tuple[str, Path, str]:
        """Kind, place and split of the dataset."""
        return self.source, self.path, ""


class ShardsData(RecordData):
    """Pictures with their texts in tars (WebDataset's form, as `lion data pack` writes) or parquet files."""

    source: Literal["shards"] = Field(description="this kind of source")
    path: Annotated[str, Field(min_length=1), AfterValidator(_expanded)] = Field(
        description="a folder of .tar or .parquet files, a pattern, or one file; or a URL of these, such as s3://..."
    )

    @property
    def address(self) -> tuple[str, str, str]:
        """Kind, place and split of the dataset."""
        return self.source, self.path, ""


class DatasetData(RecordData):
    """A dataset in its original files; docs/reference/datasets.md lists them and says where its pictures go."""

    source: DatasetName = Field(description="the dataset")
    folder: UserPath = Field(description="folder that holds the dataset, or several of them")
    split: str = Field(default="train", description="split of the dataset; of llava, coco-detection: the file's name")

    @property
    def address(self) -> tuple[str, Path, str]:
        """Kind, place and split of the dataset."""
        return self.source, self.folder, self.split


OwnData = Annotated[JsonlData | ShardsData | DatasetData, Field(discriminator="source")]
Data = Annotated[WorldData | JsonlData | ShardsData | DatasetData, Field(discriminator="source")]


class OptimizerSettings(Section):
    """AdamW, optionally with Muon, and the learning rate over time: linear warm-up, constant, decay to zero."""

    lr: float = Field(gt=0, description="learning rate after warm-up, of a component whose lr_scale is 1")
    muon: float = Field(default=0.0, ge=0, description="hidden matrices by Muon, at this multiple of lr (0: by AdamW)")
    betas: tuple[Share, Share] = Field(default=(0.9, 0.98), description="AdamW's running-average coefficients")
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of matrices; vectors have none")
    warmup: int = Field(default=0, ge=0, description="steps over which the learning rate rises from zero")
    decay: float = Field(default=0.3, ge=0, le=1, description="share of the run, at its end, in which lr falls to zero")
    shape: Literal["linear", "cosine"] = Field(default="linear", description="shape of that decay")


class ValidationSettings(Section):
    """Held-out samples that the model answers during training; the scores go to validation.jsonl."""

    every: int = Field(gt=0, description="steps between validations; one more comes at the end")
    samples: int = Field(default=200, gt=0, description="val questions per task of drawn scenes; of own sources in all")
    decoding: Literal["lion", "official", "short", "boxes", "greedy"] = Field(
        default="lion",
        description="preset by which answers are generated (`lion info`): lion, as users get them; greedy: several "
        "times as fast, and other answers",
    )
    at_start: bool = Field(default=True, description="score the model before the first step, too")
    gradients: bool = Field(
        default=False,
        description="also measure, layer by layer, the cosine between the gradients of the image-level and of the "
        "region-level tasks, on fixed val samples of the drawn world",
    )
    data: tuple[OwnData, ...] = Field(default=(), description="your own held-out sources, beside the drawn world's val")


class CheckpointSettings(Section):
    """Checkpoints that a stopped run resumes from."""

    every: int = Field(default=200, gt=0, description="steps between checkpoints")
    keep: int = Field(default=2, gt=0, description="newest checkpoints kept")
    rewinds: int = Field(
        default=0,
        ge=0,
        description="steps that may be left out because loss or gradient norm is not finite: the run goes back to its "
        "newest checkpoint and past such a step; one more, or 0: the run ends with an error",
    )


class TapCacheSettings(Section):
    """The frozen ViT's features of pictures that were drawn before, on disk."""

    folder: UserPath = Field(description="folder for them; several runs may share it")
    gigabytes: float = Field(gt=0, description="size from which on none is added (XL: 2.2 MB a picture in bf16)")


class Recipe(Section):
    """One training run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$", description="the run's name in logs and chains")
    stage: str = Field(description="row of the stage table: what trains and on which tasks")
    trainable: tuple[str, ...] = Field(
        default=(), description="components that train; empty: all that the stage trains (docs/how-to/finetuning.md)"
    )
    export: Literal["model", "adapters"] = Field(
        default="model",
        description="what the run leaves: the whole model, or `adapters.safetensors`, what was trained of a model that "
        "`init.model` names, for `--adapters`",
    )
    model: str = Field(
        default="mini",
        description="size of the model where `init` names none: mini or tiny, built from scratch; flan-t5-xl or "
        "flan-t5-xxl for a plan (`--on`) before their weights are there",
    )
    init: dict[str, UserPath] = Field(
        default={}, description="folder that `model` (whole) or a component is taken from; lion-mini: the bundled one"
    )
    data: tuple[Data, ...] = Field(min_length=1, description="sources of samples, mixed by weight")
    order: Literal["random", "epochs"] = Field(
        default="random",
        description="random: every sample is drawn anew, with replacement; epochs: each source and task in shuffled "
        "passes without replacement, where a global batch is the same for any number of processes",
    )
    architecture: Architecture = Field(
        default=Architecture(), description="what differs from the paper's model; the default: nothing"
    )
    steps: int = Field(gt=0, description="optimizer steps")
    batch_size: int = Field(default=64, gt=0, description="samples per micro-batch and process")
    gradient_accumulation: int = Field(
        default=1,
        gt=0,
        description="micro-batches per optimizer step: of each process, with order: epochs of all processes together",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute blocks again in the backward pass instead of keeping what they made"
    )
    homogeneous_batches: bool = Field(default=False, description="one source and task per micro-batch: less padding")
    length_buckets: bool = Field(
        default=False,
        description="texts of similar length per micro-batch, with order: epochs: less padding; processes wait for the "
        "one with the longest",
    )
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description="arithmetic of the forward pass (autocast); auto: bf16 where the device multiplies it in hardware",
    )
    frozen_weights: Literal["fp32", "bf16", "int8", "nf4"] = Field(
        default="fp32",
        description="how frozen weights are held, with precision: bf16; bf16 computes the same as fp32 in half the "
        "memory; int8 and nf4 (4 bits) round those of ViT and language model, and need bitsandbytes",
    )
    tap_cache: TapCacheSettings | None = Field(
        default=None,
        description="keep the ViT's features of pictures on disk (docs/how-to/tap_cache.md: when it pays); null: no",
    )
    optimizer: OptimizerSettings = Field(description="AdamW and its schedule")
    lr_scale: _Weights = Field(default={}, description="factor on a component's learning rate (1 where not named)")
    max_grad_norm: float = Field(default=1.0, gt=0, description="norm to which all gradients together are clipped")
    validation: ValidationSettings | None = Field(default=None, description="scores during training; null: none")
    checkpoint: CheckpointSettings = Field(default=CheckpointSettings(), description="how often, how many")
    workers: int = Field(default=0, ge=0, description="processes that build batches ahead; 0: in the training process")
    log_to: tuple[Literal["wandb", "trackio"], ...] = Field(
        default=(), description="services that get the curves as well as the run's folder: wandb, trackio"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of weights and samples; scenes have their own")
    root: UserPath = Field(default=Path(), description="folder that relative `out` and `init` paths start at")
    out: UserPath = Field(description="folder of the run: log, checkpoints, and at the end the model")
    options: SerializeAsAny[Options] = Field(description="settings of the stage's objective")

    def micro_batches(self, processes: int) -> int:
        """Micro-batches of a step in each process. Raises: LionError if they cannot be shared out evenly."""
        if self.order == "random":
            return self.gradient_accumulation
        each, left_over = divmod(self.gradient_accumulation, processes)
        if left_over:
            raise LionError(
                f"{self.name}: with order: epochs all processes share the micro-batches of a step, and "
                f"{processes} cannot share {self.gradient_accumulation} evenly: set gradient_accumulation to a "
                "multiple and batch_size accordingly, or start another number of processes"
            )
        return each

    @property
    def row(self) -> Stage:
        """The recipe's row of the stage table."""
        return STAGES[self.stage]

    @property
    def visual_inputs(self) -> str | None:
        """Visual tokens the language model reads; None where no LION model is built."""
        return self.architecture.visual_inputs or self.row.visual_inputs

    @property
    def trained(self) -> tuple[str, ...]:
        """Components that train: those named or of the stage, as far as the architecture has them."""
        return self.architecture.trained(self.trainable or self.row.trainable)

    @property
    def folder(self) -> Path:
        """The folder that the run writes to."""
        return self.root / self.out

    @property
    def init_folders(self) -> dict[str, Path]:
        """Folders that the parts under `init` are taken from; `lion-mini`: the bundled one where there is no other."""
        folders = {part: self.root / path for part, path in self.init.items()}
        for part, folder in folders.items():
            if str(self.init[part]) == BUNDLED and (folder == self.folder or not folder.is_dir()):
                folders[part] = bundled_folder()
        return folders

    @field_validator("options", mode="before")
    @classmethod
    def _options_of_the_stage(cls, given: Any, info: ValidationInfo) -> Options:
        """`options` in the schema of the recipe's stage, which was checked before."""
        return STAGES[info.data["stage"]].options.model_validate(given)

    @model_validator(mode="after")
    def _has_no_contradiction(self) -> Self:
        for contradiction in self._contradictions():
            raise ValueError(contradiction)
        return self

    def _contradictions(self) -> Iterator[str]:
        """What does not fit together, each as the setting and what to do about it."""
        row, tasks = self.row, ", ".join(sorted(self.row.tasks))
        for name in self._changed_but_unread():
            yield f"{name}: {self.stage} does not read it; leave it out"
        worlds = [source for source in self.data if isinstance(source, WorldData)]
        for name, (what, task) in AUXILIARY_LOSSES.items():
            if getattr(self.options, name, 0) and not any(task in (None, *source.tasks) for source in worlds):
                yield f"options.{name}: only {what} have what it needs, and no source has them; leave it out"
        if self.length_buckets and self.order != "epochs":
            yield "length_buckets: passes are what is sorted; set order: epochs"
        if self.length_buckets and len(worlds) == len(self.data):
            yield "length_buckets: drawn scenes have no texts to sort by, and all sources are world; leave it out"
        for name, source in self._sources():
            if tasks and (wrong := sorted(set(source.tasks) - row.tasks)):
                yield f"{name}.tasks: {self.stage} does not train on {wrong[0]}; its tasks are {tasks}"
            if tasks and isinstance(source, WorldData) and not source.tasks:
                yield f"{name}.tasks: name at least one of {tasks}"
            if name.startswith("validation") and source.records() in [other.records() for other in self.data]:
                apart = "another file" if source.source in ("jsonl", "shards") else "another split, such as split: val"
                yield f"{name}: data trains on these very records; hold out {apart}"
        paths = [(f"init.{part}", folder) for part, folder in self.init_folders.items()]
        paths += [(f"{name}.{key}", path) for name, source in self._sources() for key, path in source.paths().items()]
        for name, path in paths:
            if self.folder.resolve() in (path.resolve(), *path.resolve().parents):
                yield f"out: {name} is read from {path}, where the run would write; choose another folder"
        for field, names, known in (
            ("trainable", self.trainable, row.trainable),
            ("lr_scale", self.lr_scale, self.trained),
            ("init", self.init, row.init),
        ):
            if unknown := sorted(set(names) - set(known)):
                yield f"{field}.{unknown[0]}: {self.stage} knows {', '.join(known) or 'none'} here"
        if self.frozen_weights != "fp32" and self.precision != "bf16":
            yield f"frozen_weights: {self.frozen_weights} weights are multiplied in bfloat16; set precision: bf16"
        if self.frozen_weights != "fp32" and "model" not in self.init:
            yield f"frozen_weights: {self.frozen_weights} is for weights that were trained before; name init.model"
        if self.export == "adapters" and set(self.init) - {"tagger"} != {"model"}:
            yield "export: adapters are put on one whole model; name it as init.model, without other parts"
        if (self.frozen_weights != "fp32" or self.export == "adapters") and self.architecture != Architecture():
            yield "architecture: is for whole models held in fp32; leave frozen_weights and export out"
        if self.optimizer.warmup > self.steps:
            yield f"optimizer.warmup: {self.optimizer.warmup} is more than steps={self.steps}; lower it"
        if self.validation and not self.validation.data and not worlds:
            yield "validation.data: name a source of held-out samples"

    def _sources(self) -> list[tuple[str, Data]]:
        """All sources with their dotted names, held-out ones last."""
        held_out = self.validation.data if self.validation else ()
        return [
            *((f"data.{number}", source) for number, source in enumerate(self.data)),
            *((f"validation.data.{number}", source) for number, source in enumerate(held_out)),
        ]

    def _changed_but_unread(self) -> Iterator[str]:
        """Dotted names of settings that the stage does not read and that differ from their defaults."""
        sections: list[tuple[str, str, Section]] = [("", "", self)]
        sections += [("data.N.", f"data.{number}.", source) for number, source in enumerate(self.data)]
        if self.validation:
            sections.append(("validation.", "validation.", self.validation))
        for pattern, prefix, section in sections:
            for name, field in type(section).model_fields.items():
                if pattern + name in self.row.unread and getattr(section, name) != field.default:
                    yield prefix + name


SECTIONS: Mapping[str, type[BaseModel]] = {
    "data.N.": WorldData,
    "data.N.tags.": TagNoise,
    "checkpoint.": CheckpointSettings,
    "validation.": ValidationSettings,
    "tap_cache.": TapCacheSettings,
    "architecture.": Architecture,
    "optimizer.": OptimizerSettings,
    "": Recipe,
}
"""Schemas by the prefix of their settings' dotted names."""
