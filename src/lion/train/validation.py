"""Held-out questions during training: the model looks, answers in its own words, and is scored.

On the drawn world these are the first frozen questions of the val split (never the test split); on your own data,
samples of the file you hold out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lion.data.collate import collate
from lion.data.mixture import Mixture
from lion.data.sample import BadSample, Sample, Source
from lion.data.tag_noise import TagNoise
from lion.metrics import captions, exact_match, rec
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.prompts import Task
from lion.random import stream
from lion.train.log import log_values
from lion.world import render
from lion.world.questions import test_questions
from lion.world.scoring import score_answers

_BATCH = 100
_POPE = "pope-adversarial"


@dataclass
class Validator:
    """Asks and scores.

    Args:
        processor: the model's.
        samples: val questions of each task; of the held-out sources so many in all, none twice.
        tasks: tasks asked on the drawn world; empty without a world source.
        tags: noise of the tags beside the pictures; None for prompts without tags.
        held_out: your own held-out sources with their weights, prepared.
    """

    processor: LionProcessor
    samples: int
    tasks: Sequence[Task]
    tags: TagNoise | None
    held_out: Sequence[tuple[Source, float]] = ()
    _told: set[str] = field(default_factory=set)

    def scores(self, model: LionForConditionalGeneration, skip: Callable[[BadSample], None]) -> dict[str, float]:
        """`set/score` for every set of questions. Call under no_grad, in eval mode.

        Args:
            model: to ask.
            skip: told each held-out sample that cannot be used, the first time.
        """
        scores: dict[str, float] = {}
        for name, samples in self._world.items():
            texts, truths = self.answers(model, samples), [sample.answer for sample in samples]
            metas = [sample.meta for sample in samples]
            scores |= log_values(name, score_answers(name, texts, truths, metas, [meta["scene"] for meta in metas]))
        if self.held_out:
            scores |= self._own_scores(model, skip)
        return scores

    def answers(self, model: LionForConditionalGeneration, samples: Sequence[Sample]) -> list[str]:
        """What the model says, greedily."""
        texts: list[str] = []
        for start in range(0, len(samples), _BATCH):
            batch = collate(samples[start : start + _BATCH], self.processor)
            inputs: dict[str, Any] = {name: tensor.to(model.device) for name, tensor in batch.items()}
            pixels = self.processor.image_processor.normalize(inputs.pop("pixels"))
            inputs.pop("labels")
            ids = model.generate(pixel_values=pixels, **inputs, do_sample=False, num_beams=1, max_new_tokens=96)
            texts += self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts

    @cached_property
    def _world(self) -> dict[str, list[Sample]]:
        """The frozen val questions as samples, by set; drawn once a run."""
        pictures: dict[int, np.ndarray] = {}
        sets = [str(task) for task in self.tasks] + ([_POPE] if Task.VQA in self.tasks else [])
        return {name: list(self._questions(name, pictures)) for name in sets}

    def _questions(self, name: str, pictures: dict[int, np.ndarray]) -> Iterator[Sample]:
        for asked in test_questions(name, self.samples, split="val"):
            scene = asked.scene
            if asked.scene_index not in pictures:
                pictures[asked.scene_index] = self.processor.image_processor.resize(render(scene))
            tags = self.tags.tags(scene, stream("validation tags", asked.id)) if self.tags else None
            meta: dict[str, Any] = {"kind": asked.kind, "box": asked.box, "scene": scene}
            text = asked.instruction(self.processor.box_decimals)
            yield Sample(asked.id, pictures[asked.scene_index], asked.task, text, asked.answer, tags, meta)

    def _own_scores(self, model: LionForConditionalGeneration, skip: Callable[[BadSample], None]) -> dict[str, float]:
        """Boxes for REC, CIDEr and the like for captions and REG, else any right answer; on your own samples."""
        samples, bad = Mixture(self.held_out, ["validation"]).once(self.samples)
        for one in bad:
            if one.id not in self._told:
                skip(one)
        self._told |= {one.id for one in bad}
        texts = self.answers(model, samples)
        scores: dict[str, float] = {"held_out/bad_samples": len(bad)} if bad else {}
        for task in sorted({sample.task for sample in samples}):
            rows = [(text, sample) for text, sample in zip(texts, samples, strict=True) if sample.task == task]
            said, metas = [text for text, _ in rows], [sample.meta for _, sample in rows]
            right = [meta["answers"] for meta in metas]
            if task == Task.REC:
                found = rec(said, [meta["box"] for meta in metas])
            elif task in (Task.CAPTION, Task.REG):
                names = list(map(str, range(len(rows))))
                found = captions(dict(zip(names, said, strict=True)), dict(zip(names, right, strict=True)))
            else:
                found = exact_match(said, right)
            scores |= log_values(f"held_out/{task}", found)
        return scores
