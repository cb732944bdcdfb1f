"""Memory and arithmetic of one forward and backward pass, counted on tensors that have shapes and no values.

What a pass keeps grows by the same amount with every block, so a model of a block or two of each kind is counted, then
one with a block more, and the rest is multiplied out: seconds for a model of any size. torch's own operators tell what
is kept, autocast's copies of weights and checkpointed blocks included; nothing about T5 or a ViT is written down here.

B batch, S image side, T text tokens, A answer tokens.
"""

import copy
import json
import weakref
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from lion.model import LionConfig, LionForConditionalGeneration
from lion.train.language_modelling import AnswerLoss, checkpoint_blocks
from lion.train.objective import Batch
from lion.train.parallel import autocast
from lion.train.params import train_mode

BATCH = 2
"""Rows of the batch that is counted: at one row, dimensions of size one change what torch keeps."""


@dataclass(frozen=True)
class Counts:
    """Of one pass over :data:`BATCH` rows: bytes, and multiplications and additions."""

    kept: float = 0.0
    """Activations kept for the backward pass when the loss is known."""
    copies: float = 0.0
    """Copies of weights in the arithmetic of the forward pass that are kept; the same for any batch."""
    loss: float = 0.0
    """Most that the loss and its gradient with respect to the logits take beyond that."""
    flops: float = 0.0

    def plus(self, other: Self, times: float = 1.0) -> "Counts":
        """The sum with so many times another one; `loss` is the larger of the two."""
        both = {one.name: getattr(self, one.name) + times * getattr(other, one.name) for one in fields(self)}
        return Counts(**{**both, "loss": max(self.loss, other.loss)})


class Tally(TorchDispatchMode):
    """Counts the bytes of living tensors, and arithmetic, while it is entered.

    Args:
        weights: tensors that were there before; what is made of them by conversion counts as their copy.
    """

    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.weights = {_storage(weight) for weight in weights}
        self.living: dict[int, int] = dict.fromkeys(self.weights, 0)
        self.copies: dict[int, int] = {}
        self.bytes = self.most = self.flops = 0
        self.products: list[int] = []
        """`most` at each product."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.prim.device.default:
            return out
        if rule := flop_registry.get(func._overloadpacket):
            self.flops += rule(*args, **(kwargs or {}), out_val=out)
            self.products.append(self.most)
        copied = func is torch.ops.aten._to_copy.default and _storage(args[0]) in self.weights
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and (key := _storage(tensor)) not in self.living:
                size = tensor.untyped_storage().nbytes()
                self.living[key] = size
                if copied:
                    self.copies[key] = size
                self.bytes += size
                self.most = max(self.most, self.bytes)
                weakref.finalize(tensor.untyped_storage(), self._freed, key)
        return out

    def _freed(self, key: int) -> None:
        self.bytes -= self.living.pop(key, 0)
        self.copies.pop(key, None)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@dataclass(frozen=True)
class Pass:
    """What of a pass decides its memory, besides the model's size."""

    trained: tuple[str, ...]
    """Components that train."""
    dtype: torch.dtype
    """Of the forward pass's products."""
    text_tokens: int
    answer_tokens: int
    checkpointing: bool = False
    """Whether blocks are computed again in the backward pass instead of kept."""


def count_pass(config: LionConfig, one: Pass) -> Counts:
    """Counts of a pass of a LION of any size over :data:`BATCH` rows; `visual_inputs` is the configuration's."""
    return _count_pass(config.to_json_string(use_diff=False), one)


@lru_cache(maxsize=16)
def _count_pass(config_text: str, one: Pass) -> Counts:
    config = LionConfig.from_dict(json.loads(config_text))
    depths, least, step = _depths(config)
    base = _counted(_shallow(config, least), one)
    total = base
    for kind, depth in depths.items():
        if depth > least[kind]:
            deeper = _counted(_shallow(config, {**least, kind: least[kind] + step[kind]}), one)
            total = total.plus(deeper.plus(base, -1.0), (depth - least[kind]) / step[kind])
    return total


def _depths(config: LionConfig) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Of each kind of block: how many there are, the fewest that a model can have, and the smallest step."""
    period = 1 if config.visual_inputs == "aggregator" else config.qformer_config.cross_attention_frequency
    depths = {
        "vision": max(config.taps),
        "qformer": config.qformer_config.num_hidden_layers,
        "encoder": config.text_config.num_layers,
        "decoder": config.text_config.num_decoder_layers,
    }
    least = {"vision": len(config.taps), "qformer": period, "encoder": 1, "decoder": 1}
    if config.visual_inputs == "aggregator":
        depths["qformer"] = least["qformer"]  # it takes no part
    return depths, least, {"vision": 1, "qformer": period, "encoder": 1, "decoder": 1}


def _shallow(config: LionConfig, depths: dict[str, int]) -> LionConfig:
    """The configuration with so many blocks of each kind."""
    shallow = copy.deepcopy(config)
    shallow.vision_config.num_hidden_layers = depths["vision"]
    shallow.taps = tuple(range(depths["vision"], depths["vision"] - len(config.taps), -1))
    shallow.qformer_config.num_hidden_layers = depths["qformer"]
    shallow.text_config.num_layers, shallow.text_config.num_decoder_layers = depths["encoder"], depths["decoder"]
    return shallow


def _counted(config: LionConfig, one: Pass) -> Counts:
    """Counts of the pass of a small enough model, all of whose operators are gone through."""
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        prepare(model, one)
        batch = longest_batch(config, one, BATCH)
        tally = Tally([*model.parameters(), *model.buffers()])
        with tally:
            with autocast(torch.device("cpu"), one.dtype):
                loss = forward(model, batch)
            kept, copies = tally.bytes, sum(tally.copies.values())
            tally.most, products = tally.bytes, len(tally.products)
            loss.backward()
    # The first product of the backward pass is that of the logits' gradient with the output layer.
    return Counts(kept - copies, copies, tally.products[products] - kept, tally.flops)


def prepare(model: LionForConditionalGeneration, one: Pass) -> None:
    """Freeze and set the model as a run of the pass does."""
    model.freeze(one.trained)
    train_mode(model)
    if one.checkpointing:
        checkpoint_blocks(model)


def longest_batch(config: LionConfig, one: Pass, rows: int) -> dict[str, Tensor]:
    """A batch whose every row has the most tokens that the pass allows."""
    side = config.vision_config.image_size
    words = torch.ones(rows, one.text_tokens, dtype=torch.long)
    return {
        "pixel_values": torch.zeros(rows, 3, side, side),
        "input_ids": words,
        "attention_mask": words,
        "qformer_input_ids": words,
        "qformer_attention_mask": words,
        "task_levels": torch.ones(rows, dtype=torch.long),
        "labels": torch.ones(rows, one.answer_tokens, dtype=torch.long),
    }


def forward(model: LionForConditionalGeneration, batch: dict[str, Tensor]) -> Tensor:
    """The loss of stages 1 to 3, as `LanguageModelling.loss` has it."""
    inputs = dict(batch)
    labels = inputs.pop("labels")
    decoder_input_ids = model.language_model.prepare_decoder_input_ids_from_labels(labels)
    output = model(decoder_input_ids=decoder_input_ids, **inputs)
    return AnswerLoss()(output.logits, Batch({"labels": labels}, [])).total
