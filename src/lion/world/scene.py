"""Scenes: objects and their places, as a pure function of (WORLD_VERSION, split, index, seed, max_objects).

Boxes lie on a grid of 1/128 of the picture, so they are exact at 128, 256, 512, ... pixels. The grid also makes the
splits disjoint by construction: the left edges of a scene, in grid cells, add up to 0 or 1 modulo 4 in train, 2 in val
and 3 in test, which is invisible and which no scene can satisfy twice.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lion.boxes import Box
from lion.errors import LionError
from lion.random import below, between, chance, pick, shuffled, stream, weighted
from lion.world.vocabulary import (
    ASPECT,
    CATEGORIES,
    COLOURS,
    HELD_OUT,
    MAX_OBJECTS,
    PARTNERS,
    SIZES,
    SPLITS,
    THEMES,
    WORLD_VERSION,
    held_out_pair,
    theme_weights,
)

GRID = 128
BACKGROUNDS = 12
"""Variants of each theme's scenery."""

_LONG_SIDE = {"small": (16, 22), "medium": (28, 35), "large": (42, 52)}  # grid cells; the gaps keep sizes apart
_SIZE_WEIGHTS = (3, 4, 3)
_COUNT_WEIGHTS = (2, 3, 4, 4, 3)  # two to six objects
_RESIDUES = {"train": (0, 1), "val": (2,), "test": (3,)}
_DISTRACTOR, _PARTNER = 0.36, 0.2
_TEST_HELD_OUT = 0.33  # of the test objects whose category has a held-out colour: about 22 % of all
_COVERED = 0.24  # at most this share of a box may be covered by nearer boxes; the ink then stays 65 % visible
_SETTLED = 0.4  # share of objects in a natural place: flying ones in the upper half, others lower down
_IN_THE_AIR = frozenset({"bird", "butterfly", "kite", "star"})


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object. `box` is the exact full extent of its ink in the unit square, also where it is covered."""

    category: str
    colour: str
    size: str
    box: Box
    mirrored: bool = False

    @property
    def held_out(self) -> bool:
        """Whether this colour-category pair is held out of train and val."""
        return held_out_pair(self.category, self.colour)


@dataclass(frozen=True, slots=True)
class Scene:
    """The content of a picture; `objects` are ordered from back to front."""

    id: str
    split: str
    theme: str
    background: int
    objects: tuple[SceneObject, ...]

    @property
    def fingerprint(self) -> str:
        """A hash of all that is drawn and nothing else: equal pictures have equal fingerprints."""
        objects = [
            (o.category, o.colour, o.size, o.mirrored, *(round(edge * GRID) for edge in o.box.xyxy()))
            for o in self.objects
        ]
        return hashlib.sha256(json.dumps([self.theme, self.background, objects]).encode()).hexdigest()


class _Kind(NamedTuple):
    category: str
    colour: str
    size: str


class _Spot(NamedTuple):
    x: int
    y: int
    w: int
    h: int


def scene(split: str, index: int, *, seed: int = 0, max_objects: int | None = None) -> Scene:
    """Scene number `index`, from 0, of the split "train", "val" or "test"; scenes do not depend on one another.

    Args:
        seed: gives another world with the same statistics.
        max_objects: None for the usual two to six; k for one to k objects (for a curriculum; these are other scenes).

    Raises:
        LionError: an unknown split, a negative index, or `max_objects` outside 1..6.
    """
    if split not in SPLITS:
        raise LionError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if index < 0:
        raise LionError(f"scene index {index} is negative; count from 0")
    if max_objects is not None and not 1 <= max_objects <= MAX_OBJECTS:
        raise LionError(f"max_objects={max_objects} is out of range; choose 1 to {MAX_OBJECTS}")
    rng = stream("lion-world", WORLD_VERSION, split, seed, index, max_objects)
    theme = pick(rng, tuple(THEMES))
    background = below(rng, BACKGROUNDS)
    if max_objects is None:
        count = weighted(rng, range(2, MAX_OBJECTS + 1), _COUNT_WEIGHTS)
    else:
        count = between(rng, 1, max_objects)
    kinds = _draw_kinds(rng, theme, count, split)
    while (spots := _layout(rng, kinds, split)) is None:  # too crowded: make one object smaller and lay out anew
        kinds = _shrink(rng, kinds)
    placed = sorted(zip(kinds, spots, strict=True), key=lambda pair: pair[1].y + pair[1].h)
    objects = tuple(
        SceneObject(*kind, Box(s.x / GRID, s.y / GRID, (s.x + s.w) / GRID, (s.y + s.h) / GRID), chance(rng, 0.5))
        for kind, s in placed
    )
    suffix = "" if max_objects is None else f"-max{max_objects}"
    return Scene(f"{split}-{seed}-{index}{suffix}", split, theme, background, objects)


def draw_colour(rng: np.random.Generator, category: str, split: str) -> str:
    """A colour for `category` as the split has it: train and val avoid the held-out pair, test favours it."""
    if split == "test" and category in HELD_OUT and chance(rng, _TEST_HELD_OUT):
        return HELD_OUT[category]
    return pick(rng, [colour for colour in COLOURS if not held_out_pair(category, colour)])


def _draw_kinds(rng: np.random.Generator, theme: str, count: int, split: str) -> list[_Kind]:
    """Draw categories by the theme's prior, partners and distractors, then colours and sizes; all different."""
    kinds: list[_Kind] = []
    while len(kinds) < count:
        size = weighted(rng, SIZES, _SIZE_WEIGHTS)
        if kinds and chance(rng, _DISTRACTOR):
            twin = pick(rng, kinds)
            colour = twin.colour if chance(rng, 0.4) else draw_colour(rng, twin.category, split)
            kind = _Kind(twin.category, colour, size)
        else:
            paired = kinds and chance(rng, _PARTNER)
            category = (
                PARTNERS[pick(rng, kinds).category] if paired else weighted(rng, CATEGORIES, theme_weights(theme))
            )
            kind = _Kind(category, draw_colour(rng, category, split), size)
        if kind not in kinds:
            kinds.append(kind)
    return kinds


