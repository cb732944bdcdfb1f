"""Pretraining of lion-mini's Vision Encoder on coarse image-text pairs: what a picture shows, not where.

The text of a picture lists its objects ("small red cat", "large blue bus"). Each such phrase, and its shorter forms
"red cat" and "cat", is scored against all patches with a MIL loss (``mil_loss.py``, sigmoid as in SigLIP), without
boxes, masks or order: the same supervision as the paper's ViT had.

Combinations that no training picture shows are masked, not negative: with "boat" labelled 0 for every red object the
encoder learns that red objects are no boats, and does not recognise objects of unseen colours (``docs/log.md``).

B batch, P patches, V vision width, W phrases.
"""

import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from lion.checkpoints.parts import save_part
from lion.metrics.average_precision import average_precision
from lion.model.configuration_lion import LionConfig
from lion.model.vision_encoder import VisionEncoder, sincos_positions
from lion.train.mini.mil_loss import mil_logits, mil_loss, multi_hot
from lion.train.mini.world_batches import WorldBatches
from lion.train.objective import Batch, Loss, NamedParameters, Objective, OnBadSample
from lion.train.presets import preset_config, world_processor
from lion.train.recipe.schema import Recipe
from lion.world import CATEGORIES, COLOURS, SIZES, Scene
from lion.world.vocabulary import held_out_pair

Phrase = tuple[str, ...]
_POSITION_SCALE = 6.0
"""Of the initial position codes: at 1 the encoder forgets where things are as it learns phrases (``docs/log.md``)."""


def phrases_of(scene: Scene) -> set[Phrase]:
    """Every phrase that is true of a scene: category, colour + category, size + colour + category."""
    words = [(one.size, one.colour, one.category) for one in scene.objects]
    return {phrase[start:] for phrase in words for start in range(3)}


def known_phrases() -> list[Phrase]:
    """Every phrase that the train split can show; held-out colour-category pairs are no labels at all."""
    phrases: list[Phrase] = [(category,) for category in CATEGORIES]
    for category, colour in product(CATEGORIES, COLOURS):
        if not held_out_pair(category, colour):
            phrases += [(colour, category), *((size, colour, category) for size in SIZES)]
    return phrases


def unknown_phrases(scene: Scene) -> set[Phrase]:
    """Phrases without a label: absent categories that no training picture shows in a colour that the scene has."""
    present = {one.category for one in scene.objects}
    colours = {one.colour for one in scene.objects}
    return {(c,) for c in CATEGORIES if c not in present and any(held_out_pair(c, colour) for colour in colours)}


class PhraseHeads(nn.Module):
    """Scores patches against phrases; used in pretraining only."""

    phrases_W3: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        words = ("", *SIZES, *COLOURS, *CATEGORIES)
        ids = {word: index for index, word in enumerate(words)}
        padded = [(*("",) * (3 - len(phrase)), *phrase) for phrase in known_phrases()]
        self.norm = nn.LayerNorm(width)
        self.patches = nn.Linear(width, width)
        self.words = nn.Embedding(len(words), width, padding_idx=0)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-6.0))
        self.register_buffer("phrases_W3", torch.tensor([[ids[word] for word in phrase] for phrase in padded]))

    def forward(self, patches_BPV: Tensor) -> Tensor:
        """Patches without CLS, (B, P - 1, V), to one logit per phrase, (B, W)."""
        phrases_WV = self.words(self.phrases_W3).sum(dim=1)
        return mil_logits(self.patches(self.norm(patches_BPV)), phrases_WV, self.log_scale.exp(), self.bias)


class PhraseClassifier(nn.Module):
    """The Vision Encoder, its position embeddings initialised as 2-D sincos codes, and the heads."""

    def __init__(self, config: LionConfig) -> None:
        super().__init__()
        vision = config.vision_config
        self.vision_encoder = VisionEncoder(vision, [vision.num_hidden_layers], config.patch_stem)
        positions = _POSITION_SCALE * sincos_positions(vision.image_size // vision.patch_size, vision.hidden_size)
        cls = torch.zeros(1, vision.hidden_size)
        self.vision_encoder.vit.embeddings.position_embedding = nn.Parameter(torch.cat([cls, positions])[None])
        self.heads = PhraseHeads(vision.hidden_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(B, 3, S, S) to one logit per phrase, (B, W)."""
        (last_BPV,) = self.vision_encoder(pixel_values)
        logits: Tensor = self.heads(last_BPV[:, 1:])
        return logits


class PretrainVision(Objective):
    """The objective of stage ``pretrain-vit``."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        processor = world_processor(recipe.model)
        self.config = preset_config(recipe.model, processor)
        self.image_processor = processor.image_processor
        self.worlds = WorldBatches(recipe, self.image_processor)
        self.sources = self.worlds.sources
        self.phrases = known_phrases()

    def build(self) -> nn.Module:
        return PhraseClassifier(self.config)

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        return {
            part: [(name, p) for name, p in model.named_parameters() if name.startswith(f"{part}.")]
            for part in ("vision_encoder", "heads")
        }

    def batch(self, step: int, shard: int = 0) -> Batch:
        scenes, pictures = self.worlds.batch(step, shard)
        tensors = {
            "pixel_values": self.image_processor.normalize(pictures),
            "labels": multi_hot([*map(phrases_of, scenes)], self.phrases),
            "mask": 1 - multi_hot([*map(unknown_phrases, scenes)], self.phrases),
        }
        return Batch(tensors, [scene.id for scene in scenes])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        logits_BW = model(batch.tensors["pixel_values"])
        return Loss(mil_loss(logits_BW, batch.tensors["labels"], batch.tensors["mask"]) / 10)

    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """Average precision over all (picture, phrase) pairs of the val split, by length of the phrase."""
        device = next(model.parameters()).device
        normalize = self.image_processor.normalize
        scenes, score_NW = self.worlds.predictions(lambda pictures: model(normalize(pictures).to(device)))
        truth_NW = multi_hot([*map(phrases_of, scenes)], self.phrases)
        lengths = torch.tensor([len(phrase) for phrase in self.phrases])
        scores = {}
        for length, name in enumerate(("category_ap", "colour_category_ap", "size_colour_category_ap"), start=1):
            chosen = lengths == length
            pairs = (score_NW[:, chosen].reshape(-1, 1).numpy(), truth_NW[:, chosen].reshape(-1, 1).bool().numpy())
            scores[name] = round(float(average_precision(*pairs)[0]), 4)
        return scores

    def export(self, model: nn.Module, out: Path) -> None:
        assert isinstance(model, PhraseClassifier)
        save_part(model.vision_encoder, self.config, "vision_encoder", out)
