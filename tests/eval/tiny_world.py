"""LION tiny with the world's words and a tagger of its categories, random weights; and one that knows the truth."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from lion.eval.world import baselines
from lion.images import image_hash
from lion.model import LionForConditionalGeneration
from lion.pipeline import Answer, DecodingPreset, LionPipeline
from lion.prompts import Task
from lion.tagging import RamConfig, RamModel, RamTagger
from lion.train.presets import preset_config, world_processor
from lion.world import CATEGORIES, QUESTION_SETS, render, tags, test_questions

SHORT = DecodingPreset(num_beams=1, max_new_tokens=4)


def forget():
    """Forget the baselines' statistics."""
    for value in vars(baselines).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


@contextmanager
def few_scenes():
    """Baselines with statistics of 60 scenes: quick, where their scores do not matter."""
    usual, baselines.TRAIN_SCENES = baselines.TRAIN_SCENES, 60
    forget()
    try:
        yield
    finally:
        baselines.TRAIN_SCENES = usual
        forget()


def parts():
    """Model, processor and tagger."""
    torch.manual_seed(0)
    processor = world_processor("tiny")
    model = LionForConditionalGeneration(preset_config("tiny", processor))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("up.weight", "output.weight")):  # published start values are zero: all would say the same
                parameter.normal_(std=0.3)
    return model.eval(), processor, RamTagger(RamModel(RamConfig.mini(CATEGORIES)))


def save_checkpoint(folder: Path) -> Path:
    """As lion train writes it."""
    model, processor, tagger = parts()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tagger.save_pretrained(folder / "tagger")
    return folder


def pipeline(parts, **settings) -> LionPipeline:
    lion = LionPipeline(*parts, **{"name": "tiny", "batch_size": 4, **settings})
    lion.decoding = dict.fromkeys(Task, SHORT)
    return lion


class Oracle(LionPipeline):
    """Answers the first `samples` questions of every set from the truth, after `spoil` has had its way with it.

    Attributes:
        asked: every request it got.
    """

    def __init__(self, parts, samples, spoil=lambda number, question: question.answer, split="test", **settings):
        model, processor, tagger = parts
        super().__init__(model, processor, RamTagger(tagger.model), **{"name": "oracle", "batch_size": 4, **settings})
        self.asked = []
        self._truth, self._tags = {}, {}
        for name in QUESTION_SETS:
            for number, one in enumerate(test_questions(name, samples, split=split)):
                picture = image_hash(render(one.scene))
                self._tags[picture] = tags(one.scene)
                for version in (one, replace(one, history=())):
                    self._truth.setdefault(self._key(picture, version), spoil(number, one))
        self.tagger.scores = self._scores

    def _key(self, picture, one):
        words = None if one.held_out_instruction is None else one.instruction(self.processor.box_decimals)
        box = one.box if one.task == Task.REG else None
        return picture, one.task, one.expression or one.question, box, one.history, words

    def answer(self, requests, *, on_error="raise"):
        self.asked += requests
        answers = []
        for one in requests:
            key = (image_hash(one.image), one.verb.task, one.text, one.box, tuple(one.history), one.instruction)
            answers.append(Answer(self._truth.get(key, "?"), one.verb, tags=("cat",)))
        return answers

    def _scores(self, images):
        found = [self._tags.get(image_hash(image), []) for image in images]
        return torch.tensor([[float(tag in present) for tag in self.tagger.tags] for present in found])
