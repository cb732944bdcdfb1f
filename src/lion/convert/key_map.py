"""Names of the released LION's tensors beside ours, as one readable table.

A row is the beginning of a released name and what replaces it; ``{n}`` is a layer number that carries over. Exactly one
row matches a name. The released ViT keeps query and value biases apart and has no key bias, while ours (transformers'
fused form) has one bias with zeros in the middle.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from lion.errors import LionError

_BERT = "qformer.bert"
_VIT = "vision_encoder.vit"
_AGGREGATOR = "vision_aggregator"
_T5 = "language_model"

# released name -> our name
TABLE: tuple[tuple[str, str], ...] = (
    # Vision Encoder
    ("visual_encoder.cls_token", f"{_VIT}.embeddings.class_embedding"),
    ("visual_encoder.pos_embed", f"{_VIT}.embeddings.position_embedding"),
    ("visual_encoder.patch_embed.proj.", f"{_VIT}.embeddings.patch_embedding."),
    ("visual_encoder.blocks.{n}.norm1.", f"{_VIT}.encoder.layers.{{n}}.layer_norm1."),
    ("visual_encoder.blocks.{n}.norm2.", f"{_VIT}.encoder.layers.{{n}}.layer_norm2."),
    ("visual_encoder.blocks.{n}.attn.qkv.", f"{_VIT}.encoder.layers.{{n}}.self_attn.qkv."),
    ("visual_encoder.blocks.{n}.attn.q_bias", f"{_VIT}.encoder.layers.{{n}}.self_attn.qkv.bias"),
    ("visual_encoder.blocks.{n}.attn.v_bias", f"{_VIT}.encoder.layers.{{n}}.self_attn.qkv.bias"),
    ("visual_encoder.blocks.{n}.attn.proj.", f"{_VIT}.encoder.layers.{{n}}.self_attn.projection."),
    ("visual_encoder.blocks.{n}.mlp.", f"{_VIT}.encoder.layers.{{n}}.mlp."),
    # Vision Aggregator and MLP
    ("fusion_adapter.blocks.{n}.attention.self.", f"{_AGGREGATOR}.blocks.{{n}}.self_attention."),
    ("fusion_adapter.blocks.{n}.attention.output.dense.", f"{_AGGREGATOR}.blocks.{{n}}.self_attention.output."),
    ("fusion_adapter.blocks.{n}.attention.output.LayerNorm.", f"{_AGGREGATOR}.blocks.{{n}}.self_attention.norm."),
    ("fusion_adapter.blocks.{n}.crossattention.self.", f"{_AGGREGATOR}.blocks.{{n}}.cross_attention."),
    ("fusion_adapter.blocks.{n}.crossattention.output.dense.", f"{_AGGREGATOR}.blocks.{{n}}.cross_attention.output."),
    ("fusion_adapter.blocks.{n}.crossattention.output.LayerNorm.", f"{_AGGREGATOR}.blocks.{{n}}.cross_attention.norm."),
    ("fusion_adapter.blocks.{n}.intermediate.dense.", f"{_AGGREGATOR}.blocks.{{n}}.feed_forward.input."),
    ("fusion_adapter.blocks.{n}.output.dense.", f"{_AGGREGATOR}.blocks.{{n}}.feed_forward.output."),
    ("fusion_adapter.blocks.{n}.output.LayerNorm.", f"{_AGGREGATOR}.blocks.{{n}}.feed_forward.norm."),
    ("ln_adapter.", f"{_AGGREGATOR}.norm."),
    ("adapter_proj.0.", "mlp.input."),
    ("adapter_proj.2.", "mlp.output."),
    # Q-Former
    ("ln_vision.", "qformer.vision_norm."),
    ("query_tokens", "qformer.queries"),
    ("t5_proj.", "qformer.projection."),
    ("Qformer.bert.embeddings.LayerNorm.", f"{_BERT}.embeddings.layernorm."),
    ("Qformer.bert.embeddings.word_embeddings.", f"{_BERT}.embeddings.word_embeddings."),
    ("Qformer.bert.embeddings.position_embeddings.", f"{_BERT}.embeddings.position_embeddings."),
    ("Qformer.bert.encoder.layer.{n}.attention.self.", f"{_BERT}.encoder.layer.{{n}}.attention.attention."),
    ("Qformer.bert.encoder.layer.{n}.attention.output.", f"{_BERT}.encoder.layer.{{n}}.attention.output."),
    ("Qformer.bert.encoder.layer.{n}.crossattention.self.", f"{_BERT}.encoder.layer.{{n}}.crossattention.attention."),
    ("Qformer.bert.encoder.layer.{n}.crossattention.output.", f"{_BERT}.encoder.layer.{{n}}.crossattention.output."),
    ("Qformer.bert.encoder.layer.{n}.intermediate.", f"{_BERT}.encoder.layer.{{n}}.intermediate."),
    ("Qformer.bert.encoder.layer.{n}.output.", f"{_BERT}.encoder.layer.{{n}}.output."),
    ("Qformer.bert.encoder.layer.{n}.intermediate_query.", f"{_BERT}.encoder.layer.{{n}}.intermediate_query."),
    ("Qformer.bert.encoder.layer.{n}.output_query.", f"{_BERT}.encoder.layer.{{n}}.output_query."),
    # Tag soft prompt
    ("soft_prompt_hint", "tag_soft_prompt.vector"),
    # Language model; the feed-forward is layer 1 of an encoder block and layer 2 of a decoder block
    ("t5_model.shared.", f"{_T5}.shared."),
    ("t5_model.lm_head.", f"{_T5}.lm_head."),
    ("t5_model.encoder.final_layer_norm.", f"{_T5}.encoder.final_layer_norm."),
    ("t5_model.decoder.final_layer_norm.", f"{_T5}.decoder.final_layer_norm."),
    ("t5_model.encoder.block.{n}.layer.0.", f"{_T5}.encoder.block.{{n}}.layer.0."),
    ("t5_model.encoder.block.{n}.layer.1.DenseReluDense.", f"{_T5}.encoder.block.{{n}}.feed_forward.DenseReluDense."),
    ("t5_model.encoder.block.{n}.layer.1.layer_norm.", f"{_T5}.encoder.block.{{n}}.feed_forward.layer_norm."),
    ("t5_model.decoder.block.{n}.layer.0.", f"{_T5}.decoder.block.{{n}}.layer.0."),
    ("t5_model.decoder.block.{n}.layer.1.", f"{_T5}.decoder.block.{{n}}.layer.1."),
    ("t5_model.decoder.block.{n}.layer.2.DenseReluDense.", f"{_T5}.decoder.block.{{n}}.feed_forward.DenseReluDense."),
    ("t5_model.decoder.block.{n}.layer.2.layer_norm.", f"{_T5}.decoder.block.{{n}}.feed_forward.layer_norm."),
    # Mixture-of-Adapters: adapters.0 serves the region level, adapters.1 the image level
    ("t5_model.encoder.block.{n}.layer.1.adapter.", f"{_T5}.encoder.block.{{n}}.mixture."),
    ("t5_model.decoder.block.{n}.layer.2.adapter.", f"{_T5}.decoder.block.{{n}}.mixture."),
)

# Inside the mixture: what is left of a released name after the rows above.
_MIXTURE: tuple[tuple[str, str], ...] = (
    ("mixture.adapters.0.down_proj.", "mixture.region_adapter.down."),
    ("mixture.adapters.0.up_proj.", "mixture.region_adapter.up."),
    ("mixture.adapters.0.scale", "mixture.region_adapter.scale"),
    ("mixture.adapters.1.down_proj.", "mixture.image_adapter.down."),
    ("mixture.adapters.1.up_proj.", "mixture.image_adapter.up."),
    ("mixture.adapters.1.scale", "mixture.image_adapter.scale"),
    ("mixture.router_ratio1", "mixture.router.gates"),
    ("mixture.router_ratio2", "mixture.router.gates"),
)

# A transformers BLIP-2 or InstructBLIP checkpoint: its ViT is LION's, its Q-Former what LION's started from. The norm
# it applies after the ViT is the one before LION's Q-Former; BLIP-2's Q-Former knows no text.
BLIP_TABLE: tuple[tuple[str, str], ...] = (
    ("vision_model.embeddings.", f"{_VIT}.embeddings."),
    ("vision_model.encoder.", f"{_VIT}.encoder."),
    ("vision_model.post_layernorm.", "qformer.vision_norm."),
    ("query_tokens", "qformer.queries"),
    ("qformer.layernorm.", f"{_BERT}.embeddings.layernorm."),
    ("qformer.embeddings.", f"{_BERT}.embeddings."),
    ("qformer.encoder.", f"{_BERT}.encoder."),
    ("language_projection.", "qformer.projection."),
)

# Released entries that carry no information of their own: tied copies and an index buffer.
REDUNDANT = (
    "t5_model.encoder.embed_tokens.weight",
    "t5_model.decoder.embed_tokens.weight",
    "Qformer.bert.embeddings.position_ids",
)

# What may be left behind, by input (patterns on the released name); anything else left over is an error.
LEFT_BEHIND: dict[str, tuple[str, ...]] = {
    "lion": (
        r"ram_model\.",  # the tagger, once the released code has loaded it; --ram converts it
        r"Qformer\.cls\.",  # BERT's head for masked words, which LION takes off
    ),
    "vit": (
        r"blocks\.39\.",  # EVA has 40 blocks, LION uses 39
        r"(fc_)?norm\.",  # EVA's norm after the last block, and its classifier
        r"head\.",
    ),
    "blip": (r"language_model\.",),  # the FLAN-T5 comes from --llm
    "llm": (r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.",),  # in old T5 files; unused
}

# What may be missing and is then initialised, by visual inputs (our names): the one-adapter checkpoints of stages 1 and
# 2 hold what their stage trained and nothing of the other's.
MAY_START: dict[str, tuple[str, ...]] = {
    "both": (),
    "qformer": (r"vision_aggregator\.", r"mlp\.", r".*\.mixture\.(region_adapter|router)\."),
    "aggregator": (r"qformer\.", r".*\.mixture\.(image_adapter|router)\."),
}


def compile_table(table: Iterable[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    """Rows for :func:`renamed`: the pattern of a released name, where ``{n}`` is a number, and what replaces it."""
    return [(re.compile(re.sub(r"\\{(\w)\\}", r"(?P<\1>\\d+)", re.escape(name))), ours) for name, ours in table]


def renamed(released: str, rows: Iterable[tuple[re.Pattern[str], str]]) -> str | None:
    """Our name of a released tensor; None if no row matches its beginning."""
    for pattern, ours in rows:
        if match := pattern.match(released):
            return ours.format(**match.groupdict()) + released[match.end() :]
    return None


_ROWS, _BLIP_ROWS = compile_table(TABLE), compile_table(BLIP_TABLE)


def our_name(released: str) -> str | None:
    """Our name of a tensor of LION; None for a redundant one.

    EVA's and FLAN-T5's own checkpoints have LION's names without ``visual_encoder.`` and ``t5_model.``.

    Raises: LionError if it is not LION's.
    """
    if released in REDUNDANT:
        return None
    name = renamed(released, _ROWS)
    if name is None:
        raise LionError(f"{released!r} is not a tensor of LION; is this its checkpoint?")
    for inside, replacement in _MIXTURE:
        name = name.replace(inside, replacement)
    return name


def our_name_of_blip(released: str) -> str | None:
    """Our name of a tensor of a transformers BLIP-2 or InstructBLIP; as :func:`our_name`."""
    if released == "qformer.embeddings.position_ids":
        return None
    name = renamed(released, _BLIP_ROWS)
    if name is None:
        raise LionError(f"{released!r} is no tensor of BLIP's ViT or Q-Former")
    return name


def join(ours: str, parts: Mapping[str, Tensor]) -> Tensor:
    """The parameter that released tensors, most often one, make up. Raises: LionError if half of a pair is missing."""
    if ours.endswith("qkv.bias") and not next(iter(parts)).endswith("qkv.bias"):
        query, value = _both(ours, parts, "q_bias", "v_bias")
        return torch.cat([query, torch.zeros_like(value), value])
    if ours.endswith("router.gates"):
        # Released: one (levels, D) matrix per adapter; ours: (levels, adapters, D).
        return torch.stack(_both(ours, parts, "router_ratio1", "router_ratio2"), dim=1)
    (tensor,) = parts.values()
    return tensor


def _both(ours: str, parts: Mapping[str, Tensor], *names: str) -> list[Tensor]:
    known = {name.rsplit(".", 1)[-1]: tensor for name, tensor in parts.items()}
    if missing := [name for name in names if name not in known]:
        raise LionError(f"the checkpoint lacks {', '.join(missing)} of {ours}")
    return [known[name] for name in names]
