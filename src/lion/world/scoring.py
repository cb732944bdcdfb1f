"""Scores of answers about drawn scenes, for validation during training and for evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from lion.metrics import Estimate, caption_objects, exact_match, pope, rec, reg
from lion.prompts import Task
from lion.world.questions import POPE_TASKS
from lion.world.scene import Scene
from lion.world.vocabulary import CATEGORIES, COLOURS, plural

CATEGORY_FORMS = {form: category for category in CATEGORIES for form in (category, plural(category))}
COLOUR_FORMS = {colour: colour for colour in COLOURS}


def score_answers(
    name: str, texts: Sequence[str], answers: Sequence[str], metas: Sequence[Mapping[str, Any]], shown: Sequence[Scene]
) -> dict[str, Estimate]:
    """The scores, by name, of the model's `texts` for the questions of a task or of one of POPE_TASKS.

    `metas` holds, for REC and REG, the true `box`; for VQA and dialog the `kind` of each question, if kinds are to be
    scored separately, too.
    """
    if name in POPE_TASKS:
        return pope(texts, answers)
    match Task(name):
        case Task.REC:
            return rec(texts, [meta["box"] for meta in metas], (0.5, 0.75))
        case Task.REG:
            pairs = zip(shown, metas, strict=True)
            targets = [next(obj for obj in scene.objects if obj.box == meta["box"]) for scene, meta in pairs]
            categories, colours = [obj.category for obj in targets], [obj.colour for obj in targets]
            return reg(texts, categories, colours, category_forms=CATEGORY_FORMS, colour_forms=COLOUR_FORMS)
        case Task.CAPTION:
            present = [[obj.category for obj in scene.objects] for scene in shown]
            return caption_objects(texts, present, CATEGORY_FORMS)
        case Task.VQA | Task.DIALOG:
            kinds = [meta["kind"] for meta in metas if "kind" in meta]
            return exact_match(texts, [[answer] for answer in answers], kinds or None)
