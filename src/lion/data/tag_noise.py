"""Tags beside a training picture, spoilt as an imperfect tagger's are, so that a model learns how far to trust them.

A part of recipes, which are checked before numpy is imported; so the world is imported where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np

    from lion.world import Scene


class TagNoise(BaseModel):
    """How tags are spoilt; `tags` under a world source of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=1.0, ge=0, le=1, description="share of samples that come with tags at all")
    drop: float = Field(default=0.15, ge=0, le=1, description="chance that a true tag is missing")
    spurious: float = Field(default=0.15, ge=0, le=1, description="chance of a wrong tag, per true one")

    def tags(self, shown: Scene, rng: np.random.Generator) -> list[str] | None:
        """Tags of a scene; None for a sample without."""
        from lion.random import chance

        return self.spoilt(shown, rng) if chance(rng, self.share) else None

    def spoilt(self, shown: Scene, rng: np.random.Generator) -> list[str]:
        """Tags of a scene, some missing and some wrong."""
        from lion.world import noisy_tags

        return noisy_tags(shown, rng, drop=self.drop, add=self.spurious)
