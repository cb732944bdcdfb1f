"""What those would score on the drawn world who do not look: the two baselines beside every number.

Both read the question and answer in the same words as a model, and are scored by the same rules. What they know of the
world they learnt from the train split, as a model could have.

* `blind_answers`: the best simple guess without the picture. VQA and dialog: the commonest answer to questions of the
  same template. POPE: yes for categories that are mostly there when asked about. REC: the one box that is right most
  often. REG: the category whose shape is nearest to the box, in the commonest colour (the box is part of the question,
  and its shape tells much). Captions: the categories seen most often.
* `random_answers`: one draw for each question, seeded by it. VQA, dialog, POPE, REG: uniform over the answers that are
  possible. REC and captions: the box of any object, and any caption, of the train split.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np

from lion.boxes import format_box
from lion.metrics.mentions import mentions
from lion.prompts import Task
from lion.random import pick, stream
from lion.world import CATEGORIES, COLOURS, POPE_TASKS, SIZES, SceneObject, TestQuestion, caption, tags, test_questions
from lion.world.language import listed
from lion.world.scene import Scene, scene
from lion.world.scoring import CATEGORY_FORMS
from lion.world.vocabulary import NUMBERS, with_article

TRAIN_SCENES = 1000
"""Scenes of the train split, and questions of each set about them, that the guessers learn from."""
_FAMILIAR = 10  # a template seen less often is guessed by its kind
_EITHER = (("left", "right"), ("above", "below"))
_NAMES = {*CATEGORY_FORMS, *COLOURS, *SIZES, *NUMBERS}


def blind_answers(name: str, asked: Sequence[TestQuestion]) -> list[str]:
    """The blind guesser's answers to questions of one set (a name of QUESTION_SETS)."""
    if name in POPE_TASKS:
        denied = _rarely_there(name)
        return ["no" if _category(one.question or "") in denied else "yes" for one in asked]
    if name == Task.CAPTION:
        return [_common_caption()] * len(asked)
    if name == Task.REC:
        return [_fixed_box()] * len(asked)
    if name == Task.REG:
        return [f"{_common_colour()} {_nearest_shape(one)}" for one in asked]
    templates, kinds = _answers(name)
    guesses: list[str] = []
    for one in asked:
        seen = templates[template(one.question or "")]
        options = possible_answers(one)
        usual = seen if seen.total() >= _FAMILIAR else kinds[one.kind, options]
        guesses.append(max(options, key=usual.__getitem__))
    return guesses


def random_answers(name: str, asked: Sequence[TestQuestion]) -> list[str]:
    """One random answer to each question of one set (a name of QUESTION_SETS)."""
    answers: list[str] = []
    for one in asked:
        rng = stream("lion-world-random-answers", name, one.id)
        if name == Task.CAPTION:
            answers.append(caption(pick(rng, _scenes()), rng))
        elif name == Task.REC:
            answers.append(format_box(pick(rng, _objects()).box))
        elif name == Task.REG:
            answers.append(f"{pick(rng, COLOURS)} {pick(rng, CATEGORIES)}")
        else:
            answers.append(pick(rng, possible_answers(one)))
    return answers


def blind_tags(pictures: int) -> np.ndarray:
    """The blind guesser's tag scores (pictures, categories): how often the train split has each."""
    seen = Counter(tag for one in _scenes() for tag in tags(one))
    return np.tile([seen[category] / TRAIN_SCENES for category in CATEGORIES], (pictures, 1))


def random_tags(pictures: int) -> np.ndarray:
    """Tag scores drawn at random, (pictures, categories)."""
    return stream("lion-world-random-tags").random((pictures, len(CATEGORIES)))


def possible_answers(one: TestQuestion) -> tuple[str, ...]:
    """All answers that a question with a short answer allows, by its kind and by what it offers ("left or right")."""
    if one.kind == "count":
        return NUMBERS
    if one.kind == "colour":
        return COLOURS
    if one.kind == "size":
        return SIZES
    said = set(re.findall(r"[a-z]+", one.question or ""))
    return next((pair for pair in _EITHER if "or" in said and said.issuperset(pair)), ("yes", "no"))


def template(question: str) -> str:
    """A question with its names blanked: "is there a red cat?" and "is there a small dog?" are one."""
    return re.sub(r"[a-z]+", lambda word: "_" if word[0] in _NAMES else word[0], question)


@cache
def _scenes() -> tuple[Scene, ...]:
    return tuple(scene("train", index) for index in range(TRAIN_SCENES))


@cache
def _objects() -> tuple[SceneObject, ...]:
    return tuple(thing for one in _scenes() for thing in one.objects)


@cache
def _answers(name: str) -> tuple[dict[str, Counter[str]], dict[tuple[str, tuple[str, ...]], Counter[str]]]:
    """How often each answer is given to each template, and to each kind with its possible answers."""
    templates: dict[str, Counter[str]] = defaultdict(Counter)
    kinds: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    for one in test_questions(name, TRAIN_SCENES, split="train"):
        templates[template(one.question or "")][one.answer] += 1
        kinds[one.kind, possible_answers(one)][one.answer] += 1
    return templates, kinds


def _category(text: str) -> str | None:
    return next(iter(mentions(text, CATEGORY_FORMS)), None)


@cache
def _rarely_there(name: str) -> frozenset[str]:
    """Categories for which the blind guesser says no: those below the share of yes that gives the best F1 in train."""
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for one in test_questions(name, TRAIN_SCENES, split="train"):
        counts[_category(one.question or "")][one.answer] += 1
    by_share = sorted(CATEGORIES, key=lambda category: counts[category]["yes"] / max(counts[category].total(), 1))

    def f1(denied: int) -> float:
        said = [counts[category] for category in by_share[denied:]]
        hits = sum(count["yes"] for count in said)
        return 2 * hits / (sum(count.total() for count in said) + sum(count["yes"] for count in counts.values()))

    return frozenset(by_share[: max(range(len(by_share)), key=f1)])


@cache
def _common_caption() -> str:
    """A caption of the categories seen most often, as many as a picture has on average."""
    seen = Counter(tag for one in _scenes() for tag in tags(one))
    number = round(seen.total() / TRAIN_SCENES)
    return listed([with_article(category) for category, _ in seen.most_common(number)])


@cache
def _fixed_box() -> str:
    """The train box that overlaps the most of the others by half."""
    boxes = [thing.box for thing in _objects()[:TRAIN_SCENES]]
    corners = np.array([box.xyxy() for box in boxes])
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = np.array([box.area for box in boxes])
    overlap = shared / (areas[:, None] + areas[None, :] - shared)
    return format_box(boxes[int((overlap >= 0.5).mean(axis=1).argmax())])


@cache
def _common_colour() -> str:
    return Counter(thing.colour for thing in _objects()).most_common(1)[0][0]


@cache
def _shapes() -> np.ndarray:
    """Width and height of every train object, (objects, 2)."""
    return np.array([thing.box.xywh()[2:] for thing in _objects()])


def _nearest_shape(one: TestQuestion) -> str:
    assert one.box is not None
    distance = np.square(_shapes() - np.array(one.box.xywh()[2:])).sum(axis=1)
    return _objects()[int(distance.argmin())].category
