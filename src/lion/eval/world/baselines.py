"""Baselines on the drawn world that do not see the image: a blind one and a random one.

Both answer in the format of a model, are scored by the same rules, and take their statistics from the train split.

* `blind_answers`: the best simple prior. VQA and dialog: the most frequent answer to questions of the same template.
  POPE: yes for categories that are mostly present when queried. REC: the one box that is correct most often. REG: the
  category with the most similar box shape (the box is part of the question) and the most frequent colour. Captions: the
  most frequent categories.
* `random_answers`: one draw for each question, seeded by it. VQA, dialog, POPE, REG: uniform over the possible answers.
  REC and captions: the box of any object, and any caption, of the train split.
"""

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
"""Scenes of the train split, and questions of each set about them, that the statistics are taken from."""
_MIN_COUNT = 10  # a rarer template is answered by the statistics of its kind
_ALTERNATIVES = (("left", "right"), ("above", "below"))
_ANSWERS_OF = {"count": NUMBERS, "colour": COLOURS, "size": SIZES}
_NAMES = {*CATEGORY_FORMS, *COLOURS, *SIZES, *NUMBERS}


def blind_answers(name: str, questions: Sequence[TestQuestion]) -> list[str]:
    """The blind baseline's answers to questions of one of QUESTION_SETS."""
    if name in POPE_TASKS:
        rare = _mostly_absent(name)
        return ["no" if _category(one.question or "") in rare else "yes" for one in questions]
    if name == Task.CAPTION:
        return [_common_caption()] * len(questions)
    if name == Task.REC:
        return [_fixed_box()] * len(questions)
    if name == Task.REG:
        colour = Counter(item.colour for item in _objects()).most_common(1)[0][0]
        return [f"{colour} {_nearest_shape(one)}" for one in questions]
    templates, kinds = _answers(name)
    answers: list[str] = []
    for one in questions:
        counts, options = templates[template(one.question or "")], possible_answers(one)
        counts = counts if counts.total() >= _MIN_COUNT else kinds[one.kind, options]
        answers.append(max(options, key=counts.__getitem__))
    return answers


def random_answers(name: str, questions: Sequence[TestQuestion]) -> list[str]:
    """One random answer to each question of one of QUESTION_SETS."""
    answers: list[str] = []
    for one in questions:
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


def blind_tags(images: int) -> np.ndarray:
    """The blind baseline's tag scores, (images, categories): each category's frequency in the train split."""
    return np.tile([_tag_counts()[category] / TRAIN_SCENES for category in CATEGORIES], (images, 1))


def random_tags(images: int) -> np.ndarray:
    """Tag scores drawn at random, (images, categories)."""
    return stream("lion-world-random-tags").random((images, len(CATEGORIES)))


def possible_answers(one: TestQuestion) -> tuple[str, ...]:
    """The possible answers of a short-answer question, by its kind and the alternatives in it ("left or right")."""
    if one.kind in _ANSWERS_OF:
        return _ANSWERS_OF[one.kind]
    words = set(re.findall(r"[a-z]+", one.question or ""))
    return next((pair for pair in _ALTERNATIVES if "or" in words and words.issuperset(pair)), ("yes", "no"))


def template(question: str) -> str:
    """A question with its names blanked: "is there a red cat?" and "is there a small dog?" are one."""
    return re.sub(r"[a-z]+", lambda word: "_" if word[0] in _NAMES else word[0], question)


@cache
def _scenes() -> tuple[Scene, ...]:
    return tuple(scene("train", index) for index in range(TRAIN_SCENES))


@cache
def _objects() -> tuple[SceneObject, ...]:
    return tuple(item for one in _scenes() for item in one.objects)


@cache
def _tag_counts() -> Counter[str]:
    return Counter(tag for one in _scenes() for tag in tags(one))


@cache
def _answers(name: str) -> tuple[dict[str, Counter[str]], dict[tuple[str, tuple[str, ...]], Counter[str]]]:
    """Counts of answers by template, and by kind with its possible answers."""
    templates: dict[str, Counter[str]] = defaultdict(Counter)
    kinds: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    for one in test_questions(name, TRAIN_SCENES, split="train"):
        templates[template(one.question or "")][one.answer] += 1
        kinds[one.kind, possible_answers(one)][one.answer] += 1
    return templates, kinds


def _category(text: str) -> str | None:
    return next(iter(mentions(text, CATEGORY_FORMS)), None)


@cache
def _mostly_absent(name: str) -> frozenset[str]:
    """Categories for which the blind baseline answers no: those below the share of yes that maximises F1 in train."""
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for one in test_questions(name, TRAIN_SCENES, split="train"):
        counts[_category(one.question or "")][one.answer] += 1
    by_share = sorted(CATEGORIES, key=lambda category: counts[category]["yes"] / max(counts[category].total(), 1))

    def f1(absent: int) -> float:
        positive = [counts[category] for category in by_share[absent:]]
        hits = sum(count["yes"] for count in positive)
        return 2 * hits / (sum(count.total() for count in positive) + sum(count["yes"] for count in counts.values()))

    return frozenset(by_share[: max(range(len(by_share)), key=f1)])


@cache
def _common_caption() -> str:
    """A caption of the most frequent categories, as many as an image has on average."""
    number = round(_tag_counts().total() / TRAIN_SCENES)
    return listed([with_article(category) for category, _ in _tag_counts().most_common(number)])


@cache
def _fixed_box() -> str:
    """The train box with an IoU of at least 0.5 with the most others."""
    boxes = [item.box for item in _objects()[:TRAIN_SCENES]]
    corners = np.array([box.xyxy() for box in boxes])
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=-1)
    areas = np.array([box.area for box in boxes])
    iou = intersection / (areas[:, None] + areas[None, :] - intersection)
    return format_box(boxes[int((iou >= 0.5).mean(axis=1).argmax())])


@cache
def _shapes() -> np.ndarray:
    """Width and height of every train object, (objects, 2)."""
    return np.array([item.box.xywh()[2:] for item in _objects()])


def _nearest_shape(one: TestQuestion) -> str:
    assert one.box is not None
    distance = np.square(_shapes() - np.array(one.box.xywh()[2:])).sum(axis=1)
    return _objects()[int(distance.argmin())].category
