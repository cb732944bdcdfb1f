"""Step 3, decode: prompts and visual features to token ids, or to the likelihoods of given candidates.

:class:`Decoder` is the seam. :class:`EngineDecoder` is what pipelines use; transformers' ``generate`` gives the same
ids more slowly and takes models that lie on several devices. B prompts, T prompt tokens, T'
instruction tokens, K candidates of a prompt.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from itertools import count
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from lion.engine import EmbeddedPrompt, Output, Scheduler, Settings, Weights, rank
from lion.engine.look import Queries, embed, queries_of
from lion.engine.weights import route
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor, VisualFeatures
from lion.nn.inference import Read
from lion.pipeline.box_only import BoxGrammar, BoxOnly
from lion.pipeline.confidence import LIKELIEST
from lion.pipeline.prepare import Prompt
from lion.pipeline.request import DecodingPreset
from lion.prompts import Task

_TICKETS = count(1)


class Decoder(Protocol):
    """Generates and ranks for prompts of any mix of tasks. Prompts are known by the tickets that they get."""

    def submit(self, prompts: Sequence[Prompt], vision: VisualFeatures, presets: Sequence[DecodingPreset]) -> list[int]:
        """Take B prompts; ``vision`` has B rows. Raises: LionError, and takes none, if one cannot be decoded."""

    def step(self) -> None:
        """Move all that is being decoded on: by a token, or to the end in a decoder that knows no tokens between."""

    def partial(self, ticket: int) -> list[Output]:
        """What is certain of the answers to a prompt so far; nothing where only the end decides, as with beams."""

    def outputs(self, ticket: int) -> list[Output] | None:
        """The answers, best first, handed out once; None while they are decoded. Raises: LionError if it failed."""

    def cancel(self, ticket: int) -> None:
        """Forget a prompt; one that has been handed out is none."""

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """For each prompt its K candidates' negative log-likelihoods in nats, summed over tokens, in their order."""


