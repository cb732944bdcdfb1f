"""Configuration of the RAM tagger: its Swin, its tag head, its tags and how scores become tags.

Shape letters used in this package: B batch, L image tokens (1 + patches of the last Swin stage), C Swin width of the
last stage (1536 in RAM), E label width (512), W head width (768), N tags (4585).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from transformers import PreTrainedConfig, SwinConfig


class RamConfig(PreTrainedConfig):
    """Everything :class:`~lion.tagging.RamTagger` needs to build itself; the tags are ``id2label``.

    Raises: ValueError if two tags share a name, there is not one threshold per tag, the heads do not divide the width,
    or ``patch_stem`` is unknown.

    Source: "Recognize Anything" (arXiv 2306.03514); released ``ram`` configuration, recorded in
    ``tests/golden/ram_tiny``.
    """

    model_type = "lion_ram"
    sub_configs = {"vision_config": SwinConfig}  # noqa: RUF012 - the name and form transformers reads

    vision_config: Any = None
    """The Swin encoder; its ``image_size`` is the side S that pictures are resized to, whatever their aspect."""
    patch_stem: str = "linear"
    """How pixels become patches: ``linear`` (as in RAM) or ``convolutional`` (lion-mini)."""
    label_width: int = 512
    """Width E of a label's embedding, and of the image tokens it attends to (512: CLIP's text width)."""
    hidden_size: int = 768
    """Width W of the tag head."""
    num_hidden_layers: int = 2
    """Cross-attention layers of the tag head."""
    num_attention_heads: int = 4
    """Attention heads of the tag head."""
    intermediate_size: int = 3072
    """Width inside the tag head's feed-forwards."""
    hidden_act: str = "gelu"
    """Activation of the tag head's feed-forwards."""
    layer_norm_eps: float = 1e-12
    """Epsilon of the tag head's LayerNorms."""
    initializer_range: float = 0.02
    """Standard deviation of the tag head's initial weights."""
    thresholds: list[float] | None = None
    """One score threshold per tag, in class order; 0.5 for all where none are given."""
    tag_policy: dict[str, Any] | None = None
    """Fields of the :class:`~lion.tagging.TagPolicy` the tagger starts with; per-class thresholds if none."""
    domain: str | None = None
    """As of :class:`~lion.model.LionConfig`."""

    def __post_init__(self, **kwargs: Any) -> None:
        if not isinstance(self.vision_config, PreTrainedConfig):
            self.vision_config = SwinConfig(**(self.vision_config or {}))
        super().__post_init__(**kwargs)
        tags = self.tags
        if len(set(tags)) != len(tags):
            double = next(tag for index, tag in enumerate(tags) if tag in tags[:index])
            raise ValueError(f"the tag {double!r} stands in the list twice; name each tag once")
        if self.thresholds is not None and len(self.thresholds) != len(tags):
            raise ValueError(
                f"{len(self.thresholds)} thresholds for {len(tags)} tags; give one per tag, in their order"
            )
        if self.patch_stem not in ("linear", "convolutional"):
            raise ValueError(f"patch_stem={self.patch_stem!r} is neither 'linear' nor 'convolutional'")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is not a multiple of num_attention_heads={self.num_attention_heads}"
            )

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags in class order, the order of the scores."""
        names: Mapping[Any, str] = self.id2label or {}
        return tuple(names[index] for index in range(len(names)))

    @classmethod
    def mini(cls, tags: Sequence[str]) -> Self:
        """The tagger of lion-mini: 128 px, two Swin stages ending at 8 x 8 patches (about 0.3 M parameters).

        Unlike RAM it has a convolutional stem and no dropout: it is trained from scratch, on new pictures all the time.
        """
        return cls(
            id2label=dict(enumerate(tags)),
            vision_config=SwinConfig(
                image_size=128,
                patch_size=8,
                embed_dim=48,
                depths=[2, 2],
                num_heads=[3, 6],
                window_size=4,
                mlp_ratio=2.0,
                drop_path_rate=0.0,
            ),
            patch_stem="convolutional",
            label_width=64,
            hidden_size=64,
            intermediate_size=128,
        )