def _shrink(rng: np.random.Generator, kinds: list[_Kind]) -> list[_Kind]:
    """Make one object smaller where the result differs from all others; six small objects always find room."""
    for index in shuffled(rng, range(len(kinds))):
        kind = kinds[index]
        if kind.size != "small":
            smaller = kind._replace(size=SIZES[SIZES.index(kind.size) - 1])
            if smaller not in kinds:
                return [*kinds[:index], smaller, *kinds[index + 1 :]]
    return kinds


def _layout(rng: np.random.Generator, kinds: list[_Kind], split: str) -> list[_Spot] | None:
    """A place for each object, or None if the picture is too crowded."""
    residue = pick(rng, _RESIDUES[split])
    spots: list[_Spot] = []
    for kind in kinds:
        last = len(spots) == len(kinds) - 1
        w, h = _extent(rng, kind)
        for _ in range(24):
            x = below(rng, GRID - w + 1)
            if last:
                x += (residue - x - sum(spot.x for spot in spots)) % 4
                if x > GRID - w:
                    x -= 4
            y = below(rng, GRID - h + 1)
            if chance(rng, _SETTLED):
                y = y // 2 if kind.category in _IN_THE_AIR else GRID - h - y * 5 // 8
            spot = _Spot(x, y, w, h)
            if _all_visible([*spots, spot]):
                spots.append(spot)
                break
        else:
            return None
    return spots


def _extent(rng: np.random.Generator, kind: _Kind) -> tuple[int, int]:
    """Width and height in grid cells; a size is the length of the longer side."""
    long = between(rng, *_LONG_SIDE[kind.size])
    aspect = ASPECT[kind.category]
    return (long, round(long / aspect)) if aspect >= 1 else (round(long * aspect), long)


def _all_visible(spots: list[_Spot]) -> bool:
    """Whether every box is mostly visible: nearer objects (lower bottom edge, then later) cover little of it."""
    for i, a in enumerate(spots):
        covered = 0
        for j, b in enumerate(spots):
            if (b.y + b.h, j) > (a.y + a.h, i):
                dx = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
                dy = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
                if dx > 0 and dy > 0:
                    covered += dx * dy
        if covered > _COVERED * a.w * a.h:
            return False
    return True
