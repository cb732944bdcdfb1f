"""Scenes for the pretraining objectives, which take scenes rather than tasks: pure functions of the step."""

from collections.abc import Iterator

import numpy as np

from lion.data.sources.world import WorldSource
from lion.errors import LionError
from lion.model import LionImageProcessor
from lion.random import stream
from lion.train.log import Watch
from lion.train.recipe import Recipe, WorldData
from lion.world import Scene


class WorldBatches:
    """Batches of scenes and of their pictures from a recipe's one world source.

    Raises:
        LionError: the recipe has another kind of source, or more than one.
    """

    def __init__(self, recipe: Recipe, image_processor: LionImageProcessor) -> None:
        if len(recipe.data) != 1 or not isinstance(recipe.data[0], WorldData):
            raise LionError(f"the stage {recipe.stage} learns from exactly one world source")
        self.recipe, self.data = recipe, recipe.data[0]
        data = self.data
        self.train = WorldSource(image_processor, "train", data.scenes, {}, pixels=data.pixels)
        samples = recipe.validation.samples if recipe.validation else 0
        self.held_out = WorldSource(image_processor, "val", samples, {}, pixels=data.pixels)

    def prepare(self, watch: Watch | None = None) -> None:
        """Draw the pictures that are not in the cache yet."""
        self.train.prepare(watch)
        self.held_out.prepare(watch)

    def batch(self, step: int, shard: int) -> tuple[list[Scene], np.ndarray]:
        """Scenes of a micro-batch and their pictures, uint8 (B, S, S, 3)."""
        rng = stream(self.recipe.stage, self.recipe.seed, step, shard)
        return self._read(self.train, rng.integers(self.data.scenes, size=self.recipe.batch_size).tolist())

    def validation(self, batch_size: int) -> Iterator[tuple[list[Scene], np.ndarray]]:
        """The val scenes and their pictures, batch by batch."""
        for start in range(0, len(self.held_out), batch_size):
            yield self._read(self.held_out, range(start, min(start + batch_size, len(self.held_out))))

    @staticmethod
    def _read(source: WorldSource, indices: list[int] | range) -> tuple[list[Scene], np.ndarray]:
        return [source.scene(index) for index in indices], np.stack([source.picture(index) for index in indices])
