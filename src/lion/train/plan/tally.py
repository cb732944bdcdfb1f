"""Memory and arithmetic of one forward and backward pass, counted on tensors that have shapes and no values.

What a pass keeps grows by the same amount with every block, so a model with few blocks of each kind is counted and what
one more takes is multiplied out: seconds for a model of any size. torch's own operators tell what
is kept, autocast's copies of weights and checkpointed blocks included; nothing about T5 or a ViT is written down here.

B batch, S image side, T text tokens, A answer tokens.
"""

import copy
import weakref
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from lion.model import LionConfig, LionForConditionalGeneration
from lion.train.frozen import FrozenWeights, frozen_matrices
from lion.train.language_modelling import AnswerLoss, checkpoint_blocks
from lion.train.objective import Batch
from lion.train.params import train_mode

STACKS = ("vision", "qformer", "encoder", "decoder")
"""Kinds of blocks."""
BATCH = 2
"""Rows of the batch that is counted: at one row, dimensions of size one change what torch keeps."""


@dataclass(frozen=True)
class Counts:
    """Of one pass over :data:`BATCH` rows: bytes, and multiplications and additions."""

    kept: float = 0.0
    """Activations kept for the backward pass, without the logits."""
    copies: float = 0.0
    """Copies of weights in the arithmetic of the forward pass that are kept; the same for any batch."""
    flops: float = 0.0

    def plus(self, other: Self, times: float = 1.0) -> "Counts":
        """The sum with so many times another one."""
        return Counts(*(getattr(self, one.name) + times * getattr(other, one.name) for one in fields(self)))


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
        self.cached: dict[int, int] = {}
        """Those copies of trained weights, which autocast holds to the end of the forward pass, whether kept or not."""
        self.bytes = self.most = self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.prim.device.default:
            return out
        if rule := flop_registry.get(func._overloadpacket):
            self.flops += rule(*args, **(kwargs or {}), out_val=out)
        copied = func is torch.ops.aten._to_copy.default and _storage(args[0]) in self.weights
        cached = copied and args[0].requires_grad
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and (key := _storage(tensor)) not in self.living:
                size = tensor.untyped_storage().nbytes()
                self.living[key] = size
                if copied:
                    self.copies[key] = size
                if cached:
                    self.cached[key] = size
                self.bytes += size
                self.most = max(self.most, self.bytes)
                weakref.finalize(tensor.untyped_storage(), self._freed, key)
        return out

    def _freed(self, key: int) -> None:
        self.bytes -= self.living.pop(key, 0)
        self.copies.pop(key, None)
        self.cached.pop(key, None)


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
    frozen: FrozenWeights = "fp32"
    """How frozen weights are held."""


def count_pass(config: LionConfig, one: Pass) -> Counts:
    """Counts of a pass of a LION of any size over :data:`BATCH` rows; `visual_inputs` is the configuration's."""
    shallow, left_out = _shallow(config)
    with torch.device("meta"):
        model = LionForConditionalGeneration(shallow)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        prepare(model, one)
        batch = longest_batch(config, one, BATCH)
        tally = Tally([*model.parameters(), *model.buffers()])
        spans = [
            (Span(tally, blocks[-2 * step], blocks[-step], one.checkpointing), left_out[kind] / step)
            for kind, (blocks, step) in _stacks(model).items()
            if left_out[kind]
        ]
        with tally:
            # Without the plain attention of training on a CPU: what is planned is a card's memory.
            with torch.autocast("cpu", one.dtype, enabled=one.dtype != torch.float32):
                logits = forward(model, batch)
            kept, copies = tally.bytes - logits.untyped_storage().nbytes(), sum(tally.copies.values())
            logits.backward(logits)
    total = Counts(kept - copies, copies, tally.flops)
    for span, times in spans:
        total = total.plus(span.counts, times)
    return total


