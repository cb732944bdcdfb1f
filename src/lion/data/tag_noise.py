"""Noise on the tags of a training image, like the errors of a tagger, so that a model learns how far to trust them.

Recipes contain this class and are validated before numpy is imported; so the world is imported inside the methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from lion.world import Scene


class TagNoise(BaseModel):
    """Noise on tags; `tags` under a source of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=1.0, ge=0, le=1, description="share of samples that come with tags at all")
    drop: float = Field(default=0.15, ge=0, le=1, description="chance that a true tag is missing")
    spurious: float = Field(default=0.15, ge=0, le=1, description="chance of a wrong tag, per true one")
    swapped: float = Field(default=0.0, ge=0, le=1, description="chance that a true tag is a wrong one instead")

    def tags(self, shown: Scene, rng: np.random.Generator) -> list[str] | None:
        """Corrupted tags of a scene, or with probability ``1 - share`` None: no tags."""
        from lion.random import chance

        return self.corrupted(shown, rng) if chance(rng, self.share) else None

    def of_file(self, found: Sequence[str], words: Sequence[str], rng: np.random.Generator) -> tuple[str, ...] | None:
        """A picture's tags, some dropped and some of `words` added anywhere, or with chance ``1 - share`` None."""
        from lion.random import below, chance, pick

        if not chance(rng, self.share):
            return None
        tags = [tag for tag in found if not chance(rng, self.drop)]
        if self.swapped:
            tags = list(dict.fromkeys(pick(rng, words) if chance(rng, self.swapped) else tag for tag in tags))
        for tag in [pick(rng, words) for _ in found if chance(rng, self.spurious)]:
            if tag not in found and tag not in tags:
                tags.insert(below(rng, len(tags) + 1), tag)
        return tuple(tags)

    def corrupted(self, shown: Scene, rng: np.random.Generator) -> list[str]:
        """Tags of a scene, some dropped and some spurious ones added."""
        from lion.random import chance, pick
        from lion.world import CATEGORIES, noisy_tags, tags

        found, true = noisy_tags(shown, rng, drop=self.drop, add=self.spurious), tags(shown)
        if not self.swapped:
            return found
        absent = [category for category in CATEGORIES if category not in true]
        return sorted({pick(rng, absent) if tag in true and chance(rng, self.swapped) else tag for tag in found})
