"""Names of the released RAM's tensors beside ours, as one readable table.

A row is the beginning of a released name and what replaces it; ``{n}`` and ``{m}`` stand for numbers that carry over.
One row is not one to one: the released Swin stacks query, key and value in one tensor, transformers' has three.
"""

from collections.abc import Mapping

from torch import Tensor

from lion.convert.key_map import compile_table, renamed
from lion.errors import LionError

_BLOCK, _OUR_BLOCK = "visual_encoder.layers.{n}.blocks.{m}.", "swin.encoder.layers.{n}.blocks.{m}."
_HEAD, _OUR_HEAD = "tagging_head.encoder.layer.{n}.", "layers.{n}."

# released name -> our name
TABLE: tuple[tuple[str, str], ...] = (
    # Swin
    ("visual_encoder.patch_embed.proj.", "swin.embeddings.patch_embeddings.projection."),
    ("visual_encoder.patch_embed.norm.", "swin.embeddings.norm."),
    (f"{_BLOCK}norm1.", f"{_OUR_BLOCK}layernorm_before."),
    (f"{_BLOCK}norm2.", f"{_OUR_BLOCK}layernorm_after."),
    (
        f"{_BLOCK}attn.relative_position_bias_table",
        f"{_OUR_BLOCK}attention.relative_position_bias.relative_position_bias_table",
    ),
    (f"{_BLOCK}attn.qkv.", f"{_OUR_BLOCK}attention.[qkv]_proj."),
    (f"{_BLOCK}attn.proj.", f"{_OUR_BLOCK}attention.o_proj."),
    (f"{_BLOCK}mlp.", f"{_OUR_BLOCK}mlp."),
    ("visual_encoder.layers.{n}.downsample.", "swin.encoder.layers.{n}.downsample."),
    ("visual_encoder.norm.", "swin.layernorm."),
    # Labels and picture in the head's width
    ("label_embed", "label_embed"),
    ("image_proj.", "image_proj."),
    ("wordvec_proj.", "wordvec_proj."),
    # Tag head
    (f"{_HEAD}crossattention.self.", f"{_OUR_HEAD}cross_attention."),
    (f"{_HEAD}crossattention.output.dense.", f"{_OUR_HEAD}cross_attention.output."),
    (f"{_HEAD}crossattention.output.LayerNorm.", f"{_OUR_HEAD}cross_attention.norm."),
    (f"{_HEAD}intermediate.dense.", f"{_OUR_HEAD}feed_forward.input."),
    (f"{_HEAD}output.dense.", f"{_OUR_HEAD}feed_forward.output."),
    (f"{_HEAD}output.LayerNorm.", f"{_OUR_HEAD}feed_forward.norm."),
    ("fc.", "fc."),
)

CAPTIONING = ("tag_encoder.", "text_decoder.")
"""RAM's captioning half, which has no part in tagging; what it shares with the tag head stands there once more."""

REBUILT = ("relative_position_index", "attn_mask")
"""Index and mask buffers of Swin, which follow from its shape."""

_ROWS = compile_table(TABLE)


def our_names(released: str) -> list[str]:
    """Our name of a released tensor, or the three of a stacked one; none if it is not in the table.

    Older files call the tag head ``vision_multi``.
    """
    found = renamed(released.replace("vision_multi.", "tagging_head.", 1), _ROWS)
    if found is None:
        return []
    return [found.replace("[qkv]", letter) for letter in "qkv"] if "[qkv]" in found else [found]


def translate(released: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The released tensors that tag, under our names; all others are left out.

    Raises: LionError if two of them have one name here, or a stacked one does not come apart in three.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in released.items():
        if name.endswith(REBUILT):
            continue
        ours = our_names(name)
        if len(ours) == 3 and (not tensor.ndim or len(tensor) % 3):
            raise LionError(f"{name} of shape {tuple(tensor.shape)} does not hold query, key and value")
        parts = tensor.chunk(3) if len(ours) == 3 else [tensor] * len(ours)
        for our_name, part in zip(ours, parts, strict=True):
            if our_name in state:
                raise LionError(f"the checkpoint holds {name} twice, once under an older name; it is not RAM's")
            state[our_name] = part
    return state
