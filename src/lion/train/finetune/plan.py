"""The files of a fine-tuning: the records of both sides in LION's own form, and a recipe that `lion train` runs too.

OUT/data/train.jsonl, held_out.jsonl   the records; pictures that came inside other files lie in OUT/data/pictures
OUT/data/tags.jsonl                    the tagger's tags, where the model has a tagger
OUT/recipe.yaml                        the recipe
OUT/run/                               the run: log, checkpoints, adapters.safetensors
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lion.atomic import atomic_write
from lion.data.sample import Record
from lion.data.sources.jsonl import row_of
from lion.errors import LionError
from lion.locks import LOCK, FolderLock
from lion.model import LionConfig, LionProcessor
from lion.prompts import Task
from lion.train.finetune.survey import picture_bytes
from lion.train.language_modelling import coordinate_ids
from lion.train.recipe.schema import Recipe
from lion.train.stages import REGION_TASKS, STAGES

PARTS = ("image_adapter", "region_adapter", "router", "tag_soft_prompt")
"""What trains, of a stage's components: a file of 1 MB for lion-mini. All made its boxes less exact
(docs/explanation/finetuning.md)."""
BATCH = 16
EPOCHS = 10
"""Times that each record is seen, for each task it serves, as far as that stays within the bounds of STEPS."""
STEPS = (100, 5000)
REG_SHARE = 3
"""REC is drawn so many times as often as REG where lines serve both: as in lion-mini's stage 3."""
HEAD = "# Written by lion finetune"
SMALL = 1024
"""Width of the language model below which the rate of lion-mini is taken, else that of the released sizes."""


@dataclass(frozen=True)
class Place:
    """The folder of a fine-tuning."""

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "data" / "train.jsonl"

    @property
    def held_out(self) -> Path:
        return self.folder / "data" / "held_out.jsonl"

    @property
    def tags(self) -> Path:
        return self.folder / "data" / "tags.jsonl"

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def claim(self, restart: bool) -> FolderLock:
        """Keep other writers out, and throw an earlier fine-tuning away, if so asked.

        Raises: LionError if the folder holds something else, or another process writes there.
        """
        lock = FolderLock(self.folder)
        if there := [entry for entry in self.folder.iterdir() if entry.name != LOCK]:
            if not self.recipe.is_file() or not self.recipe.read_text("utf-8").startswith(HEAD):
                raise LionError(f"{self.folder} holds other files than lion finetune's; name another --out")
            for entry in there if restart else ():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        return lock

    def write(self, path: Path, text: str) -> bool:
        """Write a file of the plan, or find it there as it is to be; returns whether it was of another plan.

        Raises: LionError if that one has begun: something was answered or trained.
        """
        other = path.is_file() and path.read_text("utf-8") != text
        if other and any((self.folder / name).exists() for name in ("scores", "run")):
            raise LionError(
                f"{path} is there and differs: {self.folder} holds a fine-tuning of other data or settings; name "
                "another --out, or start over with --restart"
            )
        if other:
            self.tags.unlink(missing_ok=True)
        atomic_write(path, text)
        return other

    def lines(self, records: Sequence[Record]) -> str:
        """Records as the lines of a JSONL file; pictures without a file of their own are written."""
        rows = []
        for record in records:
            row = row_of(record)
            answers = record.answers if record.task == Task.CAPTION else record.answers[:1]
            for answer in answers if "caption" in row else [""]:
                rows.append({"image": self._picture(record), **row, **({"caption": answer} if answer else {})})
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def _picture(self, record: Record) -> str:
        if isinstance(record.image, Path):
            return str(record.image.resolve())
        data = picture_bytes(record.image)
        path = self.folder / "data" / "pictures" / f"{hashlib.blake2b(data, digest_size=12).hexdigest()}.img"
        if not path.is_file():
            atomic_write(path, data)
        return str(path.resolve())


def settings(
    place: Place,
    name: str,
    model: str,
    config: LionConfig,
    processor: LionProcessor,
    tasks: Mapping[Task, int],
    tagged: bool,
) -> dict[str, Any]:
    """The recipe's settings, as plain values.

    Args:
        place: where its data lies and the run goes.
        name: of the run, and so of the adapters.
        model: folder or name of the model.
        config: the model's.
        processor: the model's.
        tasks: how many records to train on serve each task.
        tagged: whether there is a file of tags.
    """
    small, regional = config.text_config.d_model < SMALL, not REGION_TASKS.isdisjoint(tasks)
    steps = min(max(round(EPOCHS * sum(tasks.values()) / BATCH / 50) * 50, STEPS[0]), STEPS[1])
    source: dict[str, Any] = {"source": "jsonl", "path": str(place.train.resolve()), "flip": 0.5}
    if regional:
        source["crop"] = 0.3
    if Task.REC in tasks and Task.REG in tasks:  # most lines serve both, and REG's loss is several times as large
        source["tasks"] = {str(task): count for task, count in tasks.items()}
        source["tasks"][str(Task.REG)] = max(1, tasks[Task.REG] // REG_SHARE)
    if tagged:
        source |= {"tags_from": str(place.tags.resolve()), "tags": {"share": 0.9, "drop": 0.1, "spurious": 0.1}}
    stage = next(name for name, row in STAGES.items() if row.visual_inputs == config.visual_inputs and row.tasks)
    chosen = {
        "name": name,
        "stage": stage,
        "trainable": [part for part in STAGES[stage].trainable if part in PARTS],
        "export": "adapters",
        "root": str(place.folder.resolve()),
        "init": {"model": model},
        "out": "run",
        "data": [source],
        "steps": steps,
        "batch_size": BATCH,
        "precision": "auto",
        "optimizer": {"lr": 1e-3 if small else 1e-5, "warmup": steps // 10, "decay": 1.0},
        "checkpoint": {"every": max(steps // 10, 10)},
    }
    with suppress(LionError):  # a tokenizer that writes coordinates in several pieces, as FLAN-T5's
        coordinate_ids(processor.tokenizer, processor.box_decimals)
        chosen |= {"options": {"soft_coordinates": 1.0}} if regional else {}
    return chosen


def text_of(recipe: Recipe) -> str:
    """The recipe's file."""
    head = f"{HEAD}; run it again: lion train {recipe.root}/recipe.yaml --restart\n"
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    return head + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
