"""Names of the released RAM's tensors beside ours, as one readable table, and the golden weights under our names."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from tests.golden.fill import fill_array

GOLDEN = Path(__file__).parents[1] / "golden"

# released name -> our name; {n}, {m} are numbers that carry over
TABLE = (
    ("label_embed", "label_embed"),
    ("visual_encoder.patch_embed.proj.", "swin.embeddings.patch_embeddings.projection."),
    ("visual_encoder.patch_embed.norm.", "swin.embeddings.norm."),
    ("visual_encoder.layers.{n}.blocks.{m}.norm1.", "swin.encoder.layers.{n}.blocks.{m}.layernorm_before."),
    ("visual_encoder.layers.{n}.blocks.{m}.norm2.", "swin.encoder.layers.{n}.blocks.{m}.layernorm_after."),
    (
        "visual_encoder.layers.{n}.blocks.{m}.attn.relative_position_bias_table",
        "swin.encoder.layers.{n}.blocks.{m}.attention.relative_position_bias.relative_position_bias_table",
    ),
    # query, key and value stacked in one tensor there, three tensors here
    ("visual_encoder.layers.{n}.blocks.{m}.attn.qkv.", "swin.encoder.layers.{n}.blocks.{m}.attention.[qkv]_proj."),
    ("visual_encoder.layers.{n}.blocks.{m}.attn.proj.", "swin.encoder.layers.{n}.blocks.{m}.attention.o_proj."),
    ("visual_encoder.layers.{n}.blocks.{m}.mlp.", "swin.encoder.layers.{n}.blocks.{m}.mlp."),
    ("visual_encoder.layers.{n}.downsample.", "swin.encoder.layers.{n}.downsample."),
    ("visual_encoder.norm.", "swin.layernorm."),
    ("image_proj.", "image_proj."),
    ("wordvec_proj.", "wordvec_proj."),
    ("tagging_head.encoder.layer.{n}.crossattention.self.", "layers.{n}.cross_attention."),
    ("tagging_head.encoder.layer.{n}.crossattention.output.dense.", "layers.{n}.cross_attention.output."),
    ("tagging_head.encoder.layer.{n}.crossattention.output.LayerNorm.", "layers.{n}.cross_attention.norm."),
    ("tagging_head.encoder.layer.{n}.intermediate.dense.", "layers.{n}.feed_forward.input."),
    ("tagging_head.encoder.layer.{n}.output.dense.", "layers.{n}.feed_forward.output."),
    ("tagging_head.encoder.layer.{n}.output.LayerNorm.", "layers.{n}.feed_forward.norm."),
    ("fc.", "fc."),
)


_PATTERNS = tuple(
    (re.compile(re.sub(r"\\{(\w)\\}", r"(?P<\1>\\d+)", re.escape(released))), ours) for released, ours in TABLE
)


def our_names(released: str) -> list[str]:
    """The one name, or the three of a stacked tensor, that a released tensor has here."""
    matches = [(match, ours) for pattern, ours in _PATTERNS if (match := pattern.match(released))]
    assert len(matches) == 1, f"{released} matches {len(matches)} rows"
    match, ours = matches[0]
    name = ours.format(**match.groupdict()) + released[match.end() :]
    return [name.replace("[qkv]", letter) for letter in "qkv"] if "[qkv]" in name else [name]


def used(keys: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Released keys that take part in tagging and hold learnt values."""
    return [name for name, entry in keys.items() if entry["used_for_tagging"] and not entry.get("buffer")]


def renamed(released: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Released tensors under our names; each of ours comes from exactly one."""
    state: dict[str, Tensor] = {}
    for name, tensor in released:
        ours = our_names(name)
        for our_name, part in zip(ours, tensor.chunk(len(ours)), strict=True):
            assert our_name not in state, f"{our_name} is filled twice"
            state[our_name] = part
    return state


def golden_weights(keys: Mapping[str, Mapping[str, object]]) -> dict[str, Tensor]:
    """The weights of the golden run, made from the released names by `golden/fill.py`."""
    return renamed((name, torch.from_numpy(fill_array(name, keys[name]["shape"]))) for name in used(keys))
