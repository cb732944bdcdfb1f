"""What a fine-tuning run trained, as one small file that is put on the model it was trained on.

``adapters.safetensors`` holds whole components under LION's own tensor names, and in its metadata the record of the
run: what was trained, on which model, and a hash of each other component of that model. A model that differs in one of
them is refused, since these weights mean nothing beside others.
"""

import copy
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lion.atomic import atomic_write
from lion.checkpoints.finding import ADAPTERS, find_adapters
from lion.checkpoints.tensors import own_tensors, shape_difference
from lion.errors import LionError
from lion.hub import LOAD_ERRORS
from lion.model import FROZEN, TRAINABLE, LionForConditionalGeneration
from lion.model.modeling_lion import component_of

SAMPLED = 256
"""Numbers of each tensor that a component's hash is of: training changes them all, and 16 GB would take a minute."""


@dataclass(frozen=True)
class Adapters:
    """A file of adapters."""

    path: Path
    name: str
    """What answers call them; the run's name unless they were given another."""
    tensors: Mapping[str, Tensor]
    """By LION's own names, in float32."""
    record: Mapping[str, Any]
    """``name`` of the run; ``base``: ``name`` of the model and ``hashes`` of its other components; what `lion train`
    records of a run."""

    @classmethod
    def read(cls, given: str | Path) -> Self:
        """A file, or the one in a run's folder; ``name=FILE`` names it. Raises: LionError if there is no such file."""
        name, path = find_adapters(given)
        try:
            with safe_open(path, framework="pt") as file:
                record = json.loads((file.metadata() or {}).get("lion", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except LOAD_ERRORS as error:
            raise LionError(f"{path} is cut off or no safetensors file; copy it again") from error
        if not isinstance(record, dict) or "hashes" not in record.get("base", {}):
            raise LionError(
                f"{path} does not say which model it belongs to; give the {ADAPTERS} that lion finetune left"
            )
        name = name or str(record["name"])
        if ":" in name:
            raise LionError(f"adapters cannot be called {name!r}; name them without a colon: name=FILE")
        return cls(path, name, tensors, record)

    @property
    def components(self) -> frozenset[str]:
        """Components of the model that it holds, each whole."""
        return frozenset(map(component_of, self.tensors))

    def on(self, model: LionForConditionalGeneration) -> LionForConditionalGeneration:
        """The model with these adapters: a model of its own that shares all other weights with the given one.

        Raises: LionError if it is not the model that they were trained on.
        """
        kept, named = dict(model.named_parameters()), f"'{self.path}'"
        expected = {name: tensor for name, tensor in kept.items() if component_of(name) in self.components}
        if difference := shape_difference(self.tensors, expected):
            raise LionError(f"{named} does not fit the model: {difference}; {self._origin}")
        hashes: Mapping[str, str] = self.record["base"]["hashes"]
        own_hashes = component_hashes(own_tensors(model), hashes)
        if other := [part for part, own in own_hashes.items() if own not in (None, hashes[part])]:
            raise LionError(
                f"{named} was trained beside another {', '.join(other)} than this model has; {self._origin}"
            )
        memo: dict[int, Any] = {id(tensor): tensor for tensor in chain(kept.values(), model.buffers())}
        own = copy.deepcopy(model, memo)
        for name, tensor in self.tensors.items():
            place, _, last = name.rpartition(".")
            there = kept[name]
            setattr(own.get_submodule(place), last, nn.Parameter(tensor.to(there.device, there.dtype), False))
        return own.eval()

    @property
    def _origin(self) -> str:
        return f"it belongs to {self.record['base']['name']}"


def save_adapters(
    model: nn.Module,
    components: Collection[str],
    path: Path,
    base: str,
    record: Mapping[str, Any],
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the components of a trained model, whole or not at all.

    Args:
        model: as trained; all that is not among the components is as it was before.
        components: what was trained.
        path: the file.
        base: name of the model that training began with.
        record: of the run; its ``name`` is the adapters'.
        state: the model's tensors where it holds others, quantised ones.
    """
    state = own_tensors(model) if state is None else state
    held = {name: tensor for name, tensor in state.items() if component_of(name) in components}
    tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in held.items()}
    others = component_hashes(state, {*FROZEN, *TRAINABLE} - {*components})
    facts = {**record, "trained": sorted(components), "base": {"name": base, "hashes": others}}
    atomic_write(path, save(tensors, {"format": "pt", "lion": json.dumps(facts, ensure_ascii=False)}))


def component_hashes(state: Mapping[str, Tensor], components: Collection[str]) -> dict[str, str | None]:
    """For each of these components a hash of numbers of all its tensors, whatever the precision they are held in; None
    for one that is quantised, whose numbers are others."""
    digests: dict[str, Any] = {}
    plain: dict[str, bool] = {}
    for name, tensor in sorted(state.items()):
        if (part := component_of(name)) not in components:
            continue
        digest = digests.setdefault(part, hashlib.blake2b(digest_size=8))
        flat = tensor.detach().flatten()
        numbers = flat[:: max(1, len(flat) // SAMPLED)][:SAMPLED]
        whole = not tensor.is_floating_point() and part in FROZEN and name.endswith("weight")
        plain[part] = plain.get(part, True) and not whole
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(numbers.to("cpu", torch.bfloat16).contiguous().view(torch.uint8).numpy())
    return {part: digest.hexdigest() if plain[part] else None for part, digest in digests.items()}