class EngineDecoder:
    """Decoding by :mod:`lion.engine`: prompts of all callers are decoded together, and join between two tokens.

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
        self._models: dict[str | None, tuple[LionForConditionalGeneration, Read[Queries]]] = {}
        self.add(None, model)
        self._kept: Scheduler | None = None
        self._answers: dict[int, list[Output] | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None, "_answers": {}}

    def add(self, name: str | None, model: LionForConditionalGeneration) -> None:
        """A model for requests that name these adapters; but for them its language model has the weights of `model`."""
        self._models[name] = model, queries_of(model)

    def remove(self, name: str) -> None:
        """Forget a model; memory is free once nobody decodes."""
        del self._models[name]
        if not self._kept:
            self._kept = None  # read anew, without it

    def submit(self, prompts: Sequence[Prompt], vision: VisualFeatures, presets: Sequence[DecodingPreset]) -> list[int]:
        """See :class:`Decoder`."""
        embedded = self._embedded(prompts, vision)
        settings = [settings_of(preset, self.processor) for preset in presets]
        for place, (prompt, own) in enumerate(zip(prompts, settings, strict=True)):
            if prompt.task is Task.REC:  # for the scores of boxes
                settings[place] = replace(own, top_logprobs=max(own.top_logprobs, LIKELIEST))
        scheduler = self._scheduler()
        given = zip(embedded, settings, strict=True)
        tickets = [
            scheduler.submit(EmbeddedPrompt(inputs_ND, level, how, self._adapters(scheduler, name)))
            for (inputs_ND, level, name), how in given
        ]
        self._answers |= dict.fromkeys(tickets)
        return tickets

    def step(self) -> None:
        """See :class:`Decoder`."""
        try:
            self._answers |= self._kept.step() if self._kept else {}
        except BaseException:  # half a step: nobody may go on from it
            self._kept, self._answers = None, {}
            raise

    def partial(self, ticket: int) -> list[Output]:
        """See :class:`Decoder`."""
        return self._kept.partial(ticket) if self._kept else []

    def outputs(self, ticket: int) -> list[Output] | None:
        """See :class:`Decoder`. Raises: RuntimeError where an error of another caller's ended the decoding."""
        if ticket not in self._answers:
            raise RuntimeError("the decoding of this prompt ended with an error in the decoder")
        return self._answers.pop(ticket) if self._answers[ticket] is not None else None

    def cancel(self, ticket: int) -> None:
        """See :class:`Decoder`."""
        self._answers.pop(ticket, None)
        if self._kept:
            self._kept.cancel(ticket)

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """See :class:`Decoder`."""
        scheduler = self._scheduler()
        inputs_ND, levels, names = zip(*self._embedded(prompts, vision), strict=True)
        routes = [route(self._adapters(scheduler, name), level) for name, level in zip(names, levels, strict=True)]
        return rank(scheduler.weights, inputs_ND, routes, [prompt.candidates or [] for prompt in prompts])

    def _embedded(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[tuple[Tensor, int, str | None]]:
        """What the encoder reads of each prompt, without padding, its task level and the name of its adapters; prompts
        with the same adapters run together."""
        places: dict[str | None, list[int]] = defaultdict(list)
        for place, prompt in enumerate(prompts):
            places[prompt.request.adapters].append(place)
        found: dict[int, tuple[Tensor, int, str | None]] = {}
        for name, own in places.items():
            model, queries = self._models[name]
            inputs = collate([prompts[place] for place in own], self.processor, self.model.device)
            seen = vision if len(places) == 1 else VisualFeatures.concatenate([vision.row(place) for place in own])
            rows = zip(own, embed(model, queries, seen, inputs), inputs["task_levels"].tolist(), strict=True)
            found |= {place: (inputs_ND, level, name) for place, inputs_ND, level in rows}
        return [found[place] for place in range(len(prompts))]

    def _adapters(self, scheduler: Scheduler, name: str | None) -> int:
        return scheduler.weights.adapters_of(self._models[name][0].language_model)

    def _scheduler(self) -> Scheduler:
        """Made when first needed, and anew once the model's weights have changed and nobody decodes with the old."""
        if self._kept is None or not (self._kept or self._kept.weights.is_of(self.model.language_model)):
            self._kept = Scheduler(Weights(self.model.language_model), self.places)
        return self._kept


def generate(
    decoder: Decoder, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset
) -> list[list[int]]:
    """The token ids of each prompt's best answer, special tokens included: a batch from its start to its end."""
    tickets = decoder.submit(prompts, vision, [preset] * len(prompts))
    found: dict[int, list[int]] = {}
    while len(found) < len(tickets):
        decoder.step()
        for ticket in set(tickets) - set(found):
            if outputs := decoder.outputs(ticket):
                found[ticket] = outputs[0].ids
    return [found[ticket] for ticket in tickets]


def settings_of(preset: DecodingPreset, processor: LionProcessor) -> Settings:
    """A preset in the engine's words. Raises: LionError where the tokenizer cannot write the boxes that it demands."""
    boxes = _box_grammar(processor.tokenizer, processor.box_decimals) if preset.box_only else None
    stop = partial(_holds, tokenizer=processor.tokenizer, texts=preset.stop) if preset.stop else None
    return Settings(**preset.as_kwargs(), **preset.sampling(), stop_rule=preset.stop_rule, grammar=boxes, stop=stop)


@lru_cache(maxsize=2)
def _box_grammar(tokenizer: PreTrainedTokenizerBase, decimals: int) -> BoxGrammar:
    """Kept, as it reads the whole vocabulary."""
    return BoxGrammar(tokenizer, decimals)


def _holds(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> bool:
    """Whether generated ids hold a text that ends them."""
    written = tokenizer.decode(ids, skip_special_tokens=True)
    return any(text in written for text in texts)


class BatchDecoder(ABC):
    """A decoder that knows no tokens between: what a decoder of one's own may be, with ``generate`` and ``score``."""

    @abstractmethod
    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[list[int]]:
        """The generated token ids of each of the B prompts, special tokens included; ``vision`` has B rows."""

    @abstractmethod
    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """See :class:`Decoder`."""

    @cached_property
    def _waiting(self) -> dict[int, tuple[Prompt, VisualFeatures, DecodingPreset]]:
        return {}

    @cached_property
    def _results(self) -> dict[int, list[Output] | LionError]:
        return {}

    def submit(self, prompts: Sequence[Prompt], vision: VisualFeatures, presets: Sequence[DecodingPreset]) -> list[int]:
        """See :class:`Decoder`."""
        tickets = [next(_TICKETS) for _ in prompts]
        rows = [vision.row(row) for row in range(len(prompts))]
        self._waiting.update(zip(tickets, zip(prompts, rows, presets, strict=True), strict=True))
        return tickets

    def step(self) -> None:
        """See :class:`Decoder`. Prompts with equal presets are one batch, whatever their tasks."""
        groups: dict[DecodingPreset, list[int]] = defaultdict(list)
        for ticket, (_, _, preset) in self._waiting.items():
            groups[preset].append(ticket)
        for preset, tickets in groups.items():
            prompts, rows, _ = zip(*(self._waiting.pop(ticket) for ticket in tickets), strict=True)
            try:
                found = self.generate(prompts, VisualFeatures.concatenate(rows), preset)
            except LionError as error:  # such as a tokenizer that cannot write boxes: the same for all of them
                self._results.update(dict.fromkeys(tickets, error))
            else:
                self._results.update((ticket, [Output(ids)]) for ticket, ids in zip(tickets, found, strict=True))

    def partial(self, ticket: int) -> list[Output]:
        """See :class:`Decoder`."""
        return []

    def outputs(self, ticket: int) -> list[Output] | None:
        """See :class:`Decoder`."""
        result = self._results.pop(ticket, None)
        if isinstance(result, LionError):
            raise result
        return result

    def cancel(self, ticket: int) -> None:
        """See :class:`Decoder`."""
        self._waiting.pop(ticket, None)
        self._results.pop(ticket, None)


class TransformersDecoder(BatchDecoder):
    """Decoding by transformers' ``generate``, whose beams always stop by its own rule, and ``score_candidates``."""

    def __init__(self, model: LionForConditionalGeneration, processor: LionProcessor) -> None:
        self.model, self.processor = model, processor

    def generate(self, prompts: Sequence[Prompt], vision: VisualFeatures, preset: DecodingPreset) -> list[list[int]]:
        """See :class:`BatchDecoder`. Raises: LionError for settings that only the engine has."""
        if preset.stop or preset.sampling() != DecodingPreset().sampling():
            raise LionError("temperature, several answers, log-probabilities and stop texts need the EngineDecoder")
        grammar = (self.processor.tokenizer, self.processor.box_decimals)
        processors = [BoxOnly(_box_grammar(*grammar))] if preset.box_only else []
        ids = self.model.generate(
            vision=vision,
            **collate(prompts, self.processor, self.model.device),
            do_sample=False,
            logits_processor=processors,
            **preset.as_kwargs(),
        )
        rows: list[list[int]] = ids.tolist()
        return rows

    def score(self, prompts: Sequence[Prompt], vision: VisualFeatures) -> list[list[float]]:
        """See :class:`Decoder`."""
        groups: dict[int, list[int]] = defaultdict(list)
        for place, prompt in enumerate(prompts):  # fewer candidates are padded, so less than a factor of 2 fewer
            groups[len(prompt.candidates or []).bit_length()].append(place)
        found: dict[int, list[float]] = {}
        for places in groups.values():
            own, seen = [prompts[place] for place in places], VisualFeatures.concatenate(map(vision.row, places))
            candidates = [prompt.candidates or [] for prompt in own]
            inputs = collate(own, self.processor, self.model.device)
            scores = self.model.score_candidates(vision=seen, **inputs, candidates=candidates)
            found |= {place: row.tolist() for place, row in zip(places, scores, strict=True)}
        return [found[place] for place in range(len(prompts))]


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
