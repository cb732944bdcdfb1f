"""Pretraining of lion-mini's connectors: visual tokens learn to look like the symbols of what is under them.

The paper's Q-Former comes pretrained (BLIP-2's); this does the like, and for the aggregator as well. Both are pulled
towards the symbols that the frozen language model was pretrained to read (alignment.py), without running it: a step
for both costs a good third of one step each of stages 1 and 2 (``docs/log.md``). lion-mini's stages start from it.

B batch, S image side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lion.data.sample import BadSample
from lion.data.sources.world import instruction_and_answer
from lion.model import LionForConditionalGeneration
from lion.prompts import Task
from lion.random import stream
from lion.train.assembly import build_model, find_processor
from lion.train.log import Watch
from lion.train.mini.alignment import THING_TENSORS, Alignment
from lion.train.mini.world_batches import WorldBatches
from lion.train.objective import Batch, Loss, NamedParameters, Objective
from lion.train.recipe import Recipe
from lion.world import Scene

_ASKED = (Task.CAPTION, Task.VQA, Task.DIALOG)
"""What the Q-Former is asked while it learns to see: the tasks of stage 1."""


class Connectors(nn.Module):
    """A LION whose visual tokens are wanted, not its answers."""

    def __init__(self, lion: LionForConditionalGeneration) -> None:
        super().__init__()
        self.lion = lion

    def forward(self, pixel_values: Tensor, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Pictures (B, 3, S, S) and instructions in BERT's tokens to the visual tokens of each connector."""
        vision = self.lion.look(pixel_values)
        assert vision.aggregated_BPD is not None
        return {"qformer": self.lion.qformer(vision.last_BPV, ids, mask), "mlp": vision.aggregated_BPD}


class PretrainConnectors(Objective):
    """The objective of stage ``pretrain-connectors``."""

    terms = ("qformer", "mlp")

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.processor = find_processor(recipe)
        self.worlds = WorldBatches(recipe, self.processor.image_processor)
        self.alignment = Alignment(self.processor)

    def prepare(self, watch: Watch | None = None) -> None:
        self.worlds.prepare(watch)

    def build(self) -> nn.Module:
        return Connectors(build_model(self.recipe, self.processor))

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        assert isinstance(model, Connectors)
        return {
            part: [(f"lion.{name}", parameter) for name, parameter in model.lion.component_parameters(part)]
            for part in self.recipe.row.trainable
        }

    def batch(self, step: int, shard: int = 0) -> Batch:
        rng = stream(self.recipe.stage, "words", self.recipe.seed, step, shard)
        return self._batch(*self.worlds.batch(step, shard), rng)

    def _batch(self, scenes: list[Scene], pictures: np.ndarray, rng: np.random.Generator) -> Batch:
        tasks = [_ASKED[number] for number in rng.integers(len(_ASKED), size=len(scenes))]
        decimals, word_dropout = self.processor.box_decimals, self.worlds.data.word_dropout
        asked = [
            instruction_and_answer(scene, task, rng, decimals, word_dropout=word_dropout)
            for scene, task in zip(scenes, tasks, strict=True)
        ]
        words = self.processor(text=[instruction for instruction, _, _ in asked], too_long="truncate")
        tensors = {name: words[f"qformer_{name}"] for name in ("input_ids", "attention_mask")}
        return Batch(
            {"pixels": torch.from_numpy(pictures), **tensors, **self.alignment.targets(scenes)},
            [scene.id for scene in scenes],
        )

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The distance of each connector's tokens from the symbols, and their sum."""
        given = batch.tensors
        pixels = self.processor.image_processor.normalize(given["pixels"])
        tokens = model(pixels, given["input_ids"], given["attention_mask"])
        targets = {name: given[name] for name in THING_TENSORS}
        bare: Any = getattr(model, "module", model)
        words = bare.lion.language_model.shared
        apart = {kind: self.alignment.loss({kind: one}, targets, words) for kind, one in tokens.items()}
        return Loss(torch.stack([*apart.values()]).sum(), {kind: loss.detach() for kind, loss in apart.items()})

    def validate(self, model: nn.Module, skip: Callable[[BadSample], None]) -> dict[str, float]:
        """The same distances on the val split."""
        device = next(model.parameters()).device
        rng = stream("validation")
        batches = [self._batch(*worlds, rng) for worlds in self.worlds.validation(batch_size=100)]
        losses = [self.loss(model, batch.to(device)).per_task for batch in batches]
        sizes = [len(batch.ids) for batch in batches]
        return {
            f"{kind}_distance": float(np.average([float(loss[kind]) for loss in losses], weights=sizes))
            for kind in losses[0]
        }

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, Connectors)
        model.lion.save_pretrained(out)
        self.processor.save_pretrained(out)
