"""Configuration of LION: the shapes of its parts and four presets.

Shape letters used in every file of this package:
B batch, P patches + CLS (257 at 224 px), Q queries (32), T text tokens, N = Q + P + T tokens the language model
reads, V vision width (1408), D language-model width (2048 XL, 4096 XXL), H adapter bottleneck (64).
"""

from typing import Any, Self

from transformers import InstructBlipQFormerConfig, InstructBlipVisionConfig, PreTrainedConfig, T5Config

VISUAL_INPUTS = ("qformer", "aggregator", "both")


class VisionAggregatorConfig(PreTrainedConfig):
    """Shape of the Vision Aggregator; its width is the vision encoder's."""

    model_type = "lion_vision_aggregator"
    base_config_key = "aggregator_config"

    num_attention_heads: int = 16
    intermediate_size: int = 3072
    """Width inside its feed-forwards; 3072 as released, whatever the vision width."""
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02


class LionConfig(PreTrainedConfig):
    """Everything :class:`LionForConditionalGeneration` needs to build itself.

    Raises: ValueError if a tap lies outside the vision encoder, or ``visual_inputs`` is not in :data:`VISUAL_INPUTS`.

    Source: paper, section 3; released ``config`` values recorded in ``tests/golden/lion_tiny/config.json``.
    """

    model_type = "lion"
    is_encoder_decoder = True
    sub_configs = {  # noqa: RUF012
        "vision_config": InstructBlipVisionConfig,
        "qformer_config": InstructBlipQFormerConfig,
        "aggregator_config": VisionAggregatorConfig,
        "text_config": T5Config,
    }
    keys_to_ignore_at_inference = ["past_key_values", "qformer_hidden_states", "aggregator_hidden_states"]  # noqa: RUF012
    """Outputs that transformers' Trainer does not collect when it evaluates."""

    # Sub-configurations: given as such, as dictionaries (from a file), or not at all.
    vision_config: Any = None
    """Vision Encoder (EVA ViT-g/14 in the paper)."""
    qformer_config: Any = None
    """Q-Former (BERT-base with cross-attention in every second layer)."""
    aggregator_config: Any = None
    """Vision Aggregator."""
    text_config: Any = None
    """Language model (FLAN-T5)."""
    taps: list[int] | tuple[int, ...] = (39, 29, 19)
    """Vision blocks the aggregator reads, numbered from 1: the stream first, then one per aggregator block."""
    patch_stem: str = "linear"
    """How pixels become patches: ``linear`` (one strided convolution, as in EVA) or ``convolutional`` (lion-mini)."""
    num_query_tokens: int = 32
    """Learnt queries of the Q-Former, Q."""
    visual_inputs: str = "both"
    """Which visual tokens the language model reads: ``qformer`` (stage 1), ``aggregator`` (stage 2) or ``both``."""
    adapter_bottleneck: int = 64
    """Width H inside an adapter."""
    connector_norm_eps: float = 1e-5
    """Epsilon of the LayerNorms before the Q-Former and after the aggregator."""
    soft_prompt_token_id: int = 32099
    """Token whose embedding the tag soft prompt replaces (``<extra_id_0>``)."""
    initializer_range: float = 0.02
    domain: str | None = None
    """What all pictures show that its frozen parts have seen, where that is little: "drawn scenes" of lion-mini and of
    what is made from it. Whoever asks such a model is told."""

    def __post_init__(self, **kwargs: Any) -> None:
        for name, kind in self.sub_configs.items():
            part = getattr(self, name)
            if not isinstance(part, PreTrainedConfig):
                setattr(self, name, kind(**(part or {})))
        super().__post_init__(**kwargs)
        self.taps = tuple(self.taps)
        # FLAN-T5 as LION was trained with it: exact GELU, and logits neither tied to the embeddings nor scaled.
        # T5Config derives other values from its own fields and forgets ours on reload, so they are set here, always.
        self.text_config.dense_act_fn = "gelu"
        self.text_config.scale_decoder_outputs = False
        self.qformer_config.encoder_hidden_size = self.vision_config.hidden_size
        self.is_encoder_decoder = True
        if self.visual_inputs not in VISUAL_INPUTS:
            raise ValueError(f"visual_inputs={self.visual_inputs!r} is not one of {', '.join(VISUAL_INPUTS)}")
        depth = self.vision_config.num_hidden_layers
        if not self.taps or any(not 1 <= tap <= depth for tap in self.taps):
            raise ValueError(f"taps={self.taps} must name vision blocks between 1 and {depth} (counted from 1)")

    @property
    def pad_token_id(self) -> int | None:
        """The language model's; transformers' Seq2SeqTrainer fills up what it generates with it."""
        found: int | None = self.text_config.pad_token_id
        return found

    @classmethod
    def flan_t5_xl(cls) -> Self:
        """The released LION with FLAN-T5-XL (4.1 B parameters)."""
        return cls._released(d_model=2048, d_ff=5120, num_heads=32)

    @classmethod
    def flan_t5_xxl(cls) -> Self:
        """The released LION with FLAN-T5-XXL (12.4 B parameters)."""
        return cls._released(d_model=4096, d_ff=10240, num_heads=64)

    @classmethod
    def mini(cls, vocab_size: int, qformer_vocab_size: int, soft_prompt_token_id: int) -> Self:
        """lion-mini, the bundled model of the drawn world: 4.7 M parameters, 128 px, 64 patches."""
        return cls._small(
            width=128,
            heads=4,
            vision={"intermediate_size": 512, "num_hidden_layers": 4, "image_size": 128, "patch_size": 16},
            qformer={
                "vocab_size": qformer_vocab_size,
                "intermediate_size": 256,
                "num_hidden_layers": 4,
                "max_position_embeddings": 128,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
            text={"vocab_size": vocab_size, "d_ff": 384, "num_layers": 4, "num_decoder_layers": 3, "d_kv": 32},
            taps=(4, 3, 2),
            patch_stem="convolutional",
            num_query_tokens=16,
            soft_prompt_token_id=soft_prompt_token_id,
            domain="drawn scenes",
        )

    @classmethod
    def tiny(cls, vocab_size: int = 512, qformer_vocab_size: int = 512, soft_prompt_token_id: int = 411) -> Self:
        """A debugging size (under 1 M parameters, milliseconds on a CPU) with every mechanism of the real one."""
        return cls._small(
            width=32,
            heads=2,
            vision={"intermediate_size": 64, "num_hidden_layers": 3, "image_size": 56, "patch_size": 14},
            qformer={
                "vocab_size": qformer_vocab_size,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "max_position_embeddings": 256,
            },
            text={"vocab_size": vocab_size, "d_ff": 64, "num_layers": 2, "d_kv": 16},
            taps=(3, 2, 1),
            num_query_tokens=8,
            soft_prompt_token_id=soft_prompt_token_id,
        )

    @classmethod
    def _released(cls, **text: int) -> Self:
        text_config = _t5(vocab_size=32128, d_kv=64, num_layers=24, **text)
        return cls(qformer_config=InstructBlipQFormerConfig(vocab_size=30523), text_config=text_config)

    @classmethod
    def _small(
        cls, width: int, heads: int, vision: dict[str, Any], qformer: dict[str, Any], text: dict[str, Any], **own: Any
    ) -> Self:
        """All parts of one width and number of heads. T5 has no dropout: with fresh samples at every step there is
        nothing to regularise."""
        shape = {"hidden_size": width, "num_attention_heads": heads}
        return cls(
            vision_config=InstructBlipVisionConfig(**shape, **vision, initializer_range=0.02),
            qformer_config=InstructBlipQFormerConfig(**shape, **qformer),
            aggregator_config=VisionAggregatorConfig(
                num_attention_heads=heads, intermediate_size=vision["intermediate_size"]
            ),
            text_config=_t5(d_model=width, num_heads=heads, dropout_rate=0.0, **text),
            **own,
        )


def _t5(**shape: Any) -> T5Config:
    return T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, **shape)
