"""Pretraining of lion-mini's language model, before it is frozen: answering about scenes it is told, not shown.

FLAN-T5 comes to LION able to read; a T5 of two million parameters has to be taught first. It reads a scene as symbols
(a departure from the paper, named in the model card; ``symbols.py``): each thing is one or more vectors, between
fillers that only name the scenery. The instruction follows, and the answer is text. Option ``scene_as: text`` tells the
scene in words instead, the paper's premise to the letter.

Saying *some* box is easy and saying that of the thing asked for is not: left to the answers alone, the model sits for
thousands of steps without a notion of who is meant. So heads on the encoder, thrown away afterwards, also have to say
what an instruction is about (``meant.py``).

B batch, M symbols, T text tokens, A answer tokens, D width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lion.checkpoints.parts import save_part
from lion.data.sample import BadSample
from lion.errors import LionError
from lion.model import TaskLevel
from lion.model.configuration_lion import LionConfig
from lion.model.language_model import LionLanguageModel
from lion.pipeline.decoding import DecodingPreset
from lion.random import stream
from lion.train.answer_loss import AnswerLoss
from lion.train.log import log_values
from lion.train.mini.curriculum import FINDING, Lessons, Row
from lion.train.mini.grounding_heads import Meant, MeantTargets
from lion.train.mini.object_tokens import Symbols, embed_symbols
from lion.train.mini.presets import preset_config, world_processor
from lion.train.objective import Batch, Loss, NamedParameters, Objective
from lion.train.recipe import Recipe, WorldData
from lion.train.stages import PretrainLanguageOptions
from lion.world import scene
from lion.world.scoring import score_answers

_DECODING = DecodingPreset(num_beams=1, max_new_tokens=80)
_WAVES = 16
_OCTAVES = 4.5
_SLOW = 4
_POSITION_SPREAD = 0.5
"""Standard deviation at which relative positions start. From T5's 0.09 order is not learnt for thousands of steps."""


def fourier(values: Tensor) -> Tensor:
    """Numbers in [0, 1], (...,), to smooth codes (..., 32): sines and cosines, from a quarter wave to 6 waves.

    The slowest, which alone say left from right at a glance, weigh double.
    """
    frequencies = 2 ** torch.linspace(0, _OCTAVES, _WAVES) * math.pi / 2
    weights = torch.where(torch.arange(_WAVES) < _SLOW, 2.0, 1.0)
    angles = values[..., None] * frequencies
    return torch.cat([angles.sin() * weights, angles.cos() * weights], dim=-1)


