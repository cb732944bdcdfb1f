"""Step 3, decode: prompts and visual features to token ids, or to the likelihoods of given candidates.

:class:`Decoder` is the seam: transformers' ``generate`` is one implementation. B prompts, T prompt tokens, T'
instruction tokens, K candidates of a prompt.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lion.model import LionForConditionalGeneration, LionProcessor, VisualFeatures
from lion.pipeline.box_only import BoxOnly
from lion.pipeline.prepare import Prompt
from lion.pipeline.request import DecodingPreset


class Decoder(Protocol):
    """Generates and ranks for batches of prompts of any mix of tasks."""

    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[list[int]]:
        """The generated token ids of each of the B prompts, special tokens included; ``vision`` has B rows."""

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """For each prompt its K candidates' negative log-likelihoods in nats, summed over tokens, in their order."""


class TransformersDecoder:
    """Decoding by transformers' ``generate`` and the model's ``score_candidates``."""

    def __init__(self, model: LionForConditionalGeneration, processor: LionProcessor) -> None:
        self.model, self.processor = model, processor

    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[list[int]]:
        """See :class:`Decoder`."""
        processors = [self._box_only] if preset.box_only else []
        ids = self.model.generate(
            vision=vision,
            **self._collate(prompts),
            do_sample=False,
            logits_processor=processors,
            **preset.as_kwargs(),
        )
        rows: list[list[int]] = ids.tolist()
        return rows

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """See :class:`Decoder`."""
        candidates = [prompt.candidates or [] for prompt in prompts]
        scores = self.model.score_candidates(vision=vision, **self._collate(prompts), candidates=candidates)
        return [row.tolist() for row in scores]

    def _collate(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """The prompts' inputs as one right-padded batch on the model's device."""
        padding = {
            "input_ids": self.processor.tokenizer.pad_token_id,
            "qformer_input_ids": self.processor.qformer_tokenizer.pad_token_id,
        }
        batch = {"task_levels": torch.cat([prompt.inputs["task_levels"] for prompt in prompts])}
        for name in ("input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask"):
            rows = [prompt.inputs[name][0] for prompt in prompts]
            batch[name] = pad_sequence(rows, batch_first=True, padding_value=padding.get(name, 0))
        return {name: tensor.to(self.model.device) for name, tensor in batch.items()}

    @cached_property
    def _box_only(self) -> BoxOnly:
        """Made when first needed: it reads the whole vocabulary."""
        return BoxOnly(self.processor.tokenizer, self.processor.box_decimals)
