"""The content of the drawn world: categories, colours, sizes, themes, co-occurrence, and what is held out.

A theme strongly prefers eight categories and some categories come in pairs, so that some absent categories are likely
and hallucination can be measured as POPE does. Sixteen of the 192 colour-category pairs never appear in
train or val; the test split draws about a fifth of its objects from them.
"""

import re
from collections.abc import Sequence
from functools import cache

from lion.prompts import template_texts
from lion.world.templates import all_templates

WORLD_VERSION = "1"
"""Goes into every scene's hash; raise it whenever a scene, a text or a drawing changes."""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
"""The colours of objects."""
SIZES = ("small", "medium", "large")
"""The sizes of objects."""
SPLITS = ("train", "val", "test")
MAX_OBJECTS = 6

ASPECT: dict[str, float] = {
    "apple": 0.91, "ball": 1.0, "bird": 1.18, "boat": 1.04, "book": 0.9, "bus": 1.56, "butterfly": 1.17, "car": 1.84,
    "cat": 0.8, "chair": 0.67, "clock": 0.87, "crab": 1.48, "cup": 1.12, "dog": 1.29, "fish": 1.43, "flower": 0.61,
    "hat": 1.52, "house": 1.06, "kite": 0.67, "lamp": 0.75, "mushroom": 1.05, "star": 1.05, "tree": 0.84,
    "umbrella": 1.01,
}  # fmt: skip
"""Width over height of each category's icon. Scenes are laid out with these; icons fill the box exactly."""

CATEGORIES = tuple(sorted(ASPECT))
"""The 24 kinds of objects."""

THEMES: dict[str, tuple[str, ...]] = {
    "beach": ("ball", "bird", "boat", "crab", "fish", "hat", "star", "umbrella"),
    "farm": ("apple", "bird", "butterfly", "cat", "flower", "house", "mushroom", "tree"),
    "park": ("ball", "bird", "butterfly", "dog", "flower", "kite", "mushroom", "tree"),
    "room": ("ball", "book", "cat", "chair", "clock", "cup", "hat", "lamp"),
    "street": ("bus", "car", "clock", "dog", "house", "lamp", "tree", "umbrella"),
}
"""Theme to the categories it prefers."""

PREPOSITION = {"beach": "on", "farm": "on", "park": "in", "room": "in", "street": "on"}
"""One is "in" a park but "on" a beach."""

PARTNERS: dict[str, str] = {}
for _one, _other in (
    ("dog", "ball"), ("chair", "lamp"), ("boat", "fish"), ("flower", "butterfly"), ("cup", "book"), ("car", "bus"),
    ("tree", "apple"), ("umbrella", "hat"), ("crab", "star"), ("bird", "kite"), ("cat", "clock"), ("house", "mushroom"),
):  # fmt: skip
    PARTNERS[_one], PARTNERS[_other] = _other, _one

HELD_OUT: dict[str, str] = {
    "boat": "red", "chair": "red", "bus": "orange", "butterfly": "orange", "dog": "yellow", "umbrella": "yellow",
    "fish": "green", "hat": "green", "tree": "blue", "cup": "blue", "car": "purple", "apple": "purple",
    "kite": "pink", "house": "pink", "ball": "white", "lamp": "white",
}  # fmt: skip
"""Category to the one colour it never has in train and val."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
ORDINALS = ("first", "second", "third")

_IRREGULAR = {"bus": "buses", "butterfly": "butterflies", "fish": "fish"}
_PREFERRED, _OTHER, _PARTNER = 8, 1, 12


def plural(noun: str) -> str:
    """ "cat" -> "cats"."""
    return _IRREGULAR.get(noun, noun + "s")


def with_article(phrase: str) -> str:
    """ "apple" -> "an apple"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def held_out_pair(category: str, colour: str) -> bool:
    """Whether train and val never show `category` in `colour`."""
    return HELD_OUT.get(category) == colour


def theme_weights(theme: str) -> tuple[int, ...]:
    """Relative frequency of each of CATEGORIES in a theme, as whole numbers."""
    return tuple(_PREFERRED if category in THEMES[theme] else _OTHER for category in CATEGORIES)


@cache
def popularity() -> dict[str, int]:
    """Relative frequency of each category over all themes, as whole numbers (partners aside)."""
    columns = zip(*(theme_weights(theme) for theme in THEMES), strict=True)
    return dict(zip(CATEGORIES, map(sum, columns), strict=True))


@cache
def cooccurrence(one: str, other: str) -> int:
    """Co-occurrence weight of two categories: shared themes, and a bonus for partners."""
    rows = [dict(zip(CATEGORIES, theme_weights(theme), strict=True)) for theme in THEMES]
    return sum(row[one] * row[other] for row in rows) + _PARTNER * _PREFERRED * (PARTNERS[one] == other)


def absent(present: Sequence[str]) -> list[str]:
    """The categories that are not among the present ones."""
    return [category for category in CATEGORIES if category not in present]


def likely_absent(present: Sequence[str]) -> list[str]:
    """Absent categories, those that co-occur most with the present ones first (POPE's adversarial order)."""
    score = {category: sum(cooccurrence(category, other) for other in set(present)) for category in CATEGORIES}
    return sorted(absent(present), key=lambda category: (-score[category], category))


def popular_absent(present: Sequence[str]) -> list[str]:
    """Absent categories, the most frequent first (POPE's popular order)."""
    return sorted(absent(present), key=lambda category: (-popularity()[category], category))


_WORD = re.compile(r"<extra_id_\d+>|[A-Za-z']+|\d+|[^\sA-Za-z\d]")


def words(text: str) -> list[str]:
    """The words and punctuation marks of a text, in order and case."""
    return _WORD.findall(text)


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word and punctuation mark, sorted, of the world's texts and the prompts; numbers in boxes aside."""
    lexicon = (*CATEGORIES, *map(plural, CATEGORIES), *COLOURS, *SIZES, *THEMES, *NUMBERS, *ORDINALS)
    small = "yes no a an and , left right top bottom above below on in both all color size object objects"
    slots = re.compile(r"\{[^{}]*\}")
    texts = [*lexicon, small, *(slots.sub(" ", template) for template in all_templates()), *template_texts()]
    return tuple(sorted({word for text in texts for word in words(text) if not word.isdigit()}))
