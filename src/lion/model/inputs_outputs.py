"""What goes into LION's methods and comes out of them: a batch, a picture's features, the visual tokens.

B batch, P patches + CLS, Q queries, T prompt tokens, T' instruction tokens, V vision width, D language-model width.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self, TypedDict

import torch
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPooling, Seq2SeqLMOutput


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
        """Apply ``change`` to each tensor, (B, P, V) and (B, P, D) (pick rows, move, repeat)."""
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


class LionInputs(TypedDict, total=False):
    """A batch as :class:`LionProcessor` makes it, read by ``forward``, ``generate`` and ``score_candidates`` alike."""

    pixel_values: Tensor | None
    """(B, 3, S, S); or give ``vision``."""
    vision: VisualFeatures | None
    """The result of :meth:`LionForConditionalGeneration.look`, instead of ``pixel_values``."""
    input_ids: Tensor | None
    attention_mask: Tensor | None
    """Tag prompt + instruction, right-padded (required), and its mask, both (B, T); no mask: no padding."""
    qformer_input_ids: Tensor | None
    qformer_attention_mask: Tensor | None
    """The bare instruction in BERT's tokens, (B, T'), and its mask; unread if ``visual_inputs`` is ``aggregator``."""
    task_levels: Tensor | None
    """(B,) values of :class:`~lion.model.mixture_of_adapters.TaskLevel`, which a batch may mix; required."""


class LanguageModelInputs(TypedDict, total=False):
    """What ``forward`` hands on to the language model as T5 has it."""

    inputs_embeds: Tensor | None
    """Always None, which PEFT gives: they are made of pictures and prompt."""
    decoder_input_ids: Tensor | None
    decoder_inputs_embeds: Tensor | None
    encoder_outputs: BaseModelOutput | None
    past_key_values: Cache | None
    use_cache: bool | None
    output_attentions: bool | None
    output_hidden_states: bool | None
