"""A recipe: everything one training run depends on, as a small YAML file that is checked before torch is imported.

`load("mini-stage1", ["steps=100", "optimiser.lr=1e-3"])` reads a shipped recipe (or a file's path), applies dotted
overrides and validates; whatever is wrong becomes one LionError line that names the field and the fix.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lion.checkpoints.finding import BUNDLED, bundled_folder
from lion.checkpoints.record import read_record
from lion.data.sources import READERS, DatasetName
from lion.data.tag_noise import TagNoise
from lion.errors import LionError
from lion.prompts import Task
from lion.train.stages import STAGES, Options, Stage

SHIPPED = Path(__file__).parent.parent / "recipes"
_NOT_THE_CURVE = frozenset({"name", "root", "out", "checkpoint", "validation", "workers"})
"""Fields that may change between a run and its resumption: the loss curve does not depend on them."""

TaskWeights = dict[Task, Annotated[float, Field(gt=0)]]
OptionsT = TypeVar("OptionsT", bound=Options)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_Average = Annotated[float, Field(ge=0, lt=1)]


class WorldData(_Strict):
    """Scenes of the drawn world."""

    source: Literal["world"] = Field(description="this kind of source")
    scenes: int = Field(gt=0, description="number of train scenes; their pictures are drawn once and kept in the cache")
    pixels: int = Field(default=256, ge=32, description="side of the drawn picture before the model's own resize")
    tasks: TaskWeights = Field(default={}, description="mixing weight of each task; one left out is not seen")
    tags: TagNoise | None = Field(default=None, description="tags beside the pictures and their noise; null: no tags")
    loose: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="chance that a word around question, phrase or box is left out; half of the questions have words "
        "left out and put in, too, at half that chance",
    )
    weight: float = Field(default=1.0, gt=0, description="mixing weight of this source against the others")


class RecordData(_Strict):
    """What all sources made of records share."""

    tasks: TaskWeights = Field(
        default={}, description="mixing weight of each task; empty: those of the stage, as often as in the file"
    )
    flip: float = Field(default=0.0, ge=0, le=1, description="chance to mirror a picture (never where words say left)")
    crop: float = Field(default=0.0, ge=0, lt=1, description="most that a random crop may cut off each side")
    tags_from: Path | None = Field(
        default=None, description="file of lion tag --out with the tags of its pictures; null: prompts without tags"
    )
    weight: float = Field(default=1.0, gt=0, description="mixing weight of this source against the others")
    skip_bad: bool = Field(
        default=False, description="leave bad records out (bad_samples.jsonl names them); false: stop"
    )


class JsonlData(RecordData):
    """Your own pictures: a JSON object a line (image; caption, question and answer, or expression, box), or a CSV."""

    source: Literal["jsonl"] = Field(description="this kind of source")
    path: Path = Field(description="the JSONL or CSV file; relative picture paths in it start at its folder")


class DatasetData(RecordData):
    """A dataset in its original files; docs/datasets.md says which, and where its pictures go."""

    source: DatasetName = Field(description="the dataset")
    folder: Path = Field(description="folder that holds the dataset, or several of them")
    split: str = Field(default="train", description="split of the dataset; of llava, coco-detection: the file's name")


OwnData = Annotated[JsonlData | DatasetData, Field(discriminator="source")]
Data = Annotated[WorldData | JsonlData | DatasetData, Field(discriminator="source")]


class Optimiser(_Strict):
    """AdamW, with Muon if wanted, and the learning rate over time: linear warm-up, constant, then a fall to zero."""

    lr: float = Field(gt=0, description="learning rate after warm-up, of a component whose lr_scale is 1")
    muon: float = Field(
        default=0.0,
        ge=0,
        description="train matrices between hidden layers by Muon instead, at so many times the learning rate (0: not)",
    )
    betas: tuple[_Average, _Average] = Field(default=(0.9, 0.98), description="AdamW's running-average coefficients")
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of matrices; vectors have none")
    warmup: int = Field(default=0, ge=0, description="steps over which the learning rate rises from zero")
    decay: float = Field(default=0.3, ge=0, le=1, description="share of the run, at its end, in which it falls to zero")
    shape: Literal["linear", "cosine"] = Field(default="linear", description="form of that fall")


class Validation(_Strict):
    """Held-out samples that the model answers during training; scores go to validation.jsonl."""

    every: int = Field(gt=0, description="steps between validations; one more comes at the end")
    samples: int = Field(
        default=200,
        gt=0,
        description="val questions of each task on the drawn world; of your own data so many in all, none twice",
    )
    data: tuple[OwnData, ...] = Field(
        default=(), description="held-out sources of your own, beside val scenes where `data` has drawn ones"
    )


class Checkpoints(_Strict):
    """What a killed run resumes from."""

    every: int = Field(default=200, gt=0, description="steps between checkpoints")
    keep: int = Field(default=2, gt=0, description="newest checkpoints kept")


class Recipe(_Strict, Generic[OptionsT]):
    """One training run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$", description="the run's name in logs and chains")
    stage: str = Field(description="row of the stage table: what trains and on which tasks")
    model: str = Field(default="mini", description="preset of a model built from nothing: mini or tiny")
    init: dict[str, Path] = Field(
        default={}, description="folder that `model` (whole) or a component is taken from; lion-mini: the bundled one"
    )
    data: tuple[Data, ...] = Field(min_length=1, description="sources of samples, mixed by weight")
    steps: int = Field(gt=0, description="optimiser steps")
    batch_size: int = Field(default=64, gt=0, description="samples a micro-batch and process")
    accumulate: int = Field(default=1, gt=0, description="micro-batches an optimiser step")
    one_task: bool = Field(default=False, description="keep a micro-batch to one task (less padding); false: mix rows")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description="arithmetic of the forward pass (autocast); auto: bf16 where the device multiplies it in hardware",
    )
    optimiser: Optimiser = Field(description="AdamW and its schedule")
    lr_scale: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="factor on the learning rate of a component (1 where not named)"
    )
    clip: float = Field(default=1.0, gt=0, description="largest norm of all gradients together")
    validation: Validation | None = Field(default=None, description="held-out scores during training; null: none")
    checkpoint: Checkpoints = Field(default=Checkpoints(), description="how often, how many")
    workers: int = Field(default=0, ge=0, description="processes that build batches ahead; 0: in the training process")
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="seed of weights and samples; the world's scenes have their own"
    )
    root: Path = Field(default=Path(), description="folder that relative `out` and `init` paths start at")
    out: Path = Field(description="folder of the run: log, checkpoints, and at the end the model")
    options: OptionsT = Field(description="settings of this stage's objective alone")

    @property
    def row(self) -> Stage:
        """The recipe's row of the stage table."""
        return STAGES[self.stage]

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return self.root / self.out

    def init_folder(self, part: str) -> Path | None:
        """The folder that `part` is taken from, or None where the recipe names none."""
        if part not in self.init:
            return None
        folder = self.root / self.init[part]
        bundled = str(self.init[part]) == BUNDLED and (folder == self.folder or not folder.is_dir())
        return bundled_folder() if bundled else folder

    def fingerprint(self) -> str:
        """Hash of all that shapes the loss curve; a checkpoint of another hash is refused.

        Earlier runs and your own files of samples and tags are part of it; of a dataset in its original files its
        folder's name alone.
        """
        from lion.world import WORLD_VERSION

        # Without defaults, so that a setting added to this file later leaves old runs what they were.
        facts = self.model_dump(mode="json", exclude=set(_NOT_THE_CURVE), exclude_defaults=True)
        facts["world"] = WORLD_VERSION
        facts["draws"] = 2  # how a step's batches are drawn; cd33468 named them after their stage
        named = (getattr(entry, field, None) for entry in self.data for field in ("path", "tags_from"))
        if files := [hashlib.sha256(path.read_bytes()).hexdigest() for path in named if path and path.is_file()]:
            facts["files"] = files
        # A run on retrained parts is another run.
        folders = {part: self.init_folder(part) for part in self.init}
        records = {part: read_record(folder) if folder else None for part, folder in folders.items()}
        marks = {part: record and record.get("fingerprint") for part, record in records.items()}
        return hashlib.sha256(json.dumps([facts, marks], sort_keys=True).encode()).hexdigest()[:16]

    def __reduce__(self) -> tuple[Any, ...]:
        """By its fields: pickle, which new processes need, does not find a generic class of pydantic by name."""
        return parse, (self.model_dump(mode="json"),)

    @model_validator(mode="after")
    def _agrees_with_its_stage(self) -> Recipe[OptionsT]:
        """Contradictions between a recipe and its stage, each told with its fix (ValueError: pydantic collects it)."""
        row = self.row
        for setting in row.unread:
            if name := self._where_set(setting):
                raise ValueError(f"{name}: {self.stage} does not read it; leave it out")
        for name, entry in self._sources().items():
            if row.tasks and (wrong := sorted(set(entry.tasks) - row.tasks)):
                fit = ", ".join(sorted(row.tasks))
                raise ValueError(f"{name}.tasks: {self.stage} does not train on {wrong[0]}; its tasks are {fit}")
            if row.tasks and isinstance(entry, WorldData) and not entry.tasks:
                raise ValueError(f"{name}.tasks: name at least one of {', '.join(sorted(row.tasks))}")
            if name.startswith("validation") and _records(entry) in map(_records, self.data):
                other = "another file" if isinstance(entry, JsonlData) else "another split, such as split: val"
                raise ValueError(f"{name}: data trains on these very records; hold out {other}")
        for name, place in self._read_places():
            if self.folder.resolve() in (place.resolve(), *place.resolve().parents):
                raise ValueError(f"out: {name} is read from {place}, where the run would write; choose another folder")
        for field, names, allowed in (("lr_scale", self.lr_scale, row.trainable), ("init", self.init, row.init)):
            if unknown := sorted(set(names) - set(allowed)):
                raise ValueError(f"{field}.{unknown[0]}: {self.stage} knows {', '.join(allowed) or 'none'} here")
        if self.optimiser.warmup > self.steps:
            raise ValueError(f"optimiser.warmup: {self.optimiser.warmup} is more than steps={self.steps}; lower it")
        if self.validation and not self.validation.data and not any(isinstance(e, WorldData) for e in self.data):
            raise ValueError("validation.data: name a source of held-out samples")
        return self

    def _read_places(self) -> Iterator[tuple[str, Path]]:
        """Files and folders that the run reads, by the names of their settings."""
        for part in self.init:
            if folder := self.init_folder(part):
                yield f"init.{part}", folder
        for name, entry in self._sources().items():
            places = ((field, getattr(entry, field, None)) for field in ("path", "folder", "tags_from"))
            yield from ((f"{name}.{field}", place) for field, place in places if place)

    def _sources(self) -> dict[str, Data]:
        """All sources by their dotted names, held-out ones last."""
        held_out = self.validation.data if self.validation else ()
        groups = {"data": self.data, "validation.data": held_out}
        return {f"{group}.{n}": entry for group, entries in groups.items() for n, entry in enumerate(entries)}

    def _where_set(self, setting: str) -> str | None:
        """The dotted name under which a setting of the stage table's `unread` is not its default; None if nowhere."""
        group, _, field = setting.rpartition(".")
        owners: dict[str, BaseModel] = {"": self}
        if group == "data":
            owners = {f"data.{number}.": entry for number, entry in enumerate(self.data)}
        elif group == "validation":
            owners = {"validation.": self.validation} if self.validation else {}
        for prefix, owner in owners.items():
            known = type(owner).model_fields.get(field)
            if known is not None and getattr(owner, field) != known.default:
                return prefix + field
        return None


