"""The objective of stages 1 to 3: generate the answer to an instruction about a picture (paper, section 3.3).

The stages differ in data, visual inputs and trainable components, which the stage table holds. B batch, A answer
tokens, W vocabulary.
"""

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase
from transformers.models.t5.modeling_t5 import T5Attention

from lion.checkpoints.adapters import save_adapters
from lion.checkpoints.finding import ADAPTERS, BUNDLED, bundled_folder
from lion.checkpoints.info import outline
from lion.checkpoints.loading import load_model, load_processor
from lion.checkpoints.parts import load_part
from lion.data.collate import collate
from lion.data.dataset import BadRecord, Dataset
from lion.data.index import some
from lion.data.mixture import EpochMixture, Mixture
from lion.data.record_source import Augment, RecordSource
from lion.data.sample import BadSample, Sample, Source
from lion.data.sources import jsonl, open_index, read
from lion.data.sources.world import WorldSource
from lion.data.values import as_read
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionOutput, LionProcessor
from lion.nn.row_losses import row_losses
from lion.pipeline.request import decoding_presets
from lion.prompts import Task
from lion.provenance import commit, versions
from lion.tagging import TagFile
from lion.train.architecture import reshape, set_fixed_values
from lion.train.examples import Example
from lion.train.frozen import load_in_bfloat16, quantise, whole_state
from lion.train.gradient_conflict import gradient_cosines
from lion.train.log import FOLDERS
from lion.train.objective import Batch, Loss, NamedParameters, Objective, OnBadSample
from lion.train.presets import preset_model, world_processor
from lion.train.recipe.schema import Data, JsonlData, OwnData, Recipe, ShardsData, WorldData
from lion.train.spelling import spelt_words
from lion.train.stages import AUXILIARY_LOSSES, LanguageModellingOptions
from lion.train.tap_cache import TapCache
from lion.train.validation import Validator


