"""Step 3, decode: prompts and visual features to token ids, or to the likelihoods of given candidates.

:class:`Decoder` is the seam: transformers' ``generate`` is one implementation. B prompts, T prompt tokens, T'
instruction tokens, K candidates of a prompt.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache, LogitsProcessorList, RepetitionPenaltyLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

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

    def stream(self, prompt: Prompt, vision: VisualFeatures, preset: DecodingPreset) -> Iterator[int]:
        """The token ids of one prompt as they are found, greedily whatever the preset's beams; ``vision`` has 1 row."""


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

    @torch.no_grad()
    def stream(self, prompt: Prompt, vision: VisualFeatures, preset: DecodingPreset) -> Iterator[int]:
        """See :class:`Decoder`; the ids of ``generate`` with one beam. A step of the decoder runs for each id taken."""
        inputs = self._collate([prompt])
        lm, levels, end = self.model.language_model, inputs["task_levels"], self.processor.tokenizer.eos_token_id
        embeddings_BND, mask_BN, _ = self.model.embed(vision=vision, **inputs)
        encoded = lm.encoder(inputs_embeds=embeddings_BND, attention_mask=mask_BN, task_levels=levels)
        rules = LogitsProcessorList([self._box_only] if preset.box_only else [])
        if preset.repetition_penalty != 1:
            rules.insert(0, RepetitionPenaltyLogitsProcessor(preset.repetition_penalty))
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        ids = torch.full((1, 1), lm.config.decoder_start_token_id, device=mask_BN.device)
        while ids[0, -1] != end and ids.shape[1] <= preset.max_new_tokens:
            output = lm(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded.last_hidden_state),
                attention_mask=mask_BN,
                decoder_input_ids=ids[:, -1:],
                past_key_values=cache,
                use_cache=True,
                task_levels=levels,
            )
            scores = rules(ids, output.logits[:, -1].float().to(ids.device))
            ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], dim=1)
            yield int(ids[0, -1])

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
