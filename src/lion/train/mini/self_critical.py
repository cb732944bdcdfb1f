"""Self-critical captions: the model's own captions, made likelier the better they name what is there.

A departure from the paper, which trains by the language-model loss alone; off unless a recipe gives it a weight
(`options.self_critical`). Cross entropy judges each word beside the true ones before it, so that a model may name an
object twice and lose little. Here captions are drawn from the model, and each is rewarded as a whole
(:func:`agreement`): one that names an object twice, or leaves one out, is made less likely than the others drawn for
the same picture.

Source: Rennie et al. 2017, "Self-Critical Sequence Training for Image Captioning"; the baseline is the mean reward of
the picture's other draws, as in Luo 2020, "A Better Variant of Self-Critical Sequence Training".

B captions of a batch, K drawn for each, M objects of a scene, T tokens of a caption, N input tokens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

from lion.data.sample import Sample
from lion.engine import EmbeddedPrompt, Scheduler, Settings, Weights
from lion.metrics.mentions import mentions
from lion.model import LionForConditionalGeneration, LionInputs, LionOutput, LionProcessor
from lion.nn.row_losses import cross_entropies, row_losses
from lion.prompts import Task
from lion.world import Scene
from lion.world.scoring import CATEGORY_FORMS, COLOUR_FORMS
from lion.world.vocabulary import CATEGORIES, COLOURS

DRAWN = 5
"""K: captions drawn for each picture."""
_EQUAL = 1e-6
"""Rewards nearer than this are the same, but for rounding."""
_NOTHING = -1
"""In the place of an object."""
_FORMS = {**CATEGORY_FORMS, **COLOUR_FORMS}

Named = tuple[str | None, str]
"""A colour, None where there is none, and a category."""


class SelfCriticalLoss:
    """An :class:`lion.train.language_modelling.AuxiliaryLoss`; of captions of drawn scenes."""

    targets = ("present",)

    def __init__(self, processor: LionProcessor) -> None:
        self.processor = processor

    def tensors(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Colour and category of each object as one number, (B, M); none for other tasks and pictures not drawn."""
        scenes: list[Scene | None] = [sample.meta.get("scene") for sample in samples]
        rows = [
            [COLOURS.index(one.colour) * len(CATEGORIES) + CATEGORIES.index(one.category) for one in scene.objects]
            if scene and sample.task == Task.CAPTION
            else []
            for sample, scene in zip(samples, scenes, strict=True)
        ]
        padded = pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], True, _NOTHING)
        return {"present": padded}

    def __call__(
        self, output: LionOutput, batch: Mapping[str, Tensor], model: LionForConditionalGeneration
    ) -> Tensor | None:
        """How much likelier the better captions should be, to be minimised; None for a batch without captions.

        Its gradient is that of the expected reward. Drawn with torch's random state, which a resumed run restores.
        """
        captions_B = (batch["present"] != _NOTHING).any(-1).nonzero().flatten()
        if not len(captions_B):
            return None
        inputs: dict[str, Any] = {name: batch[name][captions_B] for name in LionInputs.__annotations__ if name in batch}
        pixels = self.processor.image_processor.normalize(batch["pixels"][captions_B])
        ids, mask_BN = _draw(model, {"pixel_values": pixels, **inputs})
        rewards_BK = torch.tensor(self._rewards(ids, batch["present"][captions_B].tolist())).view(-1, DRAWN)
        others_BK = (rewards_BK.sum(1, keepdim=True) - rewards_BK) / (DRAWN - 1)
        gains_BK = rewards_BK - others_BK
        differ_B = gains_BK.abs().amax(1) > _EQUAL  # where all are worth the same, none should become likelier
        if not differ_B.any():
            return output.logits.sum() * 0

        chosen = [row for row, differs in zip(ids, differ_B.repeat_interleave(DRAWN).tolist(), strict=True) if differs]
        labels = pad_sequence([torch.tensor(row) for row in chosen], True, -100).to(pixels.device)
        gains_BK, differ_B = gains_BK[differ_B].to(pixels.device), differ_B.to(pixels.device)
        assert output.encoder_last_hidden_state is not None
        logits = model.language_model(
            encoder_outputs=BaseModelOutput(last_hidden_state=output.encoder_last_hidden_state[captions_B[differ_B]]),
            attention_mask=mask_BN[differ_B],
            decoder_input_ids=model.language_model.prepare_decoder_input_ids_from_labels(labels),
            task_levels=inputs["task_levels"][differ_B].repeat_interleave(DRAWN),
            use_cache=False,
        ).logits
        losses = row_losses(logits.flatten(0, 1), labels.flatten(), cross_entropies).view_as(labels).sum(1)
        return (gains_BK.flatten() * losses).sum() / len(ids)

    def _rewards(self, ids: Sequence[Sequence[int]], present: Sequence[Sequence[int]]) -> list[float]:
        """What each of K captions for each picture is worth."""
        texts = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        there = [objects for row in present for objects in [_objects(row)] * DRAWN]
        return [agreement(text, objects) for text, objects in zip(texts, there, strict=True)]


@torch.no_grad()
def _draw(model: LionForConditionalGeneration, inputs: dict[str, Any]) -> tuple[list[list[int]], Tensor]:
    """K captions for each row of inputs, those of a row together, as ids; and the mask of the encoder's input, (B, N).

    The language model decodes in the precision of its weights, as in validation.
    """
    inputs_BND, mask_BN, _ = model.embed(**inputs)
    weights = Weights(model.language_model)
    seeds = torch.randint(2**31, (len(inputs_BND),)).tolist()
    prompts = [
        EmbeddedPrompt(row[mask].to(weights.type), level, Settings(temperature=1.0, answers=DRAWN, seed=seed))
        for row, mask, level, seed in zip(
            inputs_BND, mask_BN.bool(), inputs["task_levels"].tolist(), seeds, strict=True
        )
    ]
    with torch.autocast(model.device.type, enabled=False):
        answers = Scheduler(weights, places=len(prompts)).run(prompts)
    return [one.ids for row in answers for one in row], mask_BN


def _objects(row: Sequence[int]) -> list[Named]:
    """A row of :meth:`SelfCriticalLoss.tensors` in words."""
    pairs = (divmod(number, len(CATEGORIES)) for number in row if number != _NOTHING)
    return [(COLOURS[colour], CATEGORIES[category]) for colour, category in pairs]


def agreement(caption: str, objects: Sequence[Named]) -> float:
    """How well a caption names the objects, 0 to 1: the mean of three.

    The F1 of categories, and of colours with categories, both of which count how often something is named, so that a
    repeated object costs precision and a missing one recall; and whether no category is named more often than it is
    there (1) or one is (0).
    """
    named: list[Named] = []
    colour = None
    for word in mentions(caption, _FORMS):
        if word in COLOUR_FORMS:
            colour = word
        else:
            named.append((colour, word))
            colour = None
    kinds, true_kinds = [category for _, category in named], [category for _, category in objects]
    clean = not Counter(kinds) - Counter(true_kinds)
    return (_f1(kinds, true_kinds) + _f1(named, objects) + clean) / 3


def _f1(found: Sequence[object], wanted: Sequence[object]) -> float:
    both = (Counter(found) & Counter(wanted)).total()
    return 2 * both / (len(found) + len(wanted)) if both else 0.0
