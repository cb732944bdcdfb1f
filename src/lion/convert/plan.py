"""The plan of a conversion: which tensors of the released checkpoints make up each parameter of ours.

1. The tensors of ``--lion`` show the configuration (XL or XXL; both kinds of visual input, or one of them).
2. Frozen parts that it lacks come from ``--vit`` (EVA, or a BLIP-2 / InstructBLIP) and ``--llm`` (FLAN-T5).
3. Each parameter gets source tensors of the right shape, or an initial value where a stage left it out, or an error.

Only file headers are read; `official.py` writes.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from lion.checkpoints.tensors import StoredTensor
from lion.convert.key_map import LEFT_BEHIND, MAY_START, join, our_name, our_name_of_blip
from lion.convert.report import KeyRow, KeyStatus, Report
from lion.convert.sources import Source, open_source
from lion.convert.start_values import start_values
from lion.convert.writer import OutputTensor
from lion.errors import LionError, first_line, unique_keys
from lion.hub import LOAD_ERRORS
from lion.model import LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import ALWAYS_FLOAT32

Rename = Callable[[str], str | None]
"""A released name to ours; None for a redundant tensor; LionError for one that is not LION's."""

PRESETS: Mapping[int, tuple[Callable[[], LionConfig], str]] = {
    2048: (LionConfig.flan_t5_xl, "google/flan-t5-xl"),
    4096: (LionConfig.flan_t5_xxl, "google/flan-t5-xxl"),
}
"""Configuration and language model of the released sizes, by the language model's width."""

