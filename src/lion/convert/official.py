"""The released LION to ours: `plan_official` says what would become of every tensor, `convert_official` does it.

1. Open ``--lion``: what it holds tells the configuration (XL or XXL; both kinds of visual input, or one of them).
2. What it lacks of the frozen parts comes from ``--vit`` (EVA, or a BLIP-2 / InstructBLIP) and ``--llm`` (FLAN-T5).
3. Each tensor of ours gets an origin of the right shape, or a start value where a stage left it out, or an error.
4. Tensors are copied one by one into shards; the folder appears when all of it is there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import GenerationConfig

from lion.atomic import atomic_directory, atomic_write, unfinished
from lion.convert.assembly import Assembly
from lion.convert.card import model_card
from lion.convert.key_map import our_name, our_name_of_blip, our_name_of_t5, our_name_of_vit
from lion.convert.report import Report
from lion.convert.sources import TORCH_WEIGHTS, Source, find, open_source, read_json, weights_file
from lion.convert.start_values import start_values
from lion.convert.tokenizers import build_processor
from lion.convert.writer import Planned, write_sharded
from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import ALWAYS_FLOAT32

REPORT = "conversion.txt"
"""The report's name in the folder that is written."""

PRESETS: Mapping[int, tuple[Callable[[], LionConfig], str]] = {
    2048: (LionConfig.flan_t5_xl, "google/flan-t5-xl"),
    4096: (LionConfig.flan_t5_xxl, "google/flan-t5-xxl"),
}
"""Configuration and language model of the released sizes, by the language model's width."""

BERT = "bert-base-uncased"
SPARE_BYTES = 100_000_000
"""Room for tokenizers and file systems' own needs, beside the weights."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a LION is made of; each a local path or a Hub id."""

    lion: str
    """The released checkpoint, whole or only what was trained."""
    vit: str | None = None
    """EVA ViT-g, or a transformers BLIP-2 / InstructBLIP; only needed for what ``lion`` lacks."""
    llm: str | None = None
    """FLAN-T5: its tokenizer, and its weights where ``lion`` lacks them. By default the released size's."""
    bert: str = BERT
    """The Q-Former's tokenizer."""
    ram: str | None = None
    """A RAM checkpoint; None for a model without tagger."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion will write."""

    inputs: Inputs
    llm: str
    """The language model, also where ``inputs`` leave it to the default."""
    config: LionConfig
    dtype: torch.dtype
    tensors: tuple[Planned, ...]
    report: Report

    @property
    def bytes(self) -> int:
        """Size of the weights to be written."""
        return sum(tensor.bytes for tensor in self.tensors)


