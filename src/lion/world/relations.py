"""Relations of objects in a scene, with margins: sides, ranks, and the objects that a name denotes.

A relation is true, false, or None where it is unclear. Texts are made from clear cases only.
"""

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

    def fits(self, obj: SceneObject) -> bool:
        """Whether the name describes the object."""
        return (
            self.category in (ANYTHING, obj.category)
            and self.colour in (None, obj.colour)
            and self.size in (None, obj.size)
        )


def denoted(scene: Scene, name: Name) -> list[int]:
    """Indices of the objects that the name describes."""
    return [i for i, obj in enumerate(scene.objects) if name.fits(obj)]


def unique_names(scene: Scene, index: int) -> list[Name]:
    """Names that denote this object only, shortest first; never empty, as no two objects share all three attributes."""
    obj = scene.objects[index]
    names = [Name(obj.category, colour, size) for size in (None, obj.size) for colour in (None, obj.colour)]
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
    """The one object of this name that has the relation to `anchor`, if all others clearly have not; else None."""
    others = [i for i in denoted(scene, name) if i != anchor]
    truths = [holds(scene.objects[i], relation, scene.objects[anchor]) for i in others]
    return others[truths.index(True)] if truths.count(True) == 1 and None not in truths else None


def rank(scene: Scene, indices: list[int], target: int, side: str) -> int | None:
    """Place of `target` among `indices` counted from "left", "right", "top" or "bottom" (0 first); None if unclear."""
    axis = 0 if side in ("left", "right") else 1
    sign = 1 if side in ("left", "top") else -1
    own = scene.objects[target].box.center[axis] * sign
    gaps = [scene.objects[i].box.center[axis] * sign - own for i in indices if i != target]
    if any(abs(gap) < RANK_MARGIN for gap in gaps):
        return None
    return sum(gap < 0 for gap in gaps)