_FIX = {
    "lion": "give --config if this LION is neither the released XL nor XXL",
    "vit": "give EVA ViT-g/14 for 224 pixels (eva_vit_g.pth)",
    "blip": "give a BLIP-2 or InstructBLIP with EVA ViT-g/14 and the FLAN-T5 of this LION's size",
    "llm": "give the FLAN-T5 of the size of --lion (XL is 2048 wide, XXL 4096)",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The released checkpoints to convert; each a local path or a Hub id."""

    lion: str
    """The released LION, whole or only its trained tensors."""
    vit: str | None = None
    """EVA ViT-g, or a transformers BLIP-2 / InstructBLIP; only needed if ``lion`` lacks the Vision Encoder."""
    llm: str | None = None
    """FLAN-T5: its tokenizer, and its weights where ``lion`` lacks them. By default the released size's."""
    bert: str = "bert-base-uncased"
    """The Q-Former's tokenizer."""
    ram: str | None = None
    """A RAM checkpoint; None for a model without tagger."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The model that a conversion will write."""

    inputs: Inputs
    llm: str
    config: LionConfig
    dtype: torch.dtype
    tensors: tuple[OutputTensor, ...]
    report: Report

    @property
    def bytes(self) -> int:
        """Size of all weights in the files."""
        return sum(tensor.bytes for tensor in self.tensors)


def plan_official(inputs: Inputs, *, config: LionConfig | None = None, dtype: torch.dtype = torch.bfloat16) -> Plan:
    """Open the inputs and map their tensors to the parameters of a LION.

    Args:
        inputs: the checkpoints.
        config: of a LION that is neither the released XL nor XXL.
        dtype: ``bfloat16`` or ``float32``; adapters, routers and our own norms are float32 either way.

    Raises: LionError if an input is absent, damaged or of another size; ``plan.report.check()`` raises for missing and
        unknown tensors.
    """
    lion = open_source(inputs.lion)
    visual_inputs = _visual_inputs(lion)
    width = _width(lion)
    preset, default_llm = PRESETS.get(width, (None, None))
    if config is None:
        if preset is None:
            raise LionError(f"'{lion.label}' is {width} wide, neither XL (2048) nor XXL (4096); give --config")
        config = preset()
    llm = inputs.llm or default_llm
    if llm is None:
        raise LionError("no default language model for a LION of this size; give --llm")
    config.visual_inputs = visual_inputs
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    mapping = WeightMapping({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
    mapping.add("lion", lion, _one_adapter_rename if visual_inputs == "qformer" else our_name)
    _add_frozen(mapping, inputs, llm)
    tensors = _output_tensors(config, mapping, dtype)
    parameters = sum(tensor.parameters for tensor in tensors)
    title = f"LION of {parameters:,} parameters, visual inputs: {visual_inputs}, {str(dtype).removeprefix('torch.')}"
    return Plan(inputs, llm, config, dtype, tensors, Report(title, tuple(mapping.rows)))


class WeightMapping:
    """Parameters of ours (shapes by name), mapped to tensors of the inputs; an earlier input takes precedence."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.readers: dict[str, Callable[[], Tensor]] = {}
        self.rows: list[KeyRow] = []

    def lacks(self, pattern: str) -> bool:
        """Whether a parameter whose name matches the pattern is not mapped yet."""
        return any(re.match(pattern, name) and name not in self.readers for name in self.shapes)

    def add(self, role: str, source: Source, rename: Rename) -> None:
        """Map the tensors of an input to parameters that are not mapped yet; every tensor gets a row of the report.

        ``role`` is ``lion``, ``vit``, ``blip`` or ``llm``, ``rename`` the key map.

        Raises: LionError if a tensor has another shape than the parameter, or is not of a floating-point dtype.
        """
        parts: dict[str, list[str]] = {}
        for released in source.tensors:
            try:
                ours = rename(released)
            except LionError:
                ours = ""
            if ours is None:
                self.rows.append(KeyRow(KeyStatus.COPY, source.label, released))
            elif ours in self.readers:
                self.rows.append(KeyRow(KeyStatus.NOT_NEEDED, source.label, released, ours))
            elif ours in self.shapes:
                parts.setdefault(ours, []).append(released)
            else:
                status = KeyStatus.LEFT_OVER if _matches(LEFT_BEHIND[role], released) else KeyStatus.UNKNOWN
                self.rows.append(KeyRow(status, source.label, released))
        for name, names in parts.items():
            self._map(role, source.label, name, {released: source.tensors[released] for released in names})

    def _map(self, role: str, label: str, ours: str, parts: dict[str, StoredTensor]) -> None:
        for name, part in parts.items():
            if part.dtype not in ("F64", "F32", "F16", "BF16"):
                raise LionError(f"'{label}': {name} holds no floating-point numbers; give unquantised weights")
        try:
            shape = tuple(join(ours, {name: torch.empty(p.shape, device="meta") for name, p in parts.items()}).shape)
        except (LionError, ValueError, RuntimeError) as error:  # half of a pair, two names for one, or unlike halves
            reason = error if isinstance(error, LionError) else "parts that do not fit together"
            raise LionError(f"'{label}': {', '.join(parts)}: {reason}; {_FIX[role]}") from error
        if shape != self.shapes[ours]:
            raise LionError(
                f"'{label}': {next(iter(parts))} makes {ours} of shape {shape}, not {self.shapes[ours]}; {_FIX[role]}"
            )
        self.readers[ours] = partial(_read, label, ours, parts)
        for name in parts:
            status = KeyStatus.USED if name == ours else KeyStatus.RENAMED
            self.rows.append(KeyRow(status if len(parts) == 1 else KeyStatus.JOINED, label, name, ours))

    def finish(self, visual_inputs: str) -> list[str]:
        """Add a row for each parameter without a tensor; returns those that may be initialised."""
        lacking = [name for name in self.shapes if name not in self.readers]
        initialised = [name for name in lacking if _matches(MAY_START[visual_inputs], name)]
        self.rows += [KeyRow(KeyStatus.STARTED, ours=name) for name in initialised]
        self.rows += [KeyRow(KeyStatus.MISSING, ours=name) for name in lacking if name not in initialised]
        return initialised


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(re.match(pattern, name) for pattern in patterns)


def _read(label: str, ours: str, parts: Mapping[str, StoredTensor]) -> Tensor:
    """The values of a parameter. Raises: LionError if one of them is not finite."""
    values = {name: part.read() for name, part in parts.items()}
    for name, tensor in values.items():
        low, high = torch.aminmax(tensor)
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise LionError(f"'{label}': {name} holds NaN or infinity; the file is damaged")
    return join(ours, values)


def _add_frozen(mapping: WeightMapping, inputs: Inputs, llm: str) -> None:
    """Add the frozen parts that the LION checkpoint lacks; other inputs are not opened."""
    if mapping.lacks(r"vision_encoder\."):
        if inputs.vit is None:
            raise LionError(
                f"'{inputs.lion}' holds only what was trained; give its Vision Encoder: --vit eva_vit_g.pth, or a "
                "BLIP-2 or InstructBLIP such as Salesforce/instructblip-flan-t5-xl"
            )
        vit = open_source(inputs.vit)
        if any(name.startswith("vision_model.") for name in vit.tensors):
            mapping.add("blip", vit, our_name_of_blip)
        else:
            mapping.add("vit", vit, lambda name: our_name(f"visual_encoder.{name}"))
    if mapping.lacks(r"language_model\.(?!.*\.mixture\.)"):
        mapping.add("llm", open_source(llm), lambda name: our_name(f"t5_model.{name}"))


def _output_tensors(config: LionConfig, mapping: WeightMapping, dtype: torch.dtype) -> tuple[OutputTensor, ...]:
    """Every parameter with its dtype, in the model's order."""
    initialised = mapping.finish(config.visual_inputs)

    @cache
    def initial_values() -> dict[str, Tensor]:
        return start_values(config, initialised)

    def read(name: str) -> Tensor:
        return mapping.readers[name]() if name in mapping.readers else initial_values()[name]

    def stored(name: str) -> torch.dtype:
        return torch.float32 if any(re.search(pattern, name) for pattern in ALWAYS_FLOAT32) else dtype

    return tuple(OutputTensor(name, shape, stored(name), partial(read, name)) for name, shape in mapping.shapes.items())


def read_config(path: str | Path) -> LionConfig:
    """A LION configuration from a file. Raises: LionError if it is none."""
    try:
        fields = json.loads(Path(path).expanduser().read_text("utf-8-sig"), object_pairs_hook=unique_keys)
        if fields.get("model_type") == LionConfig.model_type:
            return LionConfig.from_dict(fields)
    except LOAD_ERRORS as error:
        raise LionError(f"{path} does not describe a LION ({first_line(error)}); give a LION's config.json") from error
    raise LionError(f"{path} describes a {fields.get('model_type', 'nameless')} model; give a LION's config.json")


def _visual_inputs(lion: Source) -> str:
    """Which visual tokens the checkpoint's language model was trained with."""
    prefixes = {name.split(".", 1)[0] for name in lion.tensors}
    kinds = [kind for kind, prefix in (("qformer", "Qformer"), ("aggregator", "fusion_adapter")) if prefix in prefixes]
    if not kinds:
        raise LionError(f"'{lion.label}' holds neither Q-Former nor Vision Aggregator; it is no LION checkpoint")
    return "both" if len(kinds) == 2 else kinds[0]


def _width(lion: Source) -> int:
    """The language model's width, from a tensor that the checkpoint of every stage holds."""
    for name in ("soft_prompt_hint", "t5_proj.bias", "adapter_proj.2.bias"):
        if name in lion.tensors and len(lion.tensors[name].shape) == 1:
            return lion.tensors[name].shape[0]
    raise LionError(f"'{lion.label}' holds no soft_prompt_hint; it is no LION checkpoint, or an incomplete one")


def _one_adapter_rename(released: str) -> str | None:
    """Names in a checkpoint of stage 1, whose only adapter serves the image level though it is ``adapters.0``."""
    name = our_name(released)
    return name and name.replace(".region_adapter.", ".image_adapter.")
