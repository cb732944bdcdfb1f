"""The section `architecture` of a recipe: what differs from the paper's model, so that a study can leave a part out."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from lion.train.stages import Section

_MADE_BY = {"qformer": ("qformer",), "aggregator": ("vision_aggregator", "mlp")}
"""Components that make visual tokens, by the one value of `visual_inputs`, beside `both`, that reads them."""


class Architecture(Section):
    """What differs from the paper's model, for studies of what each part does. The defaults are the paper's."""

    visual_inputs: Literal["qformer", "aggregator", "both"] | None = Field(
        default=None, description="visual tokens that the language model reads; null: those of the stage"
    )
    taps: tuple[Annotated[int, Field(gt=0)], ...] | None = Field(
        default=None,
        min_length=1,
        description="Vision Encoder blocks that the aggregator reads, the stream first; null: as the model has them",
    )
    adapters: Literal["mixture", "own", "shared"] = Field(
        default="mixture",
        description="mixture: an adapter a task level, and the router; own: the two without a trained router, so that "
        "each level reads its own; shared: one adapter for both levels",
    )
    adapter_bottleneck: int | None = Field(
        default=None, gt=0, description="width inside an adapter that has not been trained yet; null: the model's"
    )
    soft_token_as: str | None = Field(
        default=None,
        min_length=1,
        description="a hard prompt: word whose embedding takes the soft token's place in the tag prompt and does not "
        "train; null: the learnt soft prompt",
    )

    def trained(self, components: Sequence[str]) -> tuple[str, ...]:
        """Those of a stage's components that train: none that this model does not have, reads or moves."""
        fixed: set[str] = {"router"} if self.adapters != "mixture" else set()
        fixed |= {"tag_soft_prompt"} if self.soft_token_as else set()
        if self.visual_inputs not in (None, "both"):
            fixed |= {part for inputs, parts in _MADE_BY.items() if inputs != self.visual_inputs for part in parts}
        one = {"region_adapter": "image_adapter"} if self.adapters == "shared" else {}
        return tuple(dict.fromkeys(one.get(part, part) for part in components if part not in fixed))
