"""Pretraining of lion-mini's language model, before it is frozen: instructions on scenes given without pictures.

It reads a scene as object tokens (``object_tokens.py``; a departure from the paper, named in the model card) among
tokens of the background, then the instruction, and generates the answer. Option ``scene_as: text`` gives the scene in
words instead. From answers alone it learns too slowly what an instruction refers to; hence the grounding heads
(``grounding_heads.py``). A run may go on with the language model of another (`init`): with new heads, and as if at the
end of the curriculum.

B batch, M object tokens, T text tokens, A answer tokens, D width.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lion.checkpoints.parts import load_part, save_part
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, TaskLevel
from lion.model.configuration_lion import LionConfig
from lion.model.language_model import LionLanguageModel
from lion.pipeline.request import DecodingPreset
from lion.random import stream
from lion.train.language_modelling import AnswerLoss
from lion.train.log import log_values
from lion.train.mini.curriculum import GROUNDING_TASKS, Curriculum, Example
from lion.train.mini.grounding_heads import GroundingHeads, GroundingTargets, States
from lion.train.mini.object_tokens import ObjectTokenizer, embed_object_tokens
from lion.train.objective import Batch, Loss, NamedParameters, Objective, OnBadSample
from lion.train.presets import preset_config, world_processor
from lion.train.recipe.schema import Recipe, WorldData
from lion.train.stages import PretrainLanguageOptions
from lion.world import scene
from lion.world.scoring import score_answers

_DECODING = DecodingPreset(num_beams=1, max_new_tokens=80)
_WAVES = 16
_POSITION_STD = 0.5
"""Of the initial relative position biases; with T5's 0.09, word order is not learnt for thousands of steps."""


def fourier(values: Tensor) -> Tensor:
    """Fourier features of numbers in [0, 1], (...,) to (..., 32): sines and cosines, from a quarter wave to 6 waves.

    The slowest, which alone separate left from right, weigh double.
    """
    frequencies = 2 ** torch.linspace(0, 4.5, _WAVES, device=values.device) * math.pi / 2
    weights = torch.where(torch.arange(_WAVES, device=values.device) < 4, 2.0, 1.0)
    angles = values[..., None] * frequencies
    return torch.cat([angles.sin() * weights, angles.cos() * weights], dim=-1)


