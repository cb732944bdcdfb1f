"""The released RAM checkpoint to a tagger folder, whose configuration is derived from the shapes of the tensors.

Nothing is written unless every tensor of ours was filled, once, with finite values.
"""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SwinConfig

from lion.atomic import atomic_directory
from lion.checkpoints.tensors import shape_difference
from lion.convert.ram_key_map import CAPTIONING, REBUILT, our_names, translate
from lion.convert.sources import AGAIN, open_file
from lion.errors import LionError
from lion.tagging import RamConfig, RamModel, RamTagger
from lion.tagging.vocabulary import Vocabulary

_TABLE = "relative_position_bias_table"


@dataclass(frozen=True, slots=True)
class RamReport:
    """The tagger that was written, and counts of tensors, ours and the released ones by use."""

    source: str
    out: str
    tags: int
    image_size: int
    parameters: int
    """Of the tagger, label embeddings included."""
    filled: int
    """Tensors of ours."""
    used: int
    """Released tensors that they were filled from; the three below were left behind."""
    captioning: int
    """Of the captioning half."""
    rebuilt: int
    """Index and mask buffers, which follow from the shapes."""
    unknown: tuple[str, ...]
    """All others; the known checkpoints have none."""
    interpolated: int
    """Bias tables resized for another image size than the checkpoint's."""


def convert_ram(
    source: str | Path,
    out: str | Path,
    *,
    tags: str | Path | None = None,
    thresholds: str | Path | None = None,
    image_size: int | None = None,
) -> RamReport:
    """Convert a released RAM checkpoint (``ram_swin_large_14m.pth``) into the folder `RamTagger.from_pretrained` reads.

    Args:
        source: the checkpoint.
        out: a folder that does not exist yet; ``MODEL/tagger`` gives a LION checkpoint its tagger.
        tags, thresholds: files with an entry a line, for a RAM with other tags than the 4,585 released ones.
        image_size: side in pixels of the tagger's input, by default the checkpoint's (384).

    Raises: LionError if the file is absent, damaged or of another model or size, or `out` cannot be written.
    """
    target = Path(os.path.expanduser(out))
    if target.exists():
        raise LionError(f"{out} is there already; name a folder that is not, or remove it")
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        raise LionError(f"{source} is a folder; name the checkpoint's file in it")
    if not path.is_file():
        raise LionError(f"{source}: there is no such file; check the path")
    released = {name: tensor.read() for name, tensor in open_file(path, str(source)).items()}
    vocabulary = Vocabulary.read(tags, thresholds)
    state = translate(released)
    config = _configure(state, vocabulary, str(source), image_size)
    interpolated = _fit_windows(state, config.vision_config.window_size)
    with torch.device("meta"):
        model = RamModel(config)
    _check(state, model.state_dict(), str(source))
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    try:
        with atomic_directory(target) as folder:
            RamTagger(model).save_pretrained(folder)
    except OSError as error:
        raise LionError(f"cannot write {out}: {error.strerror or error}; name another folder") from error
    captioning = {name for name in released if name.startswith(CAPTIONING)}
    rebuilt = {name for name in released if name.endswith(REBUILT)}
    used = {name for name in released if our_names(name)} - rebuilt
    return RamReport(
        source=str(source),
        out=str(out),
        tags=len(vocabulary.names),
        image_size=config.vision_config.image_size,
        parameters=sum(tensor.numel() for tensor in state.values()),
        filled=len(state),
        used=len(used),
        captioning=len(captioning),
        rebuilt=len(rebuilt),
        unknown=tuple(sorted(released.keys() - captioning - rebuilt - used)),
        interpolated=interpolated,
    )


def _configure(state: Mapping[str, Tensor], vocabulary: Vocabulary, name: str, image_size: int | None) -> RamConfig:
    """The configuration that gives these shapes; settings without influence on a shape are as released."""

    def shape(key: str, dimensions: int) -> tuple[int, ...]:
        if key not in state or state[key].ndim != dimensions:
            problem = f"has another shape {tuple(state[key].shape)} of" if key in state else "lacks"
            raise LionError(f"{name} {problem} {key}; it is no checkpoint of a RAM tagger (ram_swin_large_14m.pth)")
        return tuple(state[key].shape)

    def length(pattern: str) -> int:
        """Of the list of modules that the keys number from 0."""
        return next(n for n in itertools.count() if not any(key.startswith(pattern.format(n)) for key in state))

    labels, label_width = shape("label_embed", 2)
    if labels != len(vocabulary.names):
        raise LionError(
            f"{name} knows {labels} tags and the list has {len(vocabulary.names)}; it may be another model "
            "(Tag2Text, RAM++), or give its list with --tags FILE"
        )
    width, _, patch, _ = shape("swin.embeddings.patch_embeddings.projection.weight", 4)
    stages = length("swin.encoder.layers.{}.")
    depths = [length(f"swin.encoder.layers.{stage}.blocks.{{}}.") for stage in range(stages)]
    block = "swin.encoder.layers.{}.blocks.0."
    tables = [shape(block.format(stage) + f"attention.relative_position_bias.{_TABLE}", 2) for stage in range(stages)]
    window, step = (isqrt(tables[0][0]) + 1) // 2, patch * 2 ** (stages - 1)
    if image_size is not None and (image_size < step or image_size % step):
        raise LionError(f"image size {image_size} does not fit its windows; give a multiple of {step}")
    side = image_size or window * step
    swin = SwinConfig(
        image_size=side,
        patch_size=patch,
        embed_dim=width,
        depths=depths,
        num_heads=[heads for _, heads in tables],
        window_size=side // step,
        mlp_ratio=shape(block.format(0) + "mlp.fc1.weight", 2)[0] / width,
    )
    feed_forward, head_width = shape("layers.0.feed_forward.input.weight", 2)
    return RamConfig(
        id2label=dict(enumerate(vocabulary.names)),
        thresholds=None if vocabulary.thresholds is None else list(vocabulary.thresholds),
        vision_config=swin,
        label_width=label_width,
        hidden_size=head_width,
        num_hidden_layers=length("layers.{}."),
        intermediate_size=feed_forward,
    )


def _fit_windows(state: dict[str, Tensor], window: int) -> int:
    """Resize relative position bias tables of other windows in place; returns how many.

    A table, ((2w - 1)^2, heads), is interpolated bicubically as an image; centre and corners keep their values.
    """
    side, resized = 2 * window - 1, 0
    for key, table in state.items():
        if not key.endswith(_TABLE) or table.ndim != 2 or len(table) == side**2:
            continue
        before = isqrt(len(table))
        if before**2 != len(table):
            continue  # not the table of any window: the check of shapes reports it
        picture = table.float().T.reshape(1, -1, before, before)
        picture = functional.interpolate(picture, size=(side, side), mode="bicubic", align_corners=True)
        state[key] = picture.reshape(-1, side**2).T.contiguous()
        resized += 1
    return resized


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    """Raise LionError unless the tensors are exactly those of the model, and finite."""
    if difference := shape_difference(state, expected):
        raise LionError(f"{name}: {difference}; the file mixes sizes or is cut down, {AGAIN}")
    for key, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise LionError(f"{name}: {key} holds values that are no finite numbers; {AGAIN}")