class SymbolReader(nn.Module):
    """The language model without its adapters, and under ``heads`` what says who is meant and is thrown away."""

    def __init__(self, config: LionConfig, symbols: Symbols, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.language_model = LionLanguageModel(config.text_config, config.adapter_bottleneck)
        width = config.text_config.d_model
        self.heads = Meant(width, tokenizer)
        self._start(torch.tensor(symbols.coordinates), width)

    @torch.no_grad()
    def _start(self, coordinates: Tensor, width: int) -> None:
        """Neighbouring coordinates start as neighbours, in the embedding and in the output layer (``docs/log.md``)."""
        codes = fourier(torch.linspace(0, 1, len(coordinates)))
        smooth = codes @ torch.randn(2 * _WAVES, width) * _WAVES**-0.5
        self.language_model.shared.weight[coordinates] = smooth
        head = self.language_model.lm_head.weight
        head.mul_(width**-0.5)  # T5's own start is made for a scaled output, which LION's is not
        head[coordinates] = smooth * width**-0.5
        for stack in (self.language_model.encoder, self.language_model.decoder):
            stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.normal_(std=_POSITION_SPREAD)
            for block in stack.block:
                block.mixture = _NoMixture()  # a fifth of the time, to add zero

    def embed(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Symbols and text to what the encoder reads, (B, M + T, D), and its mask."""
        shared = self.language_model.shared
        symbols_BMD, text_BTD = embed_symbols(batch["symbol_ids"], shared), shared(batch["input_ids"])
        # As much as a connector's tokens may miss by, more for some scenes than for others.
        strength_B = batch["noise"] * torch.rand_like(batch["noise"])
        symbols_BMD = symbols_BMD + strength_B[:, None, None] * torch.randn_like(symbols_BMD)
        return (
            torch.cat([symbols_BMD, text_BTD], dim=1),
            torch.cat([batch["symbol_mask"], batch["attention_mask"]], dim=1),
        )

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Answer logits (B, A, vocabulary) and the heads' losses."""
        inputs_embeds, mask = self.embed(batch)
        output = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            labels=batch["labels"],
            decoder_attention_mask=(batch["labels"] != -100).long(),
            task_levels=_any_level(mask),
            output_hidden_states=True,
        )
        symbols = batch["symbol_mask"].shape[1]
        encoded_BMD = output.encoder_last_hidden_state[:, :symbols]
        first_BTD = output.encoder_hidden_states[1][:, symbols:]
        return output.logits, self.heads.losses(encoded_BMD, first_BTD, self.language_model.shared, batch)


class _NoMixture(nn.Module):
    """Stands where a mixture will be, and adds nothing."""

    def forward(self, hidden_BTD: Tensor, task_levels_B: Tensor) -> float:
        return 0.0


def _any_level(mask: Tensor) -> Tensor:
    """There are no adapters yet, so the level does not matter here."""
    return torch.full((len(mask),), int(TaskLevel.IMAGE), device=mask.device)


class PretrainLanguage(Objective):
    """The objective of stage ``pretrain-t5``."""

    unused_parameters = True  # the heads of what a batch does not ask for
    decoding = str(_DECODING)

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.options, PretrainLanguageOptions)
        self.recipe, self.options = recipe, recipe.options
        self.processor = world_processor(recipe.model)
        self.config = preset_config(recipe.model, self.processor)
        self.symbols = Symbols(self.processor.tokenizer, self.processor.box_decimals)
        self.meant_targets = MeantTargets(self.processor.tokenizer)
        self.terms = (*sorted(recipe.data[0].tasks), "thing", "anchor", "side", "role")
        self.answer_loss = AnswerLoss(torch.tensor(self.symbols.coordinates), self.options.soft_coordinates)
        if len(recipe.data) != 1 or not isinstance(recipe.data[0], WorldData) or not recipe.data[0].tasks:
            raise LionError("data: the stage pretrain-t5 learns from exactly one world source, with weights of tasks")
        if self.options.curriculum_grounding and not set(recipe.data[0].tasks) & FINDING:
            raise LionError(
                f"options.curriculum_grounding: only {', '.join(sorted(FINDING))} find things; set it to 0 or add one"
            )
        self.lessons = Lessons(recipe.data[0], self.options, self.processor.box_decimals)

    def build(self) -> nn.Module:
        return SymbolReader(self.config, self.symbols, self.processor.tokenizer)

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        """Relative positions apart: a table of plain numbers has much further to go than a weight."""
        parts: dict[str, list[tuple[str, nn.Parameter]]] = {"language_model": [], "positions": [], "heads": []}
        for name, parameter in model.named_parameters():
            part = "positions" if "relative_attention_bias" in name else name.split(".", 1)[0]
            parts[part].append((name, parameter))
        return parts

    def batch(self, step: int, shard: int = 0) -> Batch:
        """One kind of lesson a batch: texts and scenes differ in length several times, and padding would be most of
        the work."""
        rng = stream(self.recipe.stage, self.recipe.seed, step, shard)
        lesson, rows = self.lessons.rows(step / self.recipe.steps, self.recipe.batch_size, rng)
        return self._collate(rows, self.options.noise * lesson.mess)

    def _collate(self, rows: Sequence[Row], noise: float) -> Batch:
        prompts = self.processor.tokenizer([row.text for row in rows], padding=True, return_tensors="pt")
        answers = self.processor.encode_answers([row.answer for row in rows])
        symbol_ids = self.symbols.ids([[(symbol.words, symbol.box) for symbol in row.symbols] for row in rows])
        tensors = {
            "input_ids": prompts["input_ids"], "attention_mask": prompts["attention_mask"], "labels": answers,
            "symbol_ids": symbol_ids, "symbol_mask": (symbol_ids[..., 0] > 0).long(),
            "noise": torch.full((len(rows),), noise), **self.meant_targets(rows, prompts["input_ids"]),
        }  # fmt: skip
        return Batch(tensors, [f"{row.scene.id}:{row.task}" for row in rows], [row.task for row in rows])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        logits_BAW, meant = model(batch.tensors)
        answers = self.answer_loss(logits_BAW, batch)
        total = answers.total + sum(meant.values())
        return Loss(total, {**answers.per_task, **{name: loss.detach() for name, loss in meant.items()}})

    def validate(self, model: nn.Module, skip: Callable[[BadSample], None]) -> dict[str, float]:
        """Scores of generated answers about told scenes of the val split."""
        assert isinstance(model, SymbolReader) and self.recipe.validation is not None
        scores: dict[str, float] = {}
        device = next(model.parameters()).device
        for task in self.lessons.tasks:
            rng = stream("validation", task)
            shown = [scene("val", index) for index in range(self.recipe.validation.samples)]
            rows = [self.lessons.question(each, task, rng) for each in shown]
            texts: list[str] = []
            for start in range(0, len(rows), 100):
                batch = self._collate(rows[start : start + 100], noise=0.0).to(device)
                inputs_embeds, mask = model.embed(batch.tensors)
                ids = model.language_model.generate(
                    inputs_embeds=inputs_embeds,
                    attention_mask=mask,
                    task_levels=_any_level(mask),
                    **_DECODING.as_kwargs(),
                )
                texts += self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
            answers, metas = [row.answer for row in rows], [row.meta for row in rows]
            scores |= log_values(task, score_answers(task, texts, answers, metas, shown))
        return scores

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, SymbolReader)
        save_part(model.language_model, self.config, "language_model", out)
        self.processor.save_pretrained(out)
