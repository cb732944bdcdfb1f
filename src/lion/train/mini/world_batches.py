"""Scenes for the pretraining objectives, which take scenes rather than tasks: pure functions of the step."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lion.data.sources.world import WorldSource
from lion.errors import LionError
from lion.model import LionImageProcessor
from lion.random import stream
from lion.train.recipe.schema import Recipe, WorldData
from lion.world import Scene


class WorldBatches:
    """Scenes and their pictures from a recipe's world source. Raises: LionError if it has other or several sources."""

    def __init__(self, recipe: Recipe, image_processor: LionImageProcessor) -> None:
        data = recipe.data[0]
        if len(recipe.data) != 1 or not isinstance(data, WorldData):
            raise LionError(f"the stage {recipe.stage} learns from exactly one world source")
        self.recipe, self.data = recipe, data
        self.train = WorldSource(image_processor, "train", data.scenes, {}, pixels=data.pixels)
        samples = recipe.validation.samples if recipe.validation else 0
        self.held_out = WorldSource(image_processor, "val", samples, {}, pixels=data.pixels)
        self.sources = (self.train, self.held_out)

    def batch(self, step: int, shard: int) -> tuple[list[Scene], np.ndarray]:
        """Scenes of a micro-batch and their pictures, uint8 (B, S, S, 3)."""
        rng = stream(self.recipe.stage, self.recipe.seed, step, shard)
        return _read(self.train, rng.integers(self.data.scenes, size=self.recipe.batch_size).tolist())

    def validation(self, batch_size: int = 100) -> Iterator[tuple[list[Scene], np.ndarray]]:
        """The val scenes and their pictures, batch by batch."""
        for start in range(0, len(self.held_out), batch_size):
            yield _read(self.held_out, range(start, min(start + batch_size, len(self.held_out))))

    def predictions(self, predict: Callable[[np.ndarray], Tensor]) -> tuple[list[Scene], Tensor]:
        """The val scenes, and in fp32 on the CPU the outputs of `predict`, which takes a batch of their pictures."""
        scenes, outputs = list[Scene](), list[Tensor]()
        for some, pictures in self.validation():
            scenes += some
            outputs.append(predict(pictures).float().cpu())
        return scenes, torch.cat(outputs)


def _read(source: WorldSource, indices: Sequence[int]) -> tuple[list[Scene], np.ndarray]:
    return [source.scene(index) for index in indices], np.stack([source.picture(index) for index in indices])
