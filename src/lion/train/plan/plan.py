"""The plan of a run on named cards: what trains, memory by part, samples by source, arithmetic, hours and disk.

Nothing is loaded but the configuration: of the model under `init` where it is there, else of the size that the recipe's
`model` names. Sizes of datasets are the official ones, so that their files may be elsewhere.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lion.checkpoints.finding import bundled_folder
from lion.data.sources import READERS
from lion.errors import LionError, first_line
from lion.hub import LOAD_ERRORS
from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration
from lion.train.plan.cards import CARDS, GIB, Card
from lion.train.plan.tally import BATCH, Counts, Pass, count_pass
from lion.train.presets import RELEASED
from lion.train.recipe.schema import Data, DatasetData, JsonlData, Recipe, WorldData

MFU = 0.4
"""Share of a card's arithmetic that a run is assumed to reach: an assumption, to be replaced by what you measure."""
TOKENS = 128
"""Tokens of every prompt and answer: the most of the released processor, to which one long text pads a batch."""
SPARE = GIB
"""Of a card's memory, left to the driver and its libraries: our assumption."""
_FLOAT32 = 4
_COUNTED = {
    ("ocrvqa", "train"): 1_002_146,
    ("llava", "llava_instruct_150k"): 394_276,
    ("visual-genome", "train"): 5_400_000,
}
"""Records of sets whose readers have no official number: the first two as LAVIS counts them, regions in millions."""


@dataclass(frozen=True)
class SourcePlan:
    """A source's part in the run."""

    name: str
    samples: int
    size: int | None
    """Its records, officially or by the lines of the file; None where neither is known."""

    @property
    def epochs(self) -> float | None:
        """Passes over it."""
        return None if not self.size else self.samples / self.size


@dataclass(frozen=True)
class Memory:
    """Bytes on each card."""

    weights: int
    """Held in float32, trained and frozen."""
    gradients: int
    optimizer: int
    exchange: int
    """Buckets in which processes exchange gradients."""
    copies: int
    """Of weights in the arithmetic of the forward pass, kept by autocast for the backward pass."""
    activations: int
    """Kept for the backward pass, and what the loss takes."""

    def most(self, accumulating: bool) -> int:
        """The peak: activations are there before a step's gradients, and beside them where micro-batches accumulate."""
        fixed = self.weights + self.optimizer + self.exchange
        forward = self.copies + self.activations
        return fixed + (self.gradients + forward if accumulating else max(self.gradients, forward))


@dataclass(frozen=True)
class Plan:
    """What a run takes on some cards."""

    name: str
    stage: str
    model: str
    """Where its configuration comes from: a folder, or a size."""
    card: str
    cards: int
    trained: dict[str, int]
    """Parameters by component."""
    frozen: dict[str, int]
    batch_size: int
    memory: Memory
    peak: int
    room: int
    """Bytes of a card that a run may use."""
    checkpointed: Memory
    """As `memory`, with `gradient_checkpointing: true`."""
    advice: str | None
    """Where it does not fit: the settings that would."""
    steps: int
    samples: int
    sources: tuple[SourcePlan, ...]
    flops_per_step: float
    """Over all cards, without what checkpointing computes again."""
    mfu: float
    hours: float | None
    """None where the run is not in bfloat16, whose speed the cards' table has."""
    disk: int
    """Bytes of checkpoints, while one is written, and of the model at the end."""
    missing: tuple[str, ...]
    """What has to be there before the run, a line each."""

    @property
    def fits(self) -> bool:
        return self.peak <= self.room


