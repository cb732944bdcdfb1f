"""What a generated answer about a drawn scene is worth, by task, as plain numbers for a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lion.metrics import Estimate, caption_objects, exact_match, rec, reg
from lion.prompts import Task
from lion.world import CATEGORIES, COLOURS, Scene
from lion.world.vocabulary import plural

CATEGORY_FORMS = {form: category for category in CATEGORIES for form in (category, plural(category))}
COLOUR_FORMS = {colour: colour for colour in COLOURS}


def score_answers(
    task: Task, texts: Sequence[str], answers: Sequence[str], metas: Sequence[Mapping[str, Any]], shown: Sequence[Scene]
) -> dict[str, float]:
    """Scores named `task/score`.

    Args:
        task: one task for all.
        texts: what the model said.
        answers: what is true.
        metas: `kind` of each question, for VQA and dialog; true `box`, for REC and REG.
        shown: the scenes.
    """
    return {f"{task}/{name}": round(score.value, 4) for name, score in _scores(task, texts, answers, metas, shown)}


def _scores(
    task: Task, texts: Sequence[str], answers: Sequence[str], metas: Sequence[Mapping[str, Any]], shown: Sequence[Scene]
) -> list[tuple[str, Estimate]]:
    match task:
        case Task.REC:
            scores = rec(texts, [meta["box"] for meta in metas])
        case Task.REG:
            pairs = zip(shown, metas, strict=True)
            meant = [next(o for o in scene.objects if o.box == meta["box"]) for scene, meta in pairs]
            scores = reg(
                texts,
                [thing.category for thing in meant],
                [thing.colour for thing in meant],
                category_forms=CATEGORY_FORMS,
                colour_forms=COLOUR_FORMS,
            )
        case Task.CAPTION:
            scores = caption_objects(texts, [{o.category for o in scene.objects} for scene in shown], CATEGORY_FORMS)
        case Task.VQA | Task.DIALOG:
            scores = exact_match(texts, answers, [meta["kind"] for meta in metas])
    return list(scores.items())
