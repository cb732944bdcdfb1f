"""One component of LION in a folder of its own: how pretraining hands the ViT and the language model to the stages.

A part's folder looks like a model's (config.json, model.safetensors with LION's own tensor names) and holds that part
alone; a whole model's folder serves as the folder of any of its parts.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from lion.checkpoints.tensors import open_folder, own_tensors
from lion.errors import LionError, first_line
from lion.hub import LOAD_ERRORS
from lion.model import LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import component_of

_SHAPED_BY = {
    "vision_encoder": "vision_config",
    "language_model": "text_config",
    "qformer": "qformer_config",
    "vision_aggregator": "aggregator_config",
}
"""Sub-configuration that has to agree where tensor shapes alone would not tell (heads, activations)."""


def save_part(module: nn.Module, config: LionConfig, component: str, out: Path) -> None:
    """Write `module`, trained on its own, as a component of a LION of that configuration.

    Args:
        module: what the model holds under that attribute; adapters inside it, components of their own, are left out.
        config: of the model it is to be part of.
        component: its name, such as `vision_encoder`.
        out: an existing folder.
    """
    config.save_pretrained(out)
    tensors = {f"{component}.{name}": tensor for name, tensor in own_tensors(module).items()}
    chosen = {name: t.detach().cpu().contiguous() for name, t in tensors.items() if component_of(name) == component}
    save_file(chosen, out / "model.safetensors", metadata={"format": "pt"})


def load_part(model: LionForConditionalGeneration, component: str, folder: Path) -> None:
    """Copy one component's weights out of a part's or a model's folder into `model`.

    Raises: LionError if the folder has no weights, lacks a tensor of the component, or its part has another shape.
    """
    _check_config(model.config, component, folder)
    target = {name: tensor for name, tensor in own_tensors(model).items() if component_of(name) == component}
    stored = open_folder(folder)
    if missing := sorted(set(target) - set(stored)):
        raise LionError(f"{folder} holds no {component}: {missing[0]} is missing ({len(missing)} of {len(target)})")
    with torch.no_grad():
        for name, tensor in target.items():
            if tensor.shape != stored[name].shape:
                shapes = f"{stored[name].shape} and the model's {tuple(tensor.shape)}"
                raise LionError(f"{folder}: {name} is {shapes}; it is a part of another model")
            tensor.copy_(stored[name].read())


def _check_config(config: LionConfig, component: str, folder: Path) -> None:
    name = _SHAPED_BY.get(component)
    if name is None or not (folder / "config.json").is_file():
        return
    try:
        stored = LionConfig.from_pretrained(folder)
    except LOAD_ERRORS as error:
        raise LionError(f"{folder}/config.json is damaged ({first_line(error)}); train or copy it again") from error
    theirs, ours = (getattr(c, name).to_diff_dict() for c in (stored, config))
    for key in sorted(theirs.keys() | ours.keys()):
        if key not in ("dtype", "transformers_version", "vocab_size") and theirs.get(key) != ours.get(key):
            raise LionError(
                f"{folder}: its {component} has {key}={theirs.get(key)} and the model {ours.get(key)}; "
                "train the part for this model, or choose another `model`"
            )