def make_plan(recipe: Recipe, card: Card, count: int, mfu: float = MFU, before: Collection[Recipe] = ()) -> Plan:
    """The plan of `recipe` on `count` cards. `before`: recipes whose outputs need not be there yet.

    Raises: LionError for a stage that builds no LION, or a model of unknown size.
    """
    config, model_name = find_config(recipe)
    parts = _parameters(config)
    trained = {part: parts[part] for part in recipe.row.trainable}
    one = Pass(recipe.row.trainable, _dtype(recipe), TOKENS, TOKENS)
    kept, again = count_pass(config, one), count_pass(config, replace(one, checkpointing=True))
    total, training = sum(parts.values()), sum(trained.values())
    memory, checkpointed = (
        _memory(total, training, count, counts, recipe.batch_size)
        for counts in (kept, _recomputing(again, kept, config))
    )
    micro_batches = recipe.micro_batches(count)
    accumulating = micro_batches > 1
    peak = (checkpointed if recipe.gradient_checkpointing else memory).most(accumulating)
    room = card.memory - SPARE
    rows = recipe.batch_size * micro_batches * count
    flops = kept.flops / BATCH * rows
    optimizer_bytes = 2 * _FLOAT32 * training
    return Plan(
        name=recipe.name,
        stage=recipe.stage,
        model=model_name,
        card=card.name,
        cards=count,
        trained=trained,
        frozen={part: number for part, number in parts.items() if part not in trained},
        batch_size=recipe.batch_size,
        memory=memory,
        peak=peak,
        room=room,
        checkpointed=checkpointed,
        advice=None if peak <= room else _advice(recipe, count, memory, checkpointed, room),
        steps=recipe.steps,
        samples=rows * recipe.steps,
        sources=_sources(recipe.data, rows * recipe.steps),
        flops_per_step=flops,
        mfu=mfu,
        hours=_hours(recipe, card, count, flops, memory, mfu),
        disk=(recipe.checkpoint.keep + 1) * (_FLOAT32 * training + optimizer_bytes) + _FLOAT32 * total,
        missing=tuple(_missing(recipe, before)),
    )


def find_config(recipe: Recipe) -> tuple[LionConfig, str]:
    """The configuration, and its name, of the model under `init`, or else of the size that the recipe's `model` names.

    Raises: LionError for a stage that is for small models alone, an unknown size or a damaged configuration.
    """
    if recipe.row.objective != "lion.train.language_modelling:LanguageModelling":
        raise LionError(f"{recipe.name}: --on plans stage1, stage2 and stage3; for {recipe.stage} leave it out")
    folder, own = recipe.init_folders.get("model"), True
    if folder is None or not (folder / "config.json").is_file():
        own, folder = False, bundled_folder() if recipe.model == "mini" else None
    if folder:
        try:
            config = LionConfig.from_pretrained(folder, local_files_only=True)
        except LOAD_ERRORS as error:
            raise LionError(
                f"{folder}: its config.json describes no LION ({first_line(error)}); save it again"
            ) from error
    elif recipe.model in (sizes := {"tiny": LionConfig.tiny, **RELEASED}):
        config = sizes[recipe.model]()
    else:
        raise LionError(f"{recipe.name}: model: {recipe.model} is not one of mini, {', '.join(sizes)}")
    assert recipe.row.visual_inputs is not None
    config.visual_inputs = recipe.row.visual_inputs
    return config, str(folder) if own else recipe.model


def memory_of(config: LionConfig, one: Pass, counts: Counts, kept: Counts, rows: int, cards: int) -> tuple[Memory, int]:
    """Memory of a pass, and the model's parameters; `kept`: counts of the same pass without checkpointing."""
    parts = _parameters(config)
    if one.checkpointing:
        counts = _recomputing(counts, kept, config)
    training = sum(parts[part] for part in one.trained)
    return _memory(sum(parts.values()), training, cards, counts, rows), sum(parts.values())


def _parameters(config: LionConfig) -> dict[str, int]:
    """Parameters by component."""
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    return {part: sum(p.numel() for _, p in model.component_parameters(part)) for part in (*FROZEN, *TRAINABLE)}


def _dtype(recipe: Recipe) -> torch.dtype:
    return torch.float32 if recipe.precision == "fp32" else torch.bfloat16  # every card of the table multiplies it


def _memory(total: int, training: int, cards: int, counts: Counts, rows: int) -> Memory:
    return Memory(
        weights=_FLOAT32 * total,
        gradients=_FLOAT32 * training,
        optimizer=2 * _FLOAT32 * training,
        exchange=_FLOAT32 * training if cards > 1 else 0,
        copies=round(counts.copies),
        activations=round((counts.kept + counts.loss) / BATCH * rows),
    )


