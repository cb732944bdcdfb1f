"""The wordings of the drawn world; held-out ones occur in the test split only, and their words in trained ones too."""

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from lion.random import chance, pick


class Wording(NamedTuple):
    """Templates with the same meaning."""

    trained: tuple[str, ...]
    held_out: tuple[str, ...] = ()


CAPTION = Wording(
    (
        "a {theme} with {names}",
        "there is {names} {on} the {theme}",
        "{names} {on} a {theme}",
        "this is a {theme} with {names}",
        "an image of a {theme} with {names}",
    ),
    (
        "there is a {theme} with {names}",
        "an image of {names} {on} a {theme}",
        "this is an image of a {theme} with {names}",
    ),
)

EXISTS = Wording(
    (
        "is there {a_name}?",
        "is there {a_name} in the image?",
        "are there any {names}?",
        "do you see {a_name}?",
        "can you see any {names} in the image?",
    ),
    ("do you see any {names} in the image?", "can you see {a_name}?", "are there any {names} in the image?"),
)
POPE = Wording(("is there {a_name} in the image?",))

COUNT = Wording(
    (
        "how many {names} are there?",
        "how many {names} are in the image?",
        "how many {names} do you see?",
        "what is the number of {names}?",
    ),
    (
        "how many {names} can you see?",
        "what is the number of {names} in the image?",
        "how many {names} are there in the image?",
    ),
)

COLOUR = Wording(
    ("what color is the {name}?", "what is the color of the {name}?", "which color is the {name}?"),
    ("which color is the {name} in the image?", "the {name} is what color?"),
)

RELATION = Wording(
    (
        "is the {name} {relation} the {other}?",
        "do you see the {name} {relation} the {other}?",
        "is there {a_name} {relation} the {other}?",
    ),
    ("can you see the {name} {relation} the {other}?", "in the image, is the {name} {relation} the {other}?"),
)
EITHER_SIDE = Wording(
    (
        "is the {name} to the left or to the right of the {other}?",
        "is the {name} to the right or to the left of the {other}?",
        "is the {name} to the left or right of the {other}?",
    ),
    ("in the image, is the {name} to the right or left of the {other}?",),
)
EITHER_LEVEL = Wording(
    ("is the {name} above or below the {other}?", "is the {name} below or above the {other}?"),
    ("in the image, is the {name} above or below the {other}?",),
)

SIDES: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above", "higher than"),
    "below": ("below", "lower than"),
}

# Dialog: later rounds refer back by "it" and "they".
THEN_EXISTS = Wording(("what about {a_name}?", "and {a_name}?", "is there {a_name}?"), ("and is there {a_name}?",))
ITS_COLOUR = Wording(
    ("what color is it?", "what is its color?", "which color is it?"), ("it is what color?", "what is the color of it?")
)
ITS_SIZE = Wording(("how large is it?", "what size is it?"), ("what is its size?", "it is what size?"))
ITS_RELATION = Wording(
    ("is it {relation} the {other}?", "and is it {relation} the {other}?"),
    ("in the image, is it {relation} the {other}?",),
)
ITS_SIDE = Wording(
    ("is it to the left or to the right of the {other}?", "is it to the right or to the left of the {other}?")
)
ITS_LEVEL = Wording(("is it above or below the {other}?", "is it below or above the {other}?"))
TO_IT = Wording(
    ("is the {other} {relation} it?", "and is the {other} {relation} it?"),
    ("in the image, is the {other} {relation} it?",),
)
ALL_COLOUR = Wording(
    ("are they {all} {colour}?", "are {all} of them {colour}?"), ("are they {all} of the color {colour}?",)
)
SAME = Wording(
    ("do they have the same {what}?", "are they the same {what}?"), ("do {all} of them have the same {what}?",)
)
ONE_COLOUR = Wording(
    ("what color is the one on the {side}?", "what is the color of the {side} one?"),
    ("which color is the one on the {side}?", "what color is the {side} one?"),
)

# Referring expressions.
NAMED = Wording(("the {name}", "{name}"), ("the {name} in the image", "the one {name}"))
SAYING = Wording(
    ("the {name}", "{name}", "the {category} that is {attributes}"),
    ("the {category} in the image that is {attributes}", "{category} that is {attributes}"),
)
RELATED = Wording(
    ("the {name} {relation} the {other}", "{name} {relation} the {other}", "the {name} that is {relation} the {other}"),
    ("the one {name} {relation} the {other}", "{name} that is {relation} the {other}"),
)
ORDINAL = Wording(
    ("the {nth} {category} from the {side}", "{nth} {category} from the {side}"),
    ("the {category} that is {nth} from the {side}",),
)


def _outermost(adjective: str, place: str) -> Wording:
    category = "{category}"
    return Wording(
        (f"the {adjective} {category}", f"the {category} {place}"),
        (f"the {category} that is {adjective}", f"{category} {place}"),
    )


OUTERMOST = {
    "left": _outermost("leftmost", "on the far left"),
    "right": _outermost("rightmost", "on the far right"),
    "top": _outermost("highest", "at the top"),
    "bottom": _outermost("lowest", "at the bottom"),
}


def choose(rng: np.random.Generator, wording: Wording, split: str) -> tuple[str, bool]:
    """A template, and whether it is held out: never in train and val, every other time in test."""
    if split == "test" and wording.held_out and chance(rng, 0.5):
        return pick(rng, wording.held_out), True
    return pick(rng, wording.trained), False


def is_held_out(question: str) -> bool:
    """Whether a question has a held-out wording, whatever objects it names; case and punctuation do not count."""
    return _held_out_questions().fullmatch(_plain(question)) is not None


@cache
def _held_out_questions() -> re.Pattern[str]:
    word = r"(?!(?:in|image|do|you|see|can|there|any|is|are)\b)\w+"  # "any cats in the image" is no name
    questions = [text for wording in _wordings() for text in wording.held_out if text.endswith("?")]
    return re.compile("|".join(_plain(text).replace("slot", f"{word}(?: {word})*") for text in questions))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", re.sub(r"{\w+}", "slot", text).lower()))


def _wordings() -> list[Wording]:
    return [value for value in globals().values() if isinstance(value, Wording)] + list(OUTERMOST.values())


def all_templates() -> list[str]:
    """Every template of this module."""
    groups = [*((*wording.trained, *wording.held_out) for wording in _wordings()), *SIDES.values()]
    return [template for group in groups for template in group]
