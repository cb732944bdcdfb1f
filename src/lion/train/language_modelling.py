"""The objective of stages 1 to 3: generate the answer to an instruction about a picture (paper, section 3.3).

The stages differ in data, visual inputs and trainable components, which the stage table holds.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn

from lion.data.augment import Augment
from lion.data.collate import collate
from lion.data.mixture import Mixture
from lion.data.record_source import RecordSource
from lion.data.sample import BadSample, Source
from lion.data.sources import jsonl, read
from lion.data.sources.world import WorldSource
from lion.model import LionForConditionalGeneration, LionOutput
from lion.tagging import TagFile
from lion.train.answer_loss import AnswerLoss, coordinate_ids
from lion.train.assembly import build_model, find_processor
from lion.train.objective import Batch, Loss, NamedParameters, Objective, OnBadSample
from lion.train.recipe.schema import Data, JsonlData, Recipe, WorldData
from lion.train.stages import AUXILIARY_LOSSES, LanguageModellingOptions, resolve
from lion.train.validation import DECODING, Validator


class AuxiliaryLoss(Protocol):
    """A loss beside the language-model loss, named in the stage table; constructed with the processor."""

    targets: Sequence[str]
    """Names of the tensors that it adds to a batch."""

    def tensors(self, metas: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Those tensors for samples of these metas."""

    def __call__(self, output: LionOutput, batch: Mapping[str, Tensor], embedding: nn.Embedding) -> Tensor:
        """The loss of the model's output; `embedding` is the language model's."""


class LanguageModelling(Objective):
    """Stages 1 to 3."""

    decoding = str(DECODING)

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.options, LanguageModellingOptions)
        self.recipe, self.processor = recipe, find_processor(recipe)
        width, decimals = recipe.options.soft_coordinates, self.processor.box_decimals
        self.answer_loss = AnswerLoss(coordinate_ids(self.processor.tokenizer, decimals) if width else None, width)
        self.auxiliary: dict[str, tuple[float, AuxiliaryLoss]] = {
            name: (weight, resolve(reference)(self.processor))
            for name, reference in AUXILIARY_LOSSES.items()
            if (weight := getattr(recipe.options, name))
        }
        self.terms = (*sorted(recipe.row.tasks), *self.auxiliary)
        train = [(self._source(data), data.weight) for data in recipe.data]
        self.mixture = Mixture(train, (recipe.stage, recipe.seed), recipe.homogeneous_batches)
        held_out = [(self._source(data), data.weight) for data in recipe.validation.data] if recipe.validation else []
        self.sources = [source for source, _ in [*train, *held_out]]
        if recipe.validation:
            worlds = [data for data in recipe.data if isinstance(data, WorldData)]
            tasks = sorted({task for world in worlds for task in world.tasks})
            tags = worlds[0].tags if worlds else None
            self.validator = Validator(self.processor, recipe.validation.samples, tasks, tags, held_out)

    def _source(self, data: Data) -> Source:
        decimals = self.processor.box_decimals
        if isinstance(data, WorldData):
            return WorldSource(
                self.processor.image_processor,
                "train",
                data.scenes,
                data.tasks,
                pixels=data.pixels,
                tags=data.tags,
                decimals=decimals,
                word_dropout=data.word_dropout,
            )
        if isinstance(data, JsonlData):
            dataset = jsonl.read(data.path, skip_bad=data.skip_bad)
        else:
            dataset = read(data.source, data.folder, data.split, skip_bad=data.skip_bad)
        tagger = TagFile.read(data.tags_from) if data.tags_from else None
        augment = Augment(data.flip, data.crop)
        return RecordSource(dataset, data.tasks, decimals, augment, tagger, among=self.recipe.row.tasks)

    def skipped(self) -> list[BadSample]:
        """Bad records of all datasets, held-out ones included."""
        datasets = [source.dataset for source in self.sources if isinstance(source, RecordSource)]
        return [BadSample(f"{each.name}:{ident}", reason) for each in datasets for ident, reason in each.skipped]

    def build(self) -> nn.Module:
        return build_model(self.recipe, self.processor)

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        assert isinstance(model, LionForConditionalGeneration)
        return {part: list(model.component_parameters(part)) for part in self.recipe.row.trainable}

    def batch(self, step: int, shard: int = 0) -> Batch:
        samples, bad = self.mixture.batch(step, shard, self.recipe.batch_size)
        tensors = collate(samples, self.processor)
        for _, auxiliary in self.auxiliary.values():
            tensors |= auxiliary.tensors([sample.meta for sample in samples])
        return Batch(tensors, [sample.id for sample in samples], [sample.task for sample in samples], bad)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Cross entropy of the answers, and the auxiliary losses that the recipe gives a weight."""
        targets = {name for _, auxiliary in self.auxiliary.values() for name in auxiliary.targets}
        inputs = {name: tensor for name, tensor in batch.tensors.items() if name not in targets}
        labels, pixels = inputs.pop("labels"), inputs.pop("pixels")
        bare = extract_model_from_parallel(model)
        output = model(
            pixel_values=self.processor.image_processor.normalize(pixels),
            # Rather than labels, from which the model would compute a loss of its own.
            decoder_input_ids=bare.language_model.prepare_decoder_input_ids_from_labels(labels),
            **inputs,
        )
        answers = self.answer_loss(output.logits, batch)
        total, parts = answers.total, dict(answers.per_task)
        for name, (weight, auxiliary) in self.auxiliary.items():
            loss = auxiliary(output, batch.tensors, bare.get_input_embeddings())
            total, parts[name] = total + weight * loss, loss.detach()
        return Loss(total, parts)

    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """Scores of answers to frozen val questions of the drawn world and to held-out samples of your own."""
        assert isinstance(model, LionForConditionalGeneration)
        return self.validator.scores(model, skip)

    def export(self, model: nn.Module, out: Path) -> None:
        """A folder that `lion ask --model` loads: model, processor, and the tagger that `init` brings."""
        assert isinstance(model, LionForConditionalGeneration)
        model.save_pretrained(out)
        self.processor.save_pretrained(out)
        folders = self.recipe.init_folders
        tagger = folders.get("tagger") or folders.get("model")
        if tagger and (tagger / "tagger").is_dir():
            tagger = tagger / "tagger"  # it came with a whole model
        if tagger and tagger != folders.get("model"):
            log = shutil.ignore_patterns("*.jsonl", "tensorboard", "recipe.yaml", "finished.json")
            shutil.copytree(tagger, out / "tagger", ignore=log)