def _recomputing(again: Counts, kept: Counts, config: LionConfig) -> Counts:
    """Counts with checkpointing: beside what is kept there is one block at a time, computed again."""
    blocks = config.text_config.num_layers + config.text_config.num_decoder_layers
    block = (kept.kept - again.kept) / blocks
    copies = again.copies + (kept.copies - again.copies) / blocks
    return replace(again, loss=max(again.loss, block), copies=copies)


def _advice(recipe: Recipe, count: int, memory: Memory, checkpointed: Memory, room: int) -> str:
    """Settings with the same samples a step that fit into `room`, those that cost least first; else a larger card."""
    for name, its_memory in (("", memory), ("gradient_checkpointing=true", checkpointed)):
        for rows in range(recipe.batch_size, 0, -1):
            if recipe.batch_size % rows or (name and rows == recipe.batch_size and recipe.gradient_checkpointing):
                continue
            parts = recipe.batch_size // rows
            smaller = replace(its_memory, activations=its_memory.activations * rows // recipe.batch_size)
            if smaller.most(recipe.micro_batches(count) * parts > 1) <= room:
                split = f"batch_size={rows} gradient_accumulation={recipe.gradient_accumulation * parts}"
                return " ".join(word for word in (name, split if parts > 1 else "") if word)
    least = replace(checkpointed, activations=checkpointed.activations // recipe.batch_size).most(recipe.batch_size > 1)
    larger = [each.name for each in CARDS.values() if each.memory - SPARE >= least]
    return f"one of {', '.join(larger)}" if larger else "none of the cards known"


def _sources(data: Sequence[Data], samples: int) -> tuple[SourcePlan, ...]:
    """Each source's samples by its weight."""
    total = sum(source.weight for source in data)
    return tuple(SourcePlan(_name(one), round(samples * one.weight / total), _size(one)) for one in data)


def _name(source: Data) -> str:
    if isinstance(source, JsonlData):
        return str(source.path)
    return source.source


def _size(source: Data) -> int | None:
    if isinstance(source, DatasetData):
        official = READERS[source.source].info.splits.get(source.split)
        return official or _COUNTED.get((source.source, source.split))
    if isinstance(source, JsonlData):
        if not source.path.is_file():
            return None
        with source.path.open("rb") as file:
            return sum(1 for line in file if line.strip()) - (source.path.suffix == ".csv")
    return source.scenes if isinstance(source, WorldData) else None  # how many shards hold, their index tells


def _hours(recipe: Recipe, card: Card, count: int, flops: float, memory: Memory, mfu: float) -> float | None:
    """Hours at a share of the card's arithmetic, or by its memory where reading weights takes longer."""
    if _dtype(recipe) != torch.bfloat16:
        return None
    passes = 2 * recipe.micro_batches(count) * memory.weights  # forward and backward
    moved = passes + 2 * (memory.gradients + memory.optimizer)
    return max(flops / count / (card.flops * mfu), moved / card.bandwidth) * recipe.steps / 3600


def _missing(recipe: Recipe, before: Collection[Recipe]) -> list[str]:
    """A line for each folder and file that has to be there and is not."""
    made = [each.folder for each in before]
    found: dict[Path, str] = {}
    for part, folder in recipe.init_folders.items():
        if not folder.is_dir() and folder not in made:
            found.setdefault(folder, f"init.{part}: a LION, converted or trained (docs/convert.md)")
    held_out = recipe.validation.data if recipe.validation else ()
    for source in (*recipe.data, *held_out):
        for key, path in source.paths().items():
            if not Path(os.path.expanduser(path)).exists():
                what = {"tags_from": "tags of all pictures: lion tag", "folder": "the datasets (docs/datasets.md)"}
                found.setdefault(path, what.get(key, "samples (docs/datasets.md)"))
    return [f"{path}: {what}" for path, what in found.items()]
