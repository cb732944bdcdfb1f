"""Scores of a model in training, by the answers it generates.

On the drawn world to the first frozen questions of the val split (never the test split), and to held-out samples of
your own data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from lion.data.collate import collate
from lion.data.mixture import Mixture
from lion.data.sample import Sample, Source
from lion.data.tag_noise import TagNoise
from lion.engine import EmbeddedPrompt, Scheduler, Weights
from lion.metrics import captions, exact_match, rec
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.pipeline.decode import settings_of
from lion.pipeline.request import decoding_presets
from lion.prompts import Task
from lion.random import stream
from lion.train.examples import SHOWN, Example
from lion.train.log import log_values
from lion.train.objective import OnBadSample
from lion.world import render
from lion.world.questions import test_questions
from lion.world.scoring import score_answers

_BATCH = 64
"""Samples answered together."""


@dataclass
class Validator:
    """Generates answers and scores them.

    Args:
        samples: val questions of each task; of the held-out sources as many in all, none twice.
        tasks: tasks evaluated on the drawn world; empty without a world source.
        tags: noise of the tags in the prompts; None for prompts without tags.
        decoding: name of the pipeline's preset by which answers are generated.
        held_out: your own held-out sources with their weights, prepared.
    """

    processor: LionProcessor
    samples: int
    tasks: Sequence[Task]
    tags: TagNoise | None
    decoding: str
    held_out: Sequence[tuple[Source, float]] = ()
    examples: list[Example] = field(default_factory=list)
    """The first samples of each set, and the last answers to them."""
    _reported: set[str] = field(default_factory=set)

    def scores(self, model: LionForConditionalGeneration, skip: OnBadSample) -> dict[str, float]:
        """`set/score` for every set of questions; see :meth:`lion.train.objective.Objective.validate`."""
        scores: dict[str, float] = {}
        self.examples = []
        for name, samples in self._world.items():
            texts, truths = self.answers(model, samples), [sample.answer for sample in samples]
            if name in self.tasks:
                self._show(name, samples, texts)
            metas = [sample.meta for sample in samples]
            scores |= log_values(name, score_answers(name, texts, truths, metas, [meta["scene"] for meta in metas]))
        if self.held_out:
            scores |= self._own_scores(model, skip)
        return scores

    def answers(self, model: LionForConditionalGeneration, samples: Sequence[Sample]) -> list[str]:
        """The model's answer to each sample, as the pipeline would generate it: pictures and prompts are encoded in the
        precision of autocast, and the language model decodes in that of its weights, which is the users'."""
        presets, texts = decoding_presets(self.decoding), list[str]()
        weights = Weights(model.language_model)
        scheduler = Scheduler(weights, places=_BATCH)
        for start in range(0, len(samples), _BATCH):
            some = samples[start : start + _BATCH]
            settings = [settings_of(presets[sample.task], self.processor) for sample in some]
            inputs: dict[str, Any] = {
                name: tensor.to(model.device)
                for name, tensor in collate(some, self.processor).items()
                if name != "labels"
            }
            pixels = self.processor.image_processor.normalize(inputs.pop("pixels"))
            with torch.no_grad():
                inputs_BND, mask_BN, _ = model.embed(pixel_values=pixels, **inputs)
            rows = zip(inputs_BND, mask_BN.bool(), inputs["task_levels"].tolist(), settings, strict=True)
            prompts = [EmbeddedPrompt(row[mask].to(weights.type), level, how) for row, mask, level, how in rows]
            with torch.autocast(model.device.type, enabled=False):
                answers = scheduler.run(prompts)
            texts += self.processor.tokenizer.batch_decode([best.ids for best, *_ in answers], skip_special_tokens=True)
        return texts

    def _show(self, name: str, samples: Sequence[Sample], answers: Sequence[str]) -> None:
        pairs = zip(samples[:SHOWN], answers[:SHOWN], strict=True)
        self.examples += [Example(name, sample, answer) for sample, answer in pairs]

    @cached_property
    def _world(self) -> dict[str, list[Sample]]:
        """The frozen val questions as samples, by set; drawn once a run."""
        pictures: dict[int, np.ndarray] = {}
        sets = [str(task) for task in self.tasks] + (["pope-adversarial"] if Task.VQA in self.tasks else [])
        return {name: list(self._questions(name, pictures)) for name in sets}

    @property
    def questions(self) -> dict[str, list[Sample]]:
        """The frozen val questions of the drawn world as samples, by set."""
        return self._world

    def _questions(self, name: str, pictures: dict[int, np.ndarray]) -> Iterator[Sample]:
        for question in test_questions(name, self.samples, split="val"):
            scene, index = question.scene, question.scene_index
            if index not in pictures:
                pictures[index] = self.processor.image_processor.resize(render(scene))
            tags = self.tags.tags(scene, stream("validation tags", question.id)) if self.tags else None
            meta: dict[str, Any] = {"kind": question.kind, "box": question.box, "scene": scene}
            text = question.instruction(self.processor.box_decimals)
            yield Sample(question.id, pictures[index], question.task, text, question.answer, tags, meta)

    def _own_scores(self, model: LionForConditionalGeneration, skip: OnBadSample) -> dict[str, float]:
        """Scores on your own samples: boxes for REC, CIDEr and others for captions and REG, else exact match."""
        samples, bad = Mixture(self.held_out, ["validation"]).once(self.samples)
        for one in bad:
            if one.id not in self._reported:
                self._reported.add(one.id)
                skip(one)
        texts = self.answers(model, samples)
        scores: dict[str, float] = {"held_out/bad_samples": len(bad)} if bad else {}
        for task in sorted({sample.task for sample in samples}):
            answered = [(text, sample) for text, sample in zip(texts, samples, strict=True) if sample.task == task]
            rows = [(text, sample.meta) for text, sample in answered]
            self._show(f"held_out/{task}", [sample for _, sample in answered], [text for text, _ in answered])
            answers, references = [text for text, _ in rows], [meta["answers"] for _, meta in rows]
            if task == Task.REC:
                found = rec(answers, [meta["box"] for _, meta in rows])
            elif task in (Task.CAPTION, Task.REG):
                names = list(map(str, range(len(rows))))
                found = captions(dict(zip(names, answers, strict=True)), dict(zip(names, references, strict=True)))
            else:
                found = exact_match(answers, references)
            scores |= log_values(f"held_out/{task}", found)
        return scores
