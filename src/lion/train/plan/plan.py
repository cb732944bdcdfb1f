"""The plan of a run on named cards: what trains, memory by part, samples by source, arithmetic, hours and disk.

Nothing is loaded but the configuration: of the model under `init` where it is there, else of the size that the recipe's
`model` names. Sizes of datasets are the official ones, so that their files may be elsewhere.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch

from lion.checkpoints.finding import bundled_folder
from lion.data.sources import READERS
from lion.errors import LionError, first_line
from lion.hub import LOAD_ERRORS
from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration
from lion.train.frozen import FrozenWeights, bytes_of
from lion.train.plan.cards import CARDS, GIB, Card
from lion.train.plan.tally import BATCH, Counts, Pass, count_loss, count_pass
from lion.train.presets import RELEASED
from lion.train.recipe.schema import Data, DatasetData, JsonlData, Recipe, WorldData
from lion.train.stages import LanguageModellingOptions

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
    """Trained ones in float32, frozen ones as the recipe holds them."""
    gradients: int
    optimizer: int
    exchange: int
    """Buckets in which processes exchange gradients."""
    copies: int
    """Of weights in the arithmetic of the forward pass, kept by autocast for the backward pass."""
    activations: int
    """Kept for the backward pass, and the most that comes on top: logits and loss, or a block computed again."""

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
    counted = Counted(config)
    parts = counted.parts
    trained = {part: parts[part] for part in recipe.trained}
    one = Pass(recipe.trained, _dtype(recipe), TOKENS, TOKENS, frozen=recipe.frozen_weights)
    total, training = sum(parts.values()), sum(trained.values())
    memory, checkpointed = (
        counted.memory(replace(one, checkpointing=flag), recipe.batch_size, count) for flag in (False, True)
    )
    micro_batches = recipe.micro_batches(count)
    peak = (checkpointed if recipe.gradient_checkpointing else memory).most(micro_batches > 1)
    room = card.memory - SPARE
    rows = recipe.batch_size * micro_batches * count
    flops = counted.counts(one).flops / BATCH * rows
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
        advice=None if peak <= room else _advice(recipe, count, counted, one, room),
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
    if recipe.row.options is not LanguageModellingOptions:
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
    assert recipe.visual_inputs is not None
    config.visual_inputs = recipe.visual_inputs
    return config, str(folder) if own else recipe.model


class Counted:
    """Memory of passes of one model; each is counted once."""

    def __init__(self, config: LionConfig) -> None:
        self.config = config
        with torch.device("meta"):
            self.model = LionForConditionalGeneration(config)
        self.parts = {
            part: sum(p.numel() for _, p in self.model.component_parameters(part)) for part in (*FROZEN, *TRAINABLE)
        }
        """Parameters by component."""
        self.weights = cache(partial(bytes_of, self.model))
        self._counts: dict[Pass, Counts] = {}

    def counts(self, one: Pass) -> Counts:
        """Counts of the pass; quantised weights are multiplied as bfloat16."""
        one = replace(one, frozen="fp32" if one.frozen == "fp32" else "bf16")
        if one not in self._counts:
            self._counts[one] = count_pass(self.config, one)
        return self._counts[one]

    def memory(self, one: Pass, rows: int, cards: int = 1) -> Memory:
        """Memory of each of so many cards, for a batch of so many rows."""
        training = sum(self.parts[part] for part in one.trained)
        counts, text = self.counts(one), self.config.text_config
        copies, most = counts.copies, count_loss(text.vocab_size, one, rows)
        if one.checkpointing:  # beside what is kept there is one block at a time, computed again
            kept = self.counts(replace(one, checkpointing=False))
            blocks = text.num_layers + text.num_decoder_layers
            most = max(most, round((kept.kept - counts.kept) / blocks / BATCH * rows))
            copies += (kept.copies - counts.copies) / blocks
        return Memory(
            weights=self.weights(one.trained, one.frozen),
            gradients=_FLOAT32 * training,
            optimizer=2 * _FLOAT32 * training,
            exchange=_FLOAT32 * training if cards > 1 else 0,
            copies=round(copies),
            activations=round(counts.kept / BATCH * rows) + most,
        )


def _dtype(recipe: Recipe) -> torch.dtype:
    return torch.float32 if recipe.precision == "fp32" else torch.bfloat16  # every card of the table multiplies it


def _advice(recipe: Recipe, count: int, counted: Counted, one: Pass, room: int) -> str:
    """Settings with the same samples a step that fit into `room`, those that cost least first; else a larger card."""
    for settings, other in _less_memory(recipe, one):
        for rows in range(recipe.batch_size, 0, -1):
            if recipe.batch_size % rows:
                continue
            parts = recipe.batch_size // rows
            if counted.memory(other, rows, count).most(recipe.micro_batches(count) * parts > 1) <= room:
                split = f"batch_size={rows} gradient_accumulation={recipe.gradient_accumulation * parts}"
                return " ".join([*settings, split] if parts > 1 else settings)
    least = counted.memory(other, 1, count).most(recipe.batch_size > 1)
    larger = [each.name for each in CARDS.values() if each.memory - SPARE >= least]
    return f"one of {', '.join(larger)}" if larger else "none of the cards known"


def _less_memory(recipe: Recipe, one: Pass) -> Iterator[tuple[list[str], Pass]]:
    """Settings and the pass with them: the recipe's own; what costs nothing, time, and in the end exactness."""
    ladder: list[FrozenWeights] = ["fp32", "bf16", "int8", "nf4"]
    wider = ladder[: ladder.index(one.frozen)]
    for frozen, checkpointing in [
        (one.frozen, False),
        ("bf16", False),
        (one.frozen, True),
        *((k, True) for k in ladder),
    ]:
        if frozen in wider or (recipe.gradient_checkpointing and not checkpointing):
            continue
        settings = []
        if frozen != one.frozen:
            if "model" not in recipe.init:
                continue
            settings += ["precision=bf16"] * (recipe.precision != "bf16") + [f"frozen_weights={frozen}"]
        if checkpointing and not recipe.gradient_checkpointing:
            settings.append("gradient_checkpointing=true")
        dtype = one.dtype if frozen == "fp32" else torch.bfloat16
        yield settings, replace(one, dtype=dtype, checkpointing=checkpointing, frozen=frozen)


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
            found.setdefault(folder, f"init.{part}: a LION, converted or trained (docs/how-to/convert.md)")
    held_out = recipe.validation.data if recipe.validation else ()
    for source in (*recipe.data, *held_out):
        for key, path in source.paths().items():
            if not Path(os.path.expanduser(path)).exists():
                what = {
                    "tags_from": "tags of all pictures: lion tag",
                    "folder": "the datasets (docs/reference/datasets.md)",
                }
                found.setdefault(path, what.get(key, "samples (docs/reference/datasets.md)"))
    return [f"{path}: {what}" for path, what in found.items()]