def count_loss(words: int, one: Pass, rows: int) -> int:
    """The most bytes of the logits of so many rows, their loss, and its gradient with respect to them at a time."""
    with FakeTensorMode():
        made = torch.empty(rows, one.answer_tokens, words, dtype=one.dtype, requires_grad=True)
        labels = torch.ones(rows, one.answer_tokens, dtype=torch.long)
        tally, most = Tally([made, labels]), list[int]()
        with tally:
            logits = made.clone()  # not the caller's: freed once nobody needs them
            logits.register_hook(lambda _: most.append(tally.most))
            loss = AnswerLoss()(logits, Batch({"labels": labels}, [])).total
            del logits
            loss.backward()
    return most[0]


def _shallow(config: LionConfig) -> tuple[LionConfig, dict[str, int]]:
    """The configuration with few blocks of each kind, and how many are left out.

    One or, of the Q-Former, one period of layers, in which one attends to the picture, is in the middle of its stack;
    of the ViT, one that is no tap.
    """
    shallow = copy.deepcopy(config)
    vision, qformer, text = shallow.vision_config, shallow.qformer_config, shallow.text_config
    depths = [max(config.taps), qformer.num_hidden_layers, text.num_layers, text.num_decoder_layers]
    period = qformer.cross_attention_frequency
    least = [len(config.taps) + 2, 2 * period + (depths[1] % period or period), 4, 4]
    fewest = [min(pair) for pair in zip(depths, least, strict=True)]
    vision.num_hidden_layers, qformer.num_hidden_layers, text.num_layers, text.num_decoder_layers = fewest
    shallow.taps = (fewest[0], *range(len(config.taps) - 1, 0, -1))
    left_out = [depth - few for depth, few in zip(depths, fewest, strict=True)]
    return shallow, dict(zip(STACKS, left_out, strict=True))


def _stacks(model: LionForConditionalGeneration) -> dict[str, tuple[nn.ModuleList, int]]:
    """The blocks of each kind, and after how many they repeat."""
    language_model = model.language_model
    return {
        "vision": (model.vision_encoder.vit.encoder.layers, 1),
        "qformer": (model.qformer.bert.encoder.layer, model.config.qformer_config.cross_attention_frequency),
        "encoder": (language_model.encoder.block, 1),
        "decoder": (language_model.decoder.block, 1),
    }


class Span:
    """Counts of some blocks from the middle of a stack: from the beginning of `first` to that of the block after them.

    In a checkpointed stack, too: both beginnings are inside of a checkpointed block.
    """

    def __init__(self, tally: Tally, first: nn.Module, after: nn.Module, checkpointing: bool) -> None:
        self.tally, self.counts, self.checkpointing = tally, Counts(), checkpointing
        self._hooks = [
            block.register_forward_pre_hook(partial(self._begin, sign), with_kwargs=True)
            for block, sign in ((first, -1), (after, 1))
        ]

    def _begin(self, sign: int, block: nn.Module, args: Any, kwargs: Any) -> None:
        tally, copies = self.tally, sum(self.tally.copies.values())
        lasting = copies - (sum(tally.cached.values()) if self.checkpointing else 0)
        self.counts = self.counts.plus(Counts(tally.bytes - copies, lasting, flops=tally.flops), sign)
        hidden = args[0] if args else kwargs["hidden_states"]
        if hidden.requires_grad:  # in the backward pass its gradient comes last of its block
            hidden.register_hook(partial(self._backwards, -sign))
        if sign == 1:
            for hook in self._hooks:
                hook.remove()  # a checkpointed block begins again

    def _backwards(self, sign: int, gradient: Tensor) -> None:
        self.counts = self.counts.plus(Counts(flops=self.tally.flops), sign)


def prepare(model: LionForConditionalGeneration, one: Pass) -> None:
    """Freeze and set the model as a run of the pass does."""
    model.freeze(one.trained)
    if one.frozen != "fp32":  # quantised weights, too, are multiplied as bfloat16
        for layer in frozen_matrices(model, one.trained).values():
            layer.weight.data = layer.weight.data.to(torch.bfloat16)
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
    """The logits of stages 1 to 3, as `LanguageModelling.loss` has them."""
    inputs = dict(batch)
    labels = inputs.pop("labels")
    decoder_input_ids = model.language_model.prepare_decoder_input_ids_from_labels(labels)
    logits: Tensor = model(decoder_input_ids=decoder_input_ids, **inputs).logits
    return logits
