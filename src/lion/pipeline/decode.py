"""Step 3, decode: prompts and visual features to token ids with their log-probabilities, or to the likelihoods of
given candidates.

:class:`Decoder` is the seam. :class:`EngineDecoder` is what pipelines use; transformers' ``generate`` gives the same
ids more slowly and takes models that lie on several devices. B prompts, T prompt tokens, T'
instruction tokens, K candidates of a prompt.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    DynamicCache,
    EncoderDecoderCache,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    RepetitionPenaltyLogitsProcessor,
)
from transformers.modeling_outputs import BaseModelOutput

from lion.engine import EmbeddedPrompt, Output, Scheduler, Settings, Weights
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor, VisualFeatures
from lion.pipeline.box_only import BoxGrammar, BoxOnly
from lion.pipeline.confidence import LIKELIEST
from lion.pipeline.prepare import Prompt
from lion.pipeline.request import DecodingPreset
from lion.prompts import Task


class Decoder(Protocol):
    """Generates and ranks for batches of prompts of any mix of tasks."""

    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[Output]:
        """What was generated for each of the B prompts; ``vision`` has B rows.

        Token ids, special tokens included, are enough. Their log-probabilities give an answer its confidence, and the
        likeliest tokens beside them give a box its score.
        """

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """For each prompt its K candidates' negative log-likelihoods in nats, summed over tokens, in their order."""

    def stream(self, prompt: Prompt, vision: VisualFeatures, preset: DecodingPreset) -> Generator[int, None, Output]:
        """The token ids of one prompt as they are found, greedily whatever the preset's beams, and in the end all that
        was generated; ``vision`` has 1 row."""


class EngineDecoder:
    """Decoding by :mod:`lion.engine`.

    Args:
        model: all of its language model on one device.
        processor: the model's.
        places: prompts that are decoded together.

    Raises:
        LionError: a language model that lies on several devices.
    """

    def __init__(self, model: LionForConditionalGeneration, processor: LionProcessor, places: int = 8) -> None:
        if len({parameter.device for parameter in model.language_model.parameters()}) > 1:
            raise LionError(
                "the engine decodes on one device, and this language model lies on several; pass "
                "decoder=TransformersDecoder(model, processor)"
            )
        self.model, self.processor, self.places = model, processor, places
        self._kept: Scheduler | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None}

    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[Output]:
        """See :class:`Decoder`."""
        return [best for best, *_ in self._scheduler().run(self._embedded(prompts, vision, preset))]

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """See :class:`Decoder`."""
        return score(self.model, self.processor, prompts, vision)

    def stream(self, prompt: Prompt, vision: VisualFeatures, preset: DecodingPreset) -> Generator[int, None, Output]:
        """See :class:`Decoder`. A step of the decoder runs for each id taken, in a place of its own."""
        own = Scheduler(self._scheduler().weights, places=1)
        return own.stream(*self._embedded([prompt], vision, replace(preset, num_beams=1)))

    def _embedded(
        self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset
    ) -> list[EmbeddedPrompt]:
        settings = settings_of(preset, self.processor)
        beside = {Task.REC: replace(settings, top_logprobs=LIKELIEST)}  # for the scores of boxes
        inputs = collate(prompts, self.processor, self.model.device)
        with torch.no_grad():
            inputs_BND, mask_BN, _ = self.model.embed(vision=vision, **inputs)
        return [
            EmbeddedPrompt(row[mask], level, beside.get(prompt.task, settings))
            for prompt, row, mask, level in zip(
                prompts, inputs_BND, mask_BN.bool(), inputs["task_levels"].tolist(), strict=True
            )
        ]

    def _scheduler(self) -> Scheduler:
        """Made when first needed, and anew once the model's weights have changed."""
        if self._kept is None or not self._kept.weights.is_of(self.model.language_model):
            self._kept = Scheduler(Weights(self.model.language_model), self.places)
        return self._kept


def settings_of(preset: DecodingPreset, processor: LionProcessor) -> Settings:
    """A preset in the engine's words. Raises: LionError where the tokenizer cannot write the boxes that it demands."""
    boxes = _box_grammar(processor.tokenizer, processor.box_decimals) if preset.box_only else None
    return Settings(**preset.as_kwargs(), stop_rule=preset.stop_rule, grammar=boxes)


@lru_cache(maxsize=2)
def _box_grammar(tokenizer: PreTrainedTokenizerBase, decimals: int) -> BoxGrammar:
    """Kept, as it reads the whole vocabulary."""
    return BoxGrammar(tokenizer, decimals)


class TransformersDecoder:
    """Decoding by transformers' ``generate``, whose beams always stop by its own rule, and ``score_candidates``.

    Its answers have no log-probabilities: of beams, ``generate`` gives those after penalties only.
    """

    def __init__(self, model: LionForConditionalGeneration, processor: LionProcessor) -> None:
        self.model, self.processor = model, processor

    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[Output]:
        """See :class:`Decoder`."""
        processors = [self._box_only()] if preset.box_only else []
        ids = self.model.generate(
            vision=vision,
            **collate(prompts, self.processor, self.model.device),
            do_sample=False,
            logits_processor=processors,
            **preset.as_kwargs(),
        )
        return [Output(row) for row in ids.tolist()]

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """See :class:`Decoder`."""
        return score(self.model, self.processor, prompts, vision)

    @torch.no_grad()
    def stream(self, prompt: Prompt, vision: VisualFeatures, preset: DecodingPreset) -> Generator[int, None, Output]:
        """See :class:`Decoder`; the ids of ``generate`` with one beam. A step of the decoder runs for each id taken."""
        inputs = collate([prompt], self.processor, self.model.device)
        lm, levels, end = self.model.language_model, inputs["task_levels"], self.processor.tokenizer.eos_token_id
        embeddings_BND, mask_BN, _ = self.model.embed(vision=vision, **inputs)
        encoded = lm.encoder(inputs_embeds=embeddings_BND, attention_mask=mask_BN, task_levels=levels)
        rules = LogitsProcessorList([self._box_only()] if preset.box_only else [])
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
        return Output(ids[0, 1:].tolist())

    def _box_only(self) -> BoxOnly:
        return BoxOnly(_box_grammar(self.processor.tokenizer, self.processor.box_decimals))


def score(
    model: LionForConditionalGeneration, processor: LionProcessor, prompts: Sequence[Prompt], vision: VisualFeatures
) -> list[list[float]]:
    """See :meth:`Decoder.score`."""
    candidates = [prompt.candidates or [] for prompt in prompts]
    inputs = collate(prompts, processor, model.device)
    return [row.tolist() for row in model.score_candidates(vision=vision, **inputs, candidates=candidates)]


def collate(prompts: Sequence[Prompt], processor: LionProcessor, device: torch.device) -> dict[str, Tensor]:
    """The prompts' inputs as one right-padded batch."""
    padding = {
        "input_ids": processor.tokenizer.pad_token_id,
        "qformer_input_ids": processor.qformer_tokenizer.pad_token_id,
    }
    batch = {"task_levels": torch.cat([prompt.inputs["task_levels"] for prompt in prompts])}
    for name in ("input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask"):
        rows = [prompt.inputs[name][0] for prompt in prompts]
        batch[name] = pad_sequence(rows, batch_first=True, padding_value=padding.get(name, 0))
    return {name: tensor.to(device) for name, tensor in batch.items()}
