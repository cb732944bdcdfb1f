"""The released RAM from golden data: tensors made from their names, its file as the release lays it out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import SwinConfig

from lion.convert.ram_key_map import translate
from lion.tagging import RamConfig
from tests.golden.fill import fill_state_dict

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDER = GOLDEN / "ram_tiny"


def swin_large(tags: Sequence[str]) -> RamConfig:
    """The released RAM's configuration: Swin-L at 384 px (212 M parameters with its 4585 tags)."""
    vision = SwinConfig(image_size=384, embed_dim=192, depths=[2, 2, 18, 2], num_heads=[6, 12, 24, 48], window_size=12)
    return RamConfig(id2label=dict(enumerate(tags)), vision_config=vision)


def read_json(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def used(keys: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Released keys that take part in tagging and hold learnt values."""
    return [name for name, entry in keys.items() if entry["used_for_tagging"] and not entry.get("buffer")]


def released_weights() -> dict[str, Tensor]:
    """Every tensor of the golden run under its released name, captioning half and buffers included."""
    keys = read_json("state_dict_keys.json")
    shapes = {name: entry["shape"] for name, entry in keys.items()}
    aliases = {name: entry["alias_of"] for name, entry in keys.items() if "alias_of" in entry}
    filled = fill_state_dict(shapes, salt=read_json("config.json")["salt"], alias=aliases)
    buffers = {name: torch.zeros(shapes[name], dtype=getattr(torch, keys[name]["dtype"])) for name in shapes}
    return {name: filled.get(name, buffers[name]) for name in shapes}


def golden_weights() -> dict[str, Tensor]:
    """The weights of the golden run under our names."""
    return translate(released_weights())


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor] | None = None) -> dict[str, Path]:
    """A checkpoint in the released layout with the tag lists beside it: what `convert_ram` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = read_json("config.json")
    paths = {name: folder / f"{name}.txt" for name in ("tags", "thresholds")}
    for name, path in paths.items():
        path.write_text("\n".join(str(entry) for entry in config[name]))
    torch.save({"model": dict(tensors or released_weights())}, folder / "ram.pth")
    return {"source": folder / "ram.pth", **paths}