class GroundedLanguageModel(nn.Module):
    """The language model without its adapters, and the grounding heads."""

    def __init__(self, config: LionConfig, coordinates: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.language_model = without_adapters(LionLanguageModel(config.text_config, config.adapter_bottleneck))
        width = config.text_config.d_model
        self.heads = GroundingHeads(width, tokenizer)
        self._initialise(coordinates, width)

    @torch.no_grad()
    def _initialise(self, coordinates: Sequence[int], width: int) -> None:
        """Neighbouring coordinates start with similar vectors, in embedding and output layer (``docs/log.md``)."""
        # Named, since torch.linspace may forget `with torch.device` once transformers has loaded a model.
        codes = fourier(torch.linspace(0, 1, len(coordinates), device=self.language_model.shared.weight.device))
        smooth = codes @ torch.randn(2 * _WAVES, width) * _WAVES**-0.5
        self.language_model.shared.weight[coordinates] = smooth
        head = self.language_model.lm_head.weight
        head.mul_(width**-0.5)  # T5's initialisation assumes a scaled output, which LION's is not
        head[coordinates] = smooth * width**-0.5
        for stack in (self.language_model.encoder, self.language_model.decoder):
            stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.normal_(std=_POSITION_STD)

    def embed(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Object tokens and text to what the encoder reads, (B, M + T, D), and its mask."""
        shared = self.language_model.shared
        objects_BMD, text_BTD = embed_object_tokens(batch["object_ids"], shared), shared(batch["input_ids"])
        if "blended_ids" in batch:
            others_BMD = embed_object_tokens(batch["blended_ids"], shared)
            objects_BMD = torch.lerp(others_BMD, objects_BMD, batch["shares"][..., None])
        # As inexact as a connector's tokens, to a degree that differs between scenes.
        strength_BM = batch["noise"] * torch.rand(len(batch["noise"]), device=objects_BMD.device)[:, None]
        objects_BMD = objects_BMD + strength_BM[..., None] * torch.randn_like(objects_BMD)
        mask = torch.cat([batch["object_mask"], batch["attention_mask"]], dim=1)
        return torch.cat([objects_BMD, text_BTD], dim=1), mask

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Answer logits (B, A, vocabulary) and the grounding heads' losses."""
        inputs_embeds, mask = self.embed(batch)
        output = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            labels=batch["labels"],
            decoder_attention_mask=(batch["labels"] != -100).long(),
            task_levels=_any_level(mask),
            output_hidden_states=True,
        )
        objects = batch["object_mask"].shape[1]
        states = States(
            objects_BMD=output.encoder_last_hidden_state[:, :objects],
            objects_after_second_BMD=output.encoder_hidden_states[2][:, :objects],
            text_after_first_BTD=output.encoder_hidden_states[1][:, objects:],
            answer_before_last_BAD=output.decoder_hidden_states[-2],
        )
        return output.logits, self.heads.losses(states, self.language_model.shared, batch)


def _grid_sides(config: LionConfig) -> tuple[int, int]:
    """Cells a side of the Q-Former's and of the aggregator's grid; of queries that form no square the next smaller."""
    return math.isqrt(config.num_query_tokens), config.vision_config.image_size // config.vision_config.patch_size


def without_adapters(language_model: LionLanguageModel) -> LionLanguageModel:
    """The same model, its adapters taken out: they would take a fifth of the time to add zero."""
    for stack in (language_model.encoder, language_model.decoder):
        for block in stack.block:
            block.mixture = _ZeroMixture()
    return language_model


class _ZeroMixture(nn.Module):
    """In place of a Mixture-of-Adapters; adds nothing."""

    def forward(self, hidden_BTD: Tensor, task_levels_B: Tensor) -> float:
        return 0.0


def _padded(rows: Sequence[Sequence[float]]) -> Tensor:
    """Rows of numbers as (B, M), 0 where a row is shorter."""
    longest = max((len(row) for row in rows), default=0)
    return torch.tensor([[*row, *[0.0] * (longest - len(row))] for row in rows]).reshape(len(rows), longest)


def _any_level(mask: Tensor) -> Tensor:
    """Any task level: without adapters it has no effect."""
    return torch.full((len(mask),), int(TaskLevel.IMAGE), device=mask.device)


class PretrainLanguage(Objective):
    """The objective of stage ``pretrain-t5``."""

    unused_parameters = True  # a head without a label in the batch
    decoding = str(_DECODING)

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.options, PretrainLanguageOptions)
        self.recipe, self.options, data = recipe, recipe.options, recipe.data[0]
        if len(recipe.data) != 1 or not isinstance(data, WorldData):
            raise LionError("data: the stage pretrain-t5 learns from exactly one world source")
        if self.options.curriculum_grounding and not GROUNDING_TASKS & data.tasks.keys():
            names = ", ".join(sorted(GROUNDING_TASKS))
            raise LionError(
                f"options.curriculum_grounding: needs one of {names} in data.0.tasks; add one or set it to 0"
            )
        self.processor = world_processor(recipe.model)
        self.config = preset_config(recipe.model, self.processor)
        queries, patches = _grid_sides(self.config)
        self.curriculum = Curriculum(data, self.options, self.processor.box_decimals, queries, patches)
        self.object_tokenizer = ObjectTokenizer(self.processor.tokenizer, self.processor.box_decimals)
        self.grounding_targets = GroundingTargets(self.processor.tokenizer)
        coordinates = torch.tensor(self.object_tokenizer.coordinates)
        self.answer_loss = AnswerLoss(coordinates, self.options.soft_coordinates)
        self.terms = (*sorted(data.tasks), "thing", "anchor", "side", "role", "current", "repeat", "rank", "naming")

    def build(self) -> nn.Module:
        model = GroundedLanguageModel(self.config, self.object_tokenizer.coordinates, self.processor.tokenizer)
        if folder := self.recipe.init_folders.get("language_model"):
            whole = LionForConditionalGeneration(self.config)
            load_part(whole, "language_model", folder)
            model.language_model = without_adapters(whole.language_model)
        return model

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        """Relative position biases apart, as they need a higher learning rate than weights."""
        parts: dict[str, list[tuple[str, nn.Parameter]]] = {"language_model": [], "positions": [], "heads": []}
        for name, parameter in model.named_parameters():
            part = "positions" if "relative_attention_bias" in name else name.split(".", 1)[0]
            parts[part].append((name, parameter))
        return parts

    def batch(self, step: int, shard: int = 0) -> Batch:
        """One task a batch, as text lengths of tasks differ by a factor: padding would be most of the work."""
        rng = stream(self.recipe.stage, self.recipe.seed, step, shard)
        done = 1.0 if self.recipe.init else step / self.recipe.steps
        difficulty, examples = self.curriculum.batch(done, self.recipe.batch_size, rng)
        return self._collate(examples, self.options.noise * difficulty.noise_level)

    def _collate(self, examples: Sequence[Example], noise: float) -> Batch:
        prompts = self.processor.tokenizer([example.text for example in examples], padding=True, return_tensors="pt")
        object_ids = self.object_tokenizer([[(token.words, token.box) for token in each.tokens] for each in examples])
        labels = self.processor.encode_answers([example.answer for example in examples])
        tensors = {
            "input_ids": prompts["input_ids"],
            "attention_mask": prompts["attention_mask"],
            "labels": labels,
            "object_ids": object_ids,
            "object_mask": (object_ids[..., 0] > 0).long(),
            "noise": noise * _padded([[token.noise for token in each.tokens] for each in examples]),
            **self.grounding_targets(examples, prompts["input_ids"], labels),
        }
        others = [[token.blended_with for token in each.tokens] for each in examples]
        if any(other for row in others for other in row):
            tensors["blended_ids"] = self.object_tokenizer(
                [[(other.words, other.box) if other else ((), None) for other in row] for row in others]
            )
            tensors["shares"] = _padded([[token.share for token in each.tokens] for each in examples])
        tasks = [example.task for example in examples]
        return Batch(tensors, [f"{example.scene.id}:{example.task}" for example in examples], tasks)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Cross entropy of the answers plus the grounding heads' losses."""
        logits_BAW, grounding = model(batch.tensors)
        answers = self.answer_loss(logits_BAW, batch)
        total = answers.total + sum(grounding.values())
        return Loss(total, {**answers.per_task, **{name: loss.detach() for name, loss in grounding.items()}})

    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """Scores of generated answers on scenes of the val split."""
        assert isinstance(model, GroundedLanguageModel) and self.recipe.validation is not None
        scores: dict[str, float] = {}
        device = next(model.parameters()).device
        shown = [scene("val", index) for index in range(self.recipe.validation.samples)]
        for task in self.curriculum.tasks:
            rng = stream("validation", task)
            examples = [self.curriculum.validation_example(each, task, rng) for each in shown]
            texts: list[str] = []
            for start in range(0, len(examples), 100):
                batch = self._collate(examples[start : start + 100], noise=0.0).to(device)
                inputs_embeds, mask = model.embed(batch.tensors)
                ids = model.language_model.generate(
                    inputs_embeds=inputs_embeds,
                    attention_mask=mask,
                    task_levels=_any_level(mask),
                    **_DECODING.as_kwargs(),
                )
                texts += self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
            answers, metas = [example.answer for example in examples], [example.meta for example in examples]
            scores |= log_values(task, score_answers(task, texts, answers, metas, shown))
        return scores

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, GroundedLanguageModel)
        save_part(model.language_model, self.config, "language_model", out)
        self.processor.save_pretrained(out)
