"""What is true in a scene, with clear margins: sides, ranks, and who a description denotes.

Every claim is three-valued: true, false, or None where people would argue. Texts are made from clear cases only.
"""

from __future__ import annotations

from typing import NamedTuple

from lion.world.scene import Scene, SceneObject

MARGIN = 0.1
"""Two centres are clearly apart along an axis if they differ by this share of the picture."""
RANK_MARGIN = 0.05
"""The same between neighbours in an order ("the second cat from the left")."""

ANYTHING = "object"
"""Stands for every category in expressions and counts."""

OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
_AXIS = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}  # axis and direction


class Name(NamedTuple):
    """A noun phrase: a category or ANYTHING, with attributes or without."""

    category: str
    colour: str | None = None
    size: str | None = None

    def __str__(self) -> str:
        return " ".join(word for word in (self.size, self.colour, self.category) if word)

    def fits(self, thing: SceneObject) -> bool:
        """Whether `thing` may be called so."""
        return (
            self.category in (ANYTHING, thing.category)
            and self.colour in (None, thing.colour)
            and self.size in (None, thing.size)
        )


def denoted(scene: Scene, name: Name) -> list[int]:
    """Indices of the objects that `name` fits."""
    return [i for i, thing in enumerate(scene.objects) if name.fits(thing)]


def unique_names(scene: Scene, index: int) -> list[Name]:
    """Names that denote this object alone, shortest first; never empty, for no two objects are alike in all three."""
    thing = scene.objects[index]
    names = [
        Name(thing.category),
        Name(thing.category, thing.colour),
        Name(thing.category, None, thing.size),
        Name(thing.category, thing.colour, thing.size),
    ]
    return [name for name in names if denoted(scene, name) == [index]]


def holds(one: SceneObject, relation: str, other: SceneObject) -> bool | None:
    """Whether `one` is to the left of / right of / above / below `other` by their centres; None if unclear."""
    axis, sign = _AXIS[relation]
    gap = (one.box.center[axis] - other.box.center[axis]) * sign
    return None if abs(gap) < MARGIN else gap > 0


def clear_relations(one: SceneObject, other: SceneObject) -> list[str]:
    """The relations that clearly hold of `one` to `other`."""
    return [relation for relation in OPPOSITE if holds(one, relation, other)]


def related(scene: Scene, name: Name, relation: str, anchor: int) -> int | None:
    """The only object called `name` that stands so to `anchor`, all others clearly not; None if there is none."""
    found: list[int] = []
    for i in denoted(scene, name):
        if i == anchor:
            continue
        truth = holds(scene.objects[i], relation, scene.objects[anchor])
        if truth is None:
            return None
        if truth:
            found.append(i)
    return found[0] if len(found) == 1 else None


def rank(scene: Scene, indices: list[int], target: int, side: str) -> int | None:
    """Place of `target` among `indices` counted from "left", "right", "top" or "bottom" (0 first); None if unclear."""
    axis = 0 if side in ("left", "right") else 1
    sign = 1 if side in ("left", "top") else -1
    own = scene.objects[target].box.center[axis] * sign
    gaps = [scene.objects[i].box.center[axis] * sign - own for i in indices if i != target]
    if any(abs(gap) < RANK_MARGIN for gap in gaps):
        return None
    return sum(gap < 0 for gap in gaps)