def plan_official(inputs: Inputs, *, config: LionConfig | None = None, dtype: torch.dtype = torch.bfloat16) -> Plan:
    """Open the inputs and say where each tensor comes from; nothing is read but headers, and nothing written.

    Args:
        inputs: what the model is made of.
        config: the shapes of a LION that is neither the released XL nor XXL.
        dtype: ``bfloat16`` or ``float32``; adapters, routers and our own norms are float32 either way.

    Raises:
        LionError: an input is absent, damaged or of another size. What is missing or left over does not raise here, but
            in ``plan.report.check()``.
    """
    lion = open_source(inputs.lion)
    visual_inputs = _visual_inputs(lion)
    width = _width(lion)
    if config is None:
        if width not in PRESETS:
            raise LionError(f"'{lion.label}' is {width} wide, neither XL (2048) nor XXL (4096); give --config")
        config = PRESETS[width][0]()
    llm = inputs.llm or (PRESETS[width][1] if width in PRESETS else None)
    if llm is None:
        raise LionError("no default language model for a LION of this size; give --llm")
    config.visual_inputs = visual_inputs
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    assembly = Assembly({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
    assembly.take("lion", lion, _one_adapter_rename if visual_inputs == "qformer" else our_name)
    _take_frozen(assembly, inputs, llm)
    tensors = _plan_tensors(config, assembly, dtype)
    numbers = sum(tensor.numbers for tensor in tensors)
    title = f"LION of {numbers:,} parameters, visual inputs: {visual_inputs}, {str(dtype).removeprefix('torch.')}"
    return Plan(inputs, llm, config, dtype, tensors, Report(title, tuple(assembly.rows)))


def _take_frozen(assembly: Assembly, inputs: Inputs, llm: str) -> None:
    """Fill what the LION checkpoint lacks; inputs that are not needed are not opened."""
    if assembly.lacks(r"vision_encoder\."):
        if inputs.vit is None:
            raise LionError(
                f"'{inputs.lion}' holds only what was trained; give its Vision Encoder: --vit eva_vit_g.pth, or a "
                "BLIP-2 or InstructBLIP such as Salesforce/instructblip-flan-t5-xl"
            )
        vit = open_source(inputs.vit)
        if any(name.startswith("vision_model.") for name in vit.tensors):
            assembly.take("blip", vit, our_name_of_blip)
        else:
            assembly.take("vit", vit, our_name_of_vit)
    if assembly.lacks(r"language_model\.(?!.*\.mixture\.)"):
        assembly.take("llm", open_source(llm), our_name_of_t5)


def _plan_tensors(config: LionConfig, assembly: Assembly, dtype: torch.dtype) -> tuple[Planned, ...]:
    """Every tensor of ours with its precision, in the model's order."""
    started = assembly.finish(config.visual_inputs)

    @cache
    def starts() -> dict[str, Tensor]:
        return start_values(config, started)

    def read(name: str) -> Tensor:
        return assembly.origins[name].read() if name in assembly.origins else starts()[name]

    high = [re.compile(pattern) for pattern in ALWAYS_FLOAT32]
    return tuple(
        Planned(name, shape, torch.float32 if any(one.search(name) for one in high) else dtype, partial(read, name))
        for name, shape in assembly.wanted.items()
    )


def convert_official(
    inputs: Inputs, out: str | Path, *, config: LionConfig | None = None, dtype: torch.dtype = torch.bfloat16
) -> Plan:
    """Convert the released LION into a folder that `LionForConditionalGeneration.from_pretrained` reads.

    Args and errors: those of :func:`plan_official` and :func:`write_plan`. Returns: what was written.
    """
    plan = plan_official(inputs, config=config, dtype=dtype)
    write_plan(plan, out)
    return plan


def write_plan(plan: Plan, out: str | Path, progress: Callable[[int], None] | None = None) -> None:
    """Write model, configuration, processor, tagger, model card and report.

    Args:
        plan: what to write.
        out: a folder that does not exist yet, or is empty; it appears whole or not at all.
        progress: told the bytes of each tensor of the model once it is written.

    Raises:
        LionError: a key is missing or left over, a number is not finite, tokenizers do not fit the weights, or the disk
            is too full.
    """
    plan.report.check()
    target = Path(os.path.expanduser(out)).resolve()  # the disk that a link leads to
    _check_free(target)
    _check_room(target, plan.bytes)
    processor = build_processor(plan.llm, plan.inputs.bert, plan.config)
    with atomic_directory(target) as folder:
        if plan.inputs.ram:
            _convert_tagger(plan.inputs.ram, folder / "tagger")
        _write_configs(folder, plan.config, plan.dtype)
        processor.save_pretrained(folder)
        atomic_write(folder / "README.md", model_card(target.name, plan))
        atomic_write(folder / REPORT, plan.report.text())
        write_sharded(folder, plan.tensors, progress=progress)


def _convert_tagger(source: str, folder: Path) -> None:
    """The one place that knows of RAM's own conversion."""
    from lion.convert.ram import convert_ram

    convert_ram(weights_file(find(source, TORCH_WEIGHTS), source), folder)


def _write_configs(folder: Path, config: LionConfig, dtype: torch.dtype) -> None:
    config.architectures = [LionForConditionalGeneration.__name__]
    for part in (config, *(getattr(config, name) for name in config.sub_configs)):
        part.dtype = str(dtype).removeprefix("torch.")
    config.save_pretrained(folder)
    text = config.text_config
    GenerationConfig(
        num_beams=5,
        max_new_tokens=256,
        decoder_start_token_id=text.decoder_start_token_id,
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
    ).save_pretrained(folder)


def read_config(path: str | Path) -> LionConfig:
    """A LION configuration from a file.

    Raises: LionError if it is none.
    """
    fields = read_json(Path(path))
    if fields.get("model_type") != LionConfig.model_type:
        raise LionError(f"{path} describes a {fields.get('model_type', 'nameless')} model; give a LION's config.json")
    try:
        return LionConfig.from_dict(fields)
    except (ValueError, TypeError) as error:
        raise LionError(f"{path} does not describe a LION: {error}") from error


def _visual_inputs(lion: Source) -> str:
    """Which visual tokens the language model of the checkpoint reads."""
    qformer = any(name.startswith("Qformer.") for name in lion.tensors)
    aggregator = any(name.startswith("fusion_adapter.") for name in lion.tensors)
    if not qformer and not aggregator:
        raise LionError(f"'{lion.label}' holds neither Q-Former nor Vision Aggregator; it is no LION checkpoint")
    return "both" if qformer and aggregator else "qformer" if qformer else "aggregator"


def _width(lion: Source) -> int:
    """The language model's width, from what every checkpoint of a stage holds."""
    for name in ("soft_prompt_hint", "t5_proj.bias", "adapter_proj.2.bias"):
        if name in lion.tensors and len(lion.tensors[name].shape) == 1:
            return lion.tensors[name].shape[0]
    raise LionError(f"'{lion.label}' holds no soft_prompt_hint; it is no LION checkpoint, or an incomplete one")


def _one_adapter_rename(released: str) -> str | None:
    """Names in a checkpoint of stage 1, whose only adapter serves the image level though it is ``adapters.0``."""
    name = our_name(released)
    return name and name.replace(".region_adapter.", ".image_adapter.")


def _check_free(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LionError(f"{target} is there already; name a new folder, or remove it")
    if os.path.ismount(target):
        raise LionError(f"{target} is a disk of its own, and cannot be put in place whole; name a folder in it")


def _check_room(target: Path, count: int) -> None:
    place = next(parent for parent in target.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(place).free
    if free < count + SPARE_BYTES:
        left = unfinished(target)
        hint = f"remove {left}, which a stopped conversion left" if left else "make room"
        raise LionError(f"{place} has {free / 1e9:.1f} GB free and the model takes {count / 1e9:.1f} GB; {hint}")