def _records(entry: Data) -> tuple[Any, ...]:
    """Which records a source of your own reads."""
    places = [getattr(entry, field, None) for field in ("path", "folder")]
    return (entry.source, getattr(entry, "split", None), *(place and place.resolve() for place in places))


def shipped() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load(recipe: str | Path, overrides: Iterable[str] = ()) -> Recipe[Any]:
    """Read, override and validate one recipe.

    Args:
        recipe: a shipped name (`mini-stage1`) or the path of a YAML file.
        overrides: `key=value` with dots into the tree (`data.0.scenes=500`); values are YAML.

    Raises:
        LionError: an unknown recipe, field or stage, a value out of range, or a contradiction.
    """
    fields = read(recipe)
    if "chain" in fields:
        raise LionError(f"{recipe} is a chain of recipes: `lion train {recipe}` runs it, it has no settings of its own")
    for override in overrides:
        _override(fields, override)
    return parse(fields, name=str(fields.get("name", recipe)))


def read(recipe: str | Path) -> dict[str, Any]:
    """The YAML of a shipped recipe or a file, unvalidated. Raises: LionError if there is none or it is no mapping."""
    path = SHIPPED / f"{recipe}.yaml"
    if not path.is_file():
        path = Path(recipe)
    if not path.is_file():
        near = difflib.get_close_matches(str(recipe), shipped(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(shipped())}"
        raise LionError(f"no recipe and no file is called {recipe}; {hint}")
    try:
        fields = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LionError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise LionError(f"{path} holds no settings; a recipe is lines of `key: value`")
    return fields


def parse(fields: Mapping[str, Any], name: str = "recipe") -> Recipe[Any]:
    """Validate a recipe given as plain values. Raises: LionError with the first problem, one line."""
    stage = fields.get("stage")
    if not isinstance(stage, str) or stage not in STAGES:
        raise LionError(f"{name}: stage: {stage!r} is not one of {', '.join(STAGES)}")
    try:
        kind = cast("type[Recipe[Any]]", Recipe.__class_getitem__(STAGES[stage].options))
        return kind.model_validate({"options": {}, **fields})
    except ValidationError as error:
        raise LionError(f"{name}: {_first_problem(error)}") from error


def _override(fields: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise LionError(f"an override is key=value, such as steps=100, not {override!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LionError(f"{key}: {text!r} is not a YAML value") from error
    *path, last = key.split(".")
    node: Any = fields
    try:
        for part in path:
            if isinstance(node, list):
                node = node[int(part)]
            else:
                if node.get(part) is None:
                    node[part] = {}
                node = node[part]
        if isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise LionError(f"{key}: the recipe has no such place; lists are counted from 0, as in data.0.scenes") from None


def _first_problem(error: ValidationError) -> str:
    """Pydantic's first complaint as `field: what is wrong (what was given)`."""
    problem = error.errors()[0]
    # The union's tag ('world') is in the path and means nothing to a reader of the file.
    where = ".".join(str(part) for part in problem["loc"] if part not in ("world", "jsonl", *READERS))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        names = {} if where.startswith("options.") else _setting_names()
        near = difflib.get_close_matches(where.split(".")[-1], names, n=1)
        return f"{where}: no such setting" + (f"; did you mean {names[near[0]]}?" if near else "; remove it")
    if problem["type"] == "missing":
        return f"{where}: is missing; give it a value"
    if not where:
        return message
    return f"{where}: {message[0].lower()}{message[1:]} (it is {problem['input']!r})"


def _setting_names() -> dict[str, str]:
    """Every setting's name to the place where it belongs."""
    groups: dict[str, type[BaseModel]] = {
        "data.N": WorldData,
        "data.N.tags": TagNoise,
        "checkpoint": Checkpoints,
        "validation": Validation,
        "optimiser": Optimiser,
    }
    names = {name: f"{place}.{name}" for place, model in groups.items() for name in model.model_fields}
    return {**names, **{name: name for name in Recipe[Options].model_fields}}
