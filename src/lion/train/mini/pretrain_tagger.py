"""Training of lion-mini's tagger in the drawn world: which categories a picture shows.

RAM's tagging loss without its focusing (24 tags need none), and a MIL loss of the image tokens against the label
embeddings: from scratch, the tag head alone learns slowly which tokens to attend to (``docs/log.md``). B batch, N tags.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn

from lion.errors import LionError
from lion.metrics.average_precision import mean_average_precision
from lion.model import LionImageProcessor
from lion.tagging import RamTagger
from lion.tagging.configuration_ram import RamConfig
from lion.tagging.loss import asymmetric_loss
from lion.tagging.modeling_ram import RamModel
from lion.tagging.ram_tagger import normalize
from lion.train.mini.mil_loss import mil_logits, mil_loss, multi_hot
from lion.train.mini.world_batches import WorldBatches
from lion.train.objective import Batch, Loss, NamedParameters, Objective, OnBadSample
from lion.train.recipe.schema import Recipe
from lion.world import CATEGORIES, tags

_SCALE, _BIAS = 10.0, -6.0  # of the MIL logits: 64 tokens unlike a label give about -2, one equal to it gives +4


class PretrainTagger(Objective):
    """The objective of stage ``pretrain-tagger``."""

    terms = ("tagging", "matching")

    def __init__(self, recipe: Recipe) -> None:
        if recipe.validation is None:
            raise LionError("validation: pretrain-tagger sets its tags' thresholds on val scenes; say how many samples")
        self.recipe = recipe
        self.config = RamConfig.mini(CATEGORIES)
        self.config.domain = "drawn scenes"
        # LION's resize instead of RamTagger's: the picture cache is shared, and scores are alike (docs/log.md).
        self.worlds = WorldBatches(recipe, LionImageProcessor(self.config.vision_config.image_size))
        self.sources = self.worlds.sources

    def build(self) -> nn.Module:
        return RamModel(self.config)

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        return {"tagger": list(model.named_parameters())}

    def batch(self, step: int, shard: int = 0) -> Batch:
        scenes, pictures = self.worlds.batch(step, shard)
        tensors = {"pixel_values": normalize(pictures), "present": multi_hot([*map(tags, scenes)], CATEGORIES)}
        return Batch(tensors, [scene.id for scene in scenes])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        output, present_BN = model(batch.tensors["pixel_values"]), batch.tensors["present"]
        tagging = asymmetric_loss(output.logits.float(), present_BN, gamma_negative=0.0, margin=0.0)
        (tokens_BLE,) = output.hidden_states
        labels_NE = extract_model_from_parallel(model).get_buffer("label_embed")
        mil = mil_loss(mil_logits(tokens_BLE[:, 1:], labels_NE, _SCALE, _BIAS), present_BN)
        return Loss(tagging + mil, {"tagging": tagging.detach(), "matching": mil.detach()})

    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """Mean average precision on the val split."""
        scores_MN, present_MN = self._scores(model)
        return {"map": mean_average_precision(scores_MN.numpy(), present_MN.bool().numpy()).value}

    def _scores(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Scores of the val pictures' tags (M, N), and 1 for those present."""
        device = next(model.parameters()).device
        scenes, logits_MN = self.worlds.predictions(lambda pictures: model(normalize(pictures).to(device)).logits)
        return logits_MN.sigmoid(), multi_hot([*map(tags, scenes)], CATEGORIES)

    @torch.no_grad()
    def export(self, model: nn.Module, out: Path) -> None:
        """The tagger with thresholds calibrated on the val split."""
        assert isinstance(model, RamModel)
        tagger = RamTagger(model)
        tagger.calibrate(*self._scores(model.eval()))
        tagger.save_pretrained(out)