class AuxiliaryLoss(Protocol):
    """A loss beside the language-model loss; constructed with the processor."""

    @property
    def targets(self) -> Sequence[str]:
        """Names of the tensors that it adds to a batch."""

    def tensors(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Those tensors for these samples."""

    def __call__(
        self, output: LionOutput, batch: Mapping[str, Tensor], model: LionForConditionalGeneration
    ) -> Tensor | None:
        """The loss of the output of `model` for a batch; None where no sample of it has any."""


class LanguageModelling(Objective):
    """Stages 1 to 3.

    Args:
        recipe: of one of them.
        auxiliary: the losses that `recipe.options` may give a weight, by the name of that option.
    """

    def __init__(
        self, recipe: Recipe, auxiliary: Mapping[str, Callable[[LionProcessor], AuxiliaryLoss]] = MappingProxyType({})
    ) -> None:
        assert isinstance(recipe.options, LanguageModellingOptions)
        self.recipe, self.processor = recipe, find_processor(recipe)
        width, decimals = recipe.options.soft_coordinates, self.processor.box_decimals
        self.answer_loss = AnswerLoss(coordinate_ids(self.processor.tokenizer, decimals) if width else None, width)
        self.auxiliary: dict[str, tuple[float, AuxiliaryLoss]] = {
            name: (weight, auxiliary[name](self.processor))
            for name in AUXILIARY_LOSSES
            if (weight := getattr(recipe.options, name))
        }
        self.terms = (*sorted(recipe.row.tasks), *self.auxiliary)
        train = [(self._source(data), data.weight) for data in recipe.data]
        self.mixture = _mixture(recipe, train)
        held_out = [(self._source(data), data.weight) for data in recipe.validation.data] if recipe.validation else []
        self.sources = [source for source, _ in [*train, *held_out]]
        if recipe.validation:
            worlds = [data for data in recipe.data if isinstance(data, WorldData)]
            tasks = sorted({task for world in worlds for task in world.tasks})
            tags = worlds[0].tags if worlds else None
            self.validator = Validator(
                self.processor, recipe.validation.samples, tasks, tags, recipe.validation.decoding, held_out
            )
            presets = decoding_presets(recipe.validation.decoding)
            used = dict.fromkeys(str(presets[task]) for task in sorted(recipe.row.tasks))
            self.decoding = f"{recipe.validation.decoding}: {'; '.join(used)}"

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
                comparisons=data.comparisons,
            )
        try:
            dataset = self._dataset(data)
        except BadRecord as error:
            raise BadRecord(error.problem, "skip_bad: true beside the source in the recipe") from error
        tagger = TagFile.read(data.tags_from) if data.tags_from else None
        augment = Augment(data.flip, data.crop)
        return RecordSource(
            dataset, data.tasks, decimals, augment, tagger, among=self.recipe.row.tasks, noise=data.tags
        )

    def _dataset(self, data: OwnData) -> Dataset:
        """The records of a source: for epochs and of archives by an index, so that memory does not grow with them."""
        if self.recipe.order == "epochs" or isinstance(data, ShardsData):
            return open_index(*data.address, skip_bad=data.skip_bad)
        if isinstance(data, JsonlData):
            return jsonl.read(data.path, skip_bad=data.skip_bad)
        return read(data.source, data.folder, data.split, skip_bad=data.skip_bad)

    def skipped(self) -> list[BadSample]:
        """Bad records of all datasets, held-out ones included."""
        datasets = [source.dataset for source in self.sources if isinstance(source, RecordSource)]
        return [BadSample(f"{each.name}:{ident}", reason) for each in datasets for ident, reason in each.skipped]

    def notes(self) -> list[str]:
        datasets = [source.dataset for source in self.sources if isinstance(source, RecordSource)]
        records = [one for dataset in datasets for one in some(dataset.records, _LOOKED_AT)]
        found = []
        written = {task for task in self.recipe.row.tasks if task is not Task.REC}  # whose answers are words
        texts = (text for one in records if written & {one.task, *one.also} for text in one.answers)
        if spelt := spelt_words(texts, self.processor.tokenizer):
            count, them = ("1 word", "it") if len(spelt) == 1 else (f"{len(spelt)} words", "them")
            shown = ", ".join(spelt[:10]) + (", ..." if len(spelt) > 10 else "")
            found.append(
                f"{self.recipe.name}: the tokenizer has no piece for {count} of your answers and spells {them} "
                f"({shown}); the frozen language model will hardly learn to write {them} (docs/how-to/finetuning.md)"
            )
        boxes: dict[tuple[object, str], set[object]] = {}
        for one in records if Task.REC in self.recipe.row.tasks else ():
            if one.expression and Task.REC in (one.task, *one.also):
                boxes.setdefault((one.image, as_read(one.expression)), set()).add(one.box)
        if several := [expression for (_, expression), apart in boxes.items() if len(apart) > 1]:
            found.append(
                f"{self.recipe.name}: several boxes of a picture have the same expression, and locate learns either ("
                f"such expressions: {len(several)}, the first: {several[0]}); tell them apart, or train reg alone"
            )
        return found

    def build(self) -> nn.Module:
        held, trained = self.recipe.frozen_weights, self.recipe.trained
        load = load_in_float32 if held == "fp32" else partial(load_in_bfloat16, trained=trained)
        model = build_model(self.recipe, self.processor, load)
        if held in ("int8", "nf4"):
            quantise(model, trained, held)
        if self.recipe.gradient_checkpointing:
            checkpoint_blocks(model)
        if settings := self.recipe.tap_cache:
            dtype = torch.bfloat16 if self.recipe.precision == "bf16" else torch.float32
            most = int(settings.gigabytes * 1e9)
            model.vision_encoder.cached = TapCache(settings.folder, model.vision_encoder, most, dtype)
        return model

    def outline(self) -> nn.Module:
        with torch.device("meta"):
            return build_model(self.recipe, self.processor, outline)

    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        assert isinstance(model, LionForConditionalGeneration)
        return {part: list(model.component_parameters(part)) for part in self.recipe.trained}

    def batch(self, step: int, shard: int = 0) -> Batch:
        samples, bad = self.mixture.batch(step, shard, self.recipe.batch_size)
        tensors = collate(samples, self.processor)
        for _, auxiliary in self.auxiliary.values():
            tensors |= auxiliary.tensors(samples)
        tokens = int(tensors["attention_mask"].sum() + (tensors["labels"] != -100).sum())
        return Batch(tensors, [sample.id for sample in samples], [sample.task for sample in samples], bad, tokens)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Cross entropy of the answers, and the auxiliary losses that the recipe gives a weight."""
        output, answers = self._answers(model, batch)
        total, parts = answers.total, dict(answers.per_task)
        for name, (weight, auxiliary) in self.auxiliary.items():
            loss = auxiliary(output, batch.tensors, extract_model_from_parallel(model))
            if loss is not None:
                total, parts[name] = total + weight * loss, loss.detach()
        return Loss(total, parts)

    def _answers(self, model: nn.Module, batch: Batch) -> tuple[LionOutput, Loss]:
        """The model's output for a batch, and the cross entropy of the answers."""
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
        return output, self.answer_loss(output.logits, batch)

    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """Scores of answers to frozen val questions of the drawn world and to held-out samples of your own."""
        assert isinstance(model, LionForConditionalGeneration)
        scores = self.validator.scores(model, skip)
        if self.recipe.validation and self.recipe.validation.gradients:
            scores |= gradient_cosines(
                model, self.processor, lambda bare, batch: self._answers(bare, batch)[1].total, self.validator.questions
            )
        return scores

    def examples(self) -> list[Example]:
        return self.validator.examples

    def export(self, model: nn.Module, out: Path) -> None:
        """A folder that `lion ask --model` loads: model, processor, and the tagger that `init` brings. Or the file of
        adapters, by which `init.model` becomes this model."""
        assert isinstance(model, LionForConditionalGeneration)
        folders, trained = self.recipe.init_folders, self.recipe.trained
        whole = None if self.recipe.frozen_weights == "fp32" else whole_state(model, folders)
        if self.recipe.export == "adapters":
            base = BUNDLED if folders["model"] == bundled_folder() else str(folders["model"].resolve())
            facts = {"name": self.recipe.name, "steps": self.recipe.steps, "stage": self.recipe.stage}
            facts |= {"commit": commit(), "versions": versions()}
            save_adapters(model, trained, out / ADAPTERS, base, facts, whole)
            return
        model.save_pretrained(out, state_dict=whole)
        self.processor.save_pretrained(out)
        tagger = folders.get("tagger") or folders.get("model")
        if tagger and (tagger / "tagger").is_dir():
            tagger = tagger / "tagger"  # it came with a whole model
        if tagger and tagger != folders.get("model"):
            log = shutil.ignore_patterns("*.jsonl", *FOLDERS, "recipe.yaml", "finished.json")
            shutil.copytree(tagger, out / "tagger", ignore=log)


def _mixture(recipe: Recipe, sources: Sequence[tuple[Source, float]]) -> Mixture:
    names, one_task = (recipe.stage, recipe.seed), recipe.homogeneous_batches
    if recipe.order == "random":
        return Mixture(sources, names, one_task)
    shards = recipe.gradient_accumulation
    return EpochMixture(sources, names, recipe.batch_size, shards, one_task, recipe.length_buckets)


def find_processor(recipe: Recipe) -> LionProcessor:
    """The processor in the folder of the model or of its language model; the drawn world's for a model from scratch.

    Raises: LionError if the folder of `init.model` holds none, or a damaged one.
    """
    folders = recipe.init_folders
    for part in ("model", "language_model"):
        if part in folders and (folders[part] / "processor_config.json").is_file():
            return load_processor(folders[part], str(folders[part]))
    if "model" in folders:
        raise LionError(f"{folders['model']} holds no processor; save one beside the model")
    return world_processor(recipe.model)


_LOOKED_AT = 100_000
"""Records of a dataset that are looked at for `notes`."""
load_in_float32 = partial(load_model, dtype=torch.float32)


def build_model(
    recipe: Recipe,
    processor: LionProcessor,
    load: Callable[[Path, str], LionForConditionalGeneration] = load_in_float32,
) -> LionForConditionalGeneration:
    """The model of `init.model` by `load`, or a fresh one, with the parts of `init`.

    Raises: LionError if weights do not fit.
    """
    folders = recipe.init_folders
    whole = folders.get("model")
    model = load(whole, str(whole)) if whole else preset_model(recipe.model, processor)
    if recipe.export == "adapters" and model.config.visual_inputs != recipe.visual_inputs:
        reads = f"{recipe.stage} trains with visual_inputs={recipe.visual_inputs}, {whole} has"
        raise LionError(f"{recipe.name}: {reads} {model.config.visual_inputs}; choose its stage, or export: model")
    model.config.visual_inputs = recipe.visual_inputs
    reshape(model, recipe.architecture)
    for part, folder in folders.items():
        if part not in ("model", "tagger"):
            load_part(model, part, folder)
    set_fixed_values(model, recipe.architecture, processor)
    return model


def checkpoint_blocks(model: LionForConditionalGeneration) -> None:
    """Compute blocks again in the backward pass instead of keeping what they made, to the same gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its new name came after the oldest transformers we take
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for module in model.modules():
        if isinstance(module, T5Attention):  # would ask for the gradient of a bias of zeros, by attention's slow kernel
            module.gradient_checkpointing = False


class AnswerLoss:
    """Mean over samples of the mean over each sample's answer tokens, and the same for each task.

    Per sample first, so that long captions do not outweigh one-word answers.

    Args:
        coordinate_ids: token of each coordinate in order (0.00, 0.01, ...), for soft labels.
        width: standard deviation, in coordinates, of soft labels, with which an error of 0.01 costs less than one of
            0.5; 0 for hard labels, as in the paper.
    """

    def __init__(self, coordinate_ids: Tensor | None = None, width: float = 0.0) -> None:
        self.ids, self.weights = coordinate_ids, None
        if width > 0:
            assert coordinate_ids is not None, "soft labels need the coordinates' tokens"
            steps = torch.arange(len(coordinate_ids))
            self.weights = torch.softmax(-0.5 * ((steps[:, None] - steps[None, :]) / width) ** 2, dim=1)

    def __call__(self, logits_BAW: Tensor, batch: Batch) -> Loss:
        """The loss of logits against `batch.tensors["labels"]` (B, A), computed in fp32."""
        losses_B = self.per_sample(logits_BAW, batch.tensors["labels"])
        per_task = {}
        for task in sorted(set(batch.tasks)):
            rows = [row for row, name in enumerate(batch.tasks) if name == task]
            per_task[str(task)] = losses_B.detach()[rows].mean()
        return Loss(losses_B.mean(), per_task)

    def per_sample(self, logits_BAW: Tensor, labels_BA: Tensor) -> Tensor:
        """Mean loss of each sample's own tokens, (B,)."""
        losses_BA = row_losses(logits_BAW.flatten(0, 1), labels_BA.flatten(), self.of_tokens).view_as(labels_BA)
        real_BA = labels_BA != -100  # the label of padding
        return (losses_BA * real_BA).sum(1) / real_BA.sum(1).clamp(min=1)

    def of_tokens(self, logits_NW: Tensor, labels_N: Tensor) -> Tensor:
        """The loss of each token, (N,); of padding anything."""
        logs_NW = functional.log_softmax(logits_NW.float(), dim=-1)
        losses_N = -logs_NW.gather(-1, labels_N.clamp(min=0)[:, None])[:, 0]
        if self.weights is None or self.ids is None:
            return losses_N
        self.ids, self.weights = self.ids.to(labels_N.device), self.weights.to(labels_N.device)
        same_NC = labels_N[:, None] == self.ids
        spread_N = -(self.weights[same_NC.int().argmax(-1)] * logs_NW[:, self.ids]).sum(-1)
        return torch.where(same_NC.any(-1), spread_N, losses_N)


def coordinate_ids(tokenizer: PreTrainedTokenizerBase, decimals: int) -> Tensor:
    """The token of each coordinate with `decimals`, in order. Raises: LionError if some have several, as in FLAN-T5."""
    steps = 10**decimals
    known = tokenizer.get_vocab()
    texts = [f"{step / steps:.{decimals}f}" for step in range(steps + 1)]
    if missing := [text for text in texts if text not in known]:
        raise LionError(
            f"this tokenizer has no piece for {missing[0]}, which soft_coordinates, alignment and the pretraining of "
            "connectors need: set those options to 0, or take lion-mini's tokenizer"
        )
    return torch.tensor([known[text] for text in texts])
