"""What the model makes of a batch: visual features of a picture, visual tokens, and the output of ``forward``.

B batch, P patches + CLS, Q queries, V vision width, D language-model width.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling, Seq2SeqLMOutput


@dataclass
class VisualFeatures:
    """The part of the visual input that depends on the picture alone; computed once, used for any number of prompts.

    Attributes:
        last_BPV: deepest tap, un-normalised; the Q-Former reads it.
        aggregated_BPD: aggregator tokens in the language model's width; None where ``visual_inputs`` is ``qformer``.
    """

    last_BPV: Tensor
    aggregated_BPD: Tensor | None

    def __len__(self) -> int:
        return self.last_BPV.shape[0]

    def row(self, index: int) -> Self:
        """One picture of the batch, in memory of its own."""
        return self.map(lambda tensor: tensor[index : index + 1].clone())

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Apply ``change`` to each tensor (pick rows, move, repeat)."""
        aggregated = self.aggregated_BPD
        return type(self)(change(self.last_BPV), None if aggregated is None else change(aggregated))

    @classmethod
    def concatenate(cls, looks: Iterable[Self]) -> Self:
        """Join batches, in order."""
        looks = list(looks)
        aggregated = [look.aggregated_BPD for look in looks if look.aggregated_BPD is not None]
        return cls(torch.cat([look.last_BPV for look in looks]), torch.cat(aggregated) if aggregated else None)


@dataclass
class LionImageFeatures(BaseModelOutputWithPooling):
    """The visual tokens of a batch.

    Attributes:
        last_hidden_state: deepest tap of the Vision Encoder, un-normalised, (B, P, V).
        pooler_output: what the language model reads, ``[Q | P]`` or what ``visual_inputs`` leaves of it, (B, Q + P, D).
        qformer_hidden_states: the Q part, (B, Q, D); None where ``visual_inputs`` is ``aggregator``.
        aggregator_hidden_states: the P part, (B, P, D); None where ``visual_inputs`` is ``qformer``.
    """

    qformer_hidden_states: Tensor | None = None
    aggregator_hidden_states: Tensor | None = None


@dataclass
class LionOutput(Seq2SeqLMOutput):
    """The language model's output (loss, logits, ...) and the visual tokens as in :class:`LionImageFeatures`."""

    qformer_hidden_states: Tensor | None = None
    aggregator_hidden_states: Tensor | None = None
