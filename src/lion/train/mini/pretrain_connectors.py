"""Pretraining of lion-mini's connectors: visual tokens are pulled towards the object tokens of what they show.

In place of the paper's pretrained Q-Former (BLIP-2's), and for the aggregator, too. The alignment loss
(``alignment.py``) does not run the language model: a step costs a third of one step each of stages 1 and 2
(``docs/log.md``). lion-mini's stages start from the result.

B batch, S image side, T instruction tokens.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lion.data.sources.world import instruction_and_answer
from lion.model import LionForConditionalGeneration
from lion.prompts import Task
from lion.random import stream
from lion.train.language_modelling import build_model, find_processor
from lion.train.mini.alignment import AlignmentLoss
from lion.train.mini.world_batches import WorldBatches
from lion.train.objective import Batch, Loss, NamedParameters, Objective, OnBadSample
from lion.train.recipe.schema import Recipe
from lion.world import Scene

_TASKS = (Task.CAPTION, Task.VQA, Task.DIALOG)
"""Tasks whose instructions the Q-Former reads: those of stage 1."""


class AlignedConnectors(nn.Module):
    """A LION that returns its alignment losses instead of answers."""

    def __init__(self, lion: LionForConditionalGeneration, alignment: AlignmentLoss) -> None:
        super().__init__()
        self.lion, self.alignment = lion, alignment

    def forward(self, pixel_values: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of each connector's tokens, `qformer` and `mlp`.

        Args:
            pixel_values: (B, 3, S, S).
            batch: instructions in BERT's tokens (B, T), and what `AlignmentLoss.of_scenes` made.
        """
        features = self.lion.get_image_features(pixel_values, batch["input_ids"], batch["attention_mask"])
        terms = self.alignment.terms(features, batch, self.lion.language_model.shared)
        return {component: objects + background for component, (objects, background) in terms.items()}


class PretrainConnectors(Objective):
    """The objective of stage ``pretrain-connectors``."""

    terms = ("qformer", "mlp")

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.processor = find_processor(recipe)
        self.worlds = WorldBatches(recipe, self.processor.image_processor)
        self.sources = self.worlds.sources
        self.alignment = AlignmentLoss(self.processor)

    def build(self) -> nn.Module:
        return AlignedConnectors(build_model(self.recipe, self.processor), self.alignment)

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        assert isinstance(model, AlignedConnectors)
        return {
            part: [(f"lion.{name}", parameter) for name, parameter in model.lion.component_parameters(part)]
            for part in self.recipe.trained
        }

    def batch(self, step: int, shard: int = 0) -> Batch:
        rng = stream(self.recipe.stage, "words", self.recipe.seed, step, shard)
        return self._batch(*self.worlds.batch(step, shard), rng)

    def _batch(self, scenes: list[Scene], pictures: np.ndarray, rng: np.random.Generator) -> Batch:
        tasks = [_TASKS[number] for number in rng.integers(len(_TASKS), size=len(scenes))]
        decimals, word_dropout = self.processor.box_decimals, self.worlds.data.word_dropout
        texts = [
            instruction_and_answer(scene, task, rng, decimals, word_dropout=word_dropout)[0]
            for scene, task in zip(scenes, tasks, strict=True)
        ]
        encoded = self.processor(text=texts, truncation=True)
        tensors = {name: encoded[f"qformer_{name}"] for name in ("input_ids", "attention_mask")}
        tensors |= self.alignment.of_scenes(scenes)
        tensors["pixels"] = torch.from_numpy(pictures)
        return Batch(tensors, [scene.id for scene in scenes])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The sum of both connectors' losses."""
        losses = model(self.processor.image_processor.normalize(batch.tensors["pixels"]), batch.tensors)
        return Loss(torch.stack([*losses.values()]).sum(), {name: loss.detach() for name, loss in losses.items()})

    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """The same losses on the val split."""
        device, rng = next(model.parameters()).device, stream("validation")
        batches = [self._batch(*worlds, rng) for worlds in self.worlds.validation()]
        losses = [self.loss(model, batch.to(device)).per_task for batch in batches]
        sizes = [len(batch.ids) for batch in batches]
        means = {name: np.average([float(loss[name]) for loss in losses], weights=sizes) for name in losses[0]}
        return {f"{name}_distance": float(mean) for name, mean in means.items()}

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, AlignedConnectors)
        model.lion.save_pretrained(out)
        self.processor.save_pretrained(out)
