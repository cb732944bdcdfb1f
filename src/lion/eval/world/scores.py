"""Scores of the drawn world: question sets in slices, of the model and of the baselines, by the same rules."""

from collections.abc import Callable, Mapping, Sequence
from math import hypot
from typing import Any

import numpy as np
import numpy.typing as npt

from lion.eval.world import baselines
from lion.metrics import Estimate, mean_average_precision
from lion.world import CATEGORIES, POPE_TASKS, Scene, tags
from lion.world import TestQuestion as Question
from lion.world.scoring import score_answers

TARGETS = {
    "caption/precision": 0.90,
    "caption/recall": 0.80,
    "vqa/accuracy": 0.85,
    "rec/accuracy@0.5": 0.80,
    "rec/mean_iou": 0.60,
    "reg/both": 0.80,
    "pope-adversarial/f1": 0.90,
    "tagger/map": 0.95,
}
"""The targets of lion-mini on the test split, set before it was trained."""

Sources = Mapping[str, Estimate]
"""One score of ``model``, ``blind`` and ``random`` baseline, and ``blind_run``, the model with a grey image."""

_SLICES: Mapping[tuple[str, str], Callable[[Question], bool]] = {
    ("held-out-pair", "seen-pair"): lambda one: one.held_out_pair,
    ("held-out-wording", "trained-wording"): lambda one: one.held_out_wording,
    ("held-out-instruction", "trained-instruction"): lambda one: one.held_out_instruction is not None,
    ("needs-history", "needs-no-history"): lambda one: one.needs_history,
}
"""Labels of the questions for which a condition holds, and of the others."""
_UNDIRECTED = ("unparsed", "yes_ratio")
"""Scores of which neither more nor less is better."""


def score_questions(
    name: str, questions: Sequence[Question], scenes: Sequence[Scene], texts: Mapping[str, Sequence[str]]
) -> dict[str, Sources]:
    """Scores by ``name/score`` and ``name/score/slice``.

    Args:
        name: of the question set, in the scores' names.
        questions: of one set.
        scenes: the questions' scenes.
        texts: one answer a question, of the ``model`` and, if there is one, of the ``blind_run``.
    """
    base = questions[0].set
    blind, random = baselines.blind_answers(base, questions), baselines.random_answers(base, questions)
    found: dict[str, Sources] = {}
    for part, indices in _slices(questions).items():
        answers = [questions[i].answer for i in indices]
        metas, shown = [{"box": questions[i].box} for i in indices], [scenes[i] for i in indices]
        scores = {
            source: score_answers(base, [row[i] for i in indices], answers, metas, shown)
            for source, row in {**texts, "blind": blind, "random": random}.items()
        }
        for score in scores["model"]:
            found[f"{name}/{score}{part}"] = {source: each[score] for source, each in scores.items()}
    return found


def score_tagger(name: str, predicted: npt.NDArray[np.floating], scenes: Sequence[Scene]) -> dict[str, Sources]:
    """mAP of the tagger's scores (images, categories), over all scenes and by held-out pairs."""
    count = len(scenes)
    sources = {"model": predicted, "blind": baselines.blind_tags(count), "random": baselines.random_tags(count)}
    truth = np.array([[tag in tags(one) for tag in CATEGORIES] for one in scenes])
    novel = np.array([any(item.held_out for item in one.objects) for one in scenes])
    return {
        f"{name}/map{part}": {
            source: mean_average_precision(rows[chosen], truth[chosen]) for source, rows in sources.items()
        }
        for part, chosen in {"": np.ones_like(novel), "/held-out-pair": novel, "/seen-pair": ~novel}.items()
        if chosen.any() and (part == "" or not chosen.all())
    }


def references(key: str, found: Sources) -> dict[str, Any]:
    """The entries beside a score in scores.json: baselines, blind run and target.

    ``above_blind`` is the distance to the blind baseline in standard errors of the difference; None where that is 0,
    and for scores of which neither more nor less is better.
    """
    model, blind, target = found["model"], found["blind"], TARGETS.get(key)
    error = hypot(model.standard_error, blind.standard_error)
    directed = key.split("/")[1] not in _UNDIRECTED
    plain = {
        source: {k: v for k, v in estimate.to_json().items() if k not in ("n", "note")}
        for source, estimate in found.items()
    }
    return {
        "blind": plain["blind"],
        "random": plain["random"],
        "blind_run": plain.get("blind_run"),
        "above_blind": round((model.value - blind.value) / error, 1) if error and directed else None,
        "bar": target,
        "met": None if target is None else model.value >= target,
    }


def _slices(questions: Sequence[Question]) -> dict[str, list[int]]:
    """Indices of the questions of each slice: "" for all, each kind, and both sides of each condition.

    POPE is not sliced: its one wording names no colour, so only present objects could be of a held-out pair.
    """
    slices = {"": list(range(len(questions)))}
    if questions[0].set in POPE_TASKS:
        return slices
    labels = [[one.kind for one in questions]]
    labels += [[yes if holds(one) else no for one in questions] for (yes, no), holds in _SLICES.items()]
    for column in labels:
        if len(names := sorted(set(column))) > 1:
            slices |= {f"/{name}": [i for i, label in enumerate(column) if label == name] for name in names}
    return slices
