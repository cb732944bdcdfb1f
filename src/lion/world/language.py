"""Texts about a scene: captions, questions, referring expressions, tags. Dialogs are in `dialog`.

Every function draws from the generator it is given and from nothing else. Questions are built so that a model without
the image gains little: yes and no are balanced, half of the absent objects are plausible or present ones in another
colour, and a count is drawn before the question that has it as its answer. In train and val no text names a held-out
colour-category pair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

import lion.world.templates as templates
from lion.errors import LionError
from lion.random import below, chance, pick, shuffled
from lion.world.relations import ANYTHING, OPPOSITE, Name, clear_relations, denoted, rank, related, unique_names
from lion.world.scene import Scene, draw_colour
from lion.world.templates import Wording, choose
from lion.world.vocabulary import (
    COLOURS,
    NUMBERS,
    ORDINALS,
    PREPOSITION,
    absent,
    held_out_pair,
    likely_absent,
    plural,
    popular_absent,
    with_article,
)

VQA_KINDS = ("exists", "count", "colour", "relation")
"""The kinds of questions."""
EXPRESSION_KINDS = ("unique", "attribute", "relation", "ordinal")
"""The kinds of expressions: what tells an object from the others."""
POPE_FLAVOURS = ("random", "popular", "adversarial")
_LIKELY, _POPULAR = 4, 8  # plausible absent categories are drawn from the first so many

T = TypeVar("T")
Makers = Mapping[str, Callable[[Scene, np.random.Generator], T | None]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its exact short answer."""

    kind: str
    question: str
    answer: str
    needs_history: bool = False
    """Whether the dialog's earlier rounds are needed to understand it."""
    held_out_wording: bool = False
    about: tuple[int, ...] = ()
    """Indices of the objects it refers to."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A phrase that denotes exactly one object, with clear margins."""

    text: str
    kind: str
    target: int
    held_out_wording: bool = False
    redundant: bool = False
    """Whether the category would denote the object without the rest."""


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """One sentence: the theme and every object once, left to right, with colours and, half of the time, sizes."""
    sized = chance(rng, 0.5)
    ordered = sorted(scene.objects, key=lambda each: each.box.center[0])
    names = [Name(each.category, each.colour, each.size if sized else None) for each in ordered]
    template, _ = choose(rng, templates.CAPTION, scene.split)
    objects = listed([with_article(str(name)) for name in names])
    return template.format(theme=scene.theme, on=PREPOSITION[scene.theme], names=objects)


def listed(phrases: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(phrases[:-1]), phrases[-1]) if part)


@overload
def vqa(scene: Scene, rng: np.random.Generator, kind: None = None) -> Question: ...
@overload
def vqa(scene: Scene, rng: np.random.Generator, kind: str) -> Question | None: ...
def vqa(scene: Scene, rng: np.random.Generator, kind: str | None = None) -> Question | None:
    """A question of a kind of VQA_KINDS; without one, of any kind that the scene allows, drawn uniformly.

    None if the scene does not allow the kind (relations need two objects clearly apart). Raises: LionError for an
    unknown kind.
    """
    return _of_kind(_VQA, "question", scene, rng, kind)


@overload
def expression(scene: Scene, rng: np.random.Generator, kind: None = None) -> Expression: ...
@overload
def expression(scene: Scene, rng: np.random.Generator, kind: str) -> Expression | None: ...
def expression(scene: Scene, rng: np.random.Generator, kind: str | None = None) -> Expression | None:
    """A referring expression: "unique" (by category only), "attribute", "relation" or "ordinal"; as :func:`vqa`."""
    return _of_kind(_EXPRESSIONS, "expression", scene, rng, kind)


def _of_kind(makers: Makers[T], noun: str, scene: Scene, rng: np.random.Generator, kind: str | None) -> T | None:
    if kind is None:
        made = (makers[each](scene, rng) for each in shuffled(rng, tuple(makers)))
        return next(each for each in made if each is not None)
    if kind not in makers:
        raise LionError(f"unknown kind of {noun} {kind!r}; choose one of {', '.join(makers)}")
    return makers[kind](scene, rng)


def describe(scene: Scene, index: int) -> str:
    """The description of object `index`, the answer of REG: size, colour, category."""
    target = scene.objects[index]
    return str(Name(target.category, target.colour, target.size))


def pope(scene: Scene, rng: np.random.Generator, flavour: str, positive: bool | None = None) -> Question:
    """A POPE question: is a category in the image? (Li et al. 2023, "Evaluating Object Hallucination in LVLMs".)

    Args:
        flavour: how an absent category is drawn: "random" of all, "popular" of the most frequent, "adversarial" of
            those that co-occur most with the present ones. Raises: LionError for another one.
        positive: whether the answer is yes; None to draw it.
    """
    if flavour not in POPE_FLAVOURS:
        raise LionError(f"unknown POPE flavour {flavour!r}; choose one of {', '.join(POPE_FLAVOURS)}")
    present = tags(scene)
    positive = chance(rng, 0.5) if positive is None else positive
    if positive:
        categories = present
    elif flavour == "random":
        categories = absent(present)
    else:
        categories = popular_absent(present)[:_POPULAR] if flavour == "popular" else likely_absent(present)[:_LIKELY]
    name = Name(pick(rng, categories))
    return ask(scene, rng, f"pope-{flavour}", templates.POPE, yes_or_no(positive), tuple(denoted(scene, name)), name)


def tags(scene: Scene) -> list[str]:
    """The categories in the picture, sorted."""
    return sorted({obj.category for obj in scene.objects})


def noisy_tags(scene: Scene, rng: np.random.Generator, *, drop: float = 0.1, add: float = 0.1) -> list[str]:
    """Tags as an imperfect tagger gives them, sorted.

    Args:
        drop: probability that a present category is missing.
        add: probability, for each present category, that an absent one is added: half of them from those that
            co-occur most with the present ones, half from all.
    """
    true = tags(scene)
    kept = {tag for tag in true if not chance(rng, drop)}
    added = {_absent_category(scene, rng) for _ in true if chance(rng, add)}
    return sorted(kept | added)


def _absent_category(scene: Scene, rng: np.random.Generator) -> str:
    """An absent category, half of the time a likely one."""
    present = tags(scene)
    return pick(rng, likely_absent(present)[:_LIKELY] if chance(rng, 0.5) else absent(present))


def absent_name(scene: Scene, rng: np.random.Generator) -> tuple[Name, tuple[int, ...]]:
    """A name that denotes no object, half of the time a plausible one, and the objects that it resembles."""
    if chance(rng, 0.5):  # no colour
        return Name(_absent_category(scene, rng)), ()
    if chance(rng, 0.5):  # a present category in another colour, often that of another object
        category = pick(rng, tags(scene))
        about = denoted(scene, Name(category))
        colours = [each.colour for each in scene.objects]
        others = [one for one in colours if scene.split == "test" or not held_out_pair(category, one)]
        while True:
            colour = pick(rng, others) if others and chance(rng, 0.5) else draw_colour(rng, category, scene.split)
            if not denoted(scene, Name(category, colour)):
                return Name(category, colour), tuple(about)
    category = pick(rng, absent(tags(scene)))
    return Name(category, draw_colour(rng, category, scene.split)), ()


def choose_name(scene: Scene, rng: np.random.Generator, index: int) -> Name:
    """A name that denotes this object only: mostly the shortest."""
    names = unique_names(scene, index)
    return names[0] if chance(rng, 0.7) else pick(rng, names)


def _bare(scene: Scene, index: int) -> Name:
    return Name(scene.objects[index].category)


def relation_truth(rng: np.random.Generator, true: Sequence[str]) -> tuple[str, str]:
    """A relation to ask about and the answer "yes" or "no", drawn evenly, given the relations that clearly hold."""
    relation = pick(rng, true)
    return (relation, "yes") if chance(rng, 0.5) else (OPPOSITE[relation], "no")


def ask(
    scene: Scene,
    rng: np.random.Generator,
    kind: str,
    wording: Wording,
    answer: str,
    about: tuple[int, ...],
    name: Name | None = None,
    **slots: object,
) -> Question:
    """A question in one of the templates of a wording, filled in as by :func:`fill`.

    Without a name it is about "it" or "they", and so needs the earlier rounds of a dialog.
    """
    template, held_out = choose(rng, wording, scene.split)
    return Question(kind, fill(template, name, **slots), answer, name is None, held_out, about)


def fill(template: str, name: Name | None, **slots: object) -> str:
    """A template with its slots filled: `name`, `a_name` and `names` (its plural) by the name, the others as given."""
    if name is not None:
        plural_name = name._replace(category=plural(name.category))
        slots |= {"name": name, "a_name": with_article(str(name)), "names": plural_name}
    return template.format(**slots)


def yes_or_no(truth: bool) -> str:
    """The answer to a yes-no question."""
    return "yes" if truth else "no"


def _exists(scene: Scene, rng: np.random.Generator) -> Question:
    """ "is there a red cat?" """
    present = chance(rng, 0.5)
    if present:
        index = below(rng, len(scene.objects))
        target = scene.objects[index]
        name = Name(target.category, target.colour if chance(rng, 0.5) else None)
        about: tuple[int, ...] = (index,)
    else:
        name, about = absent_name(scene, rng)
    return ask(scene, rng, "exists", templates.EXISTS, yes_or_no(present), about, name)


def _count(scene: Scene, rng: np.random.Generator) -> Question:
    """ "how many cats are there?" The number is drawn first, from those that some question about the scene has."""
    objects = scene.objects
    names = {Name(ANYTHING), *(Name(each.category) for each in objects)}
    names |= {Name(category, each.colour) for each in objects for category in (each.category, ANYTHING)}
    by_number: dict[int, list[Name]] = {}
    for name in sorted(names, key=str):
        by_number.setdefault(len(denoted(scene, name)), []).append(name)
    number = pick(rng, [0, *sorted(by_number)])
    if number:
        name = pick(rng, by_number[number])
    elif chance(rng, 0.3):
        name = Name(ANYTHING, pick(rng, [c for c in COLOURS if not denoted(scene, Name(ANYTHING, c))]))
    else:
        name, _ = absent_name(scene, rng)
    return ask(scene, rng, "count", templates.COUNT, NUMBERS[number], tuple(denoted(scene, name)), name)


def _colour(scene: Scene, rng: np.random.Generator) -> Question | None:
    """ "what color is the cat?" of an object that its category, or size and category, denote uniquely."""
    found = [(i, name) for i in range(len(scene.objects)) for name in unique_names(scene, i) if name.colour is None]
    if not found:
        return None
    index, name = pick(rng, found)
    return ask(scene, rng, "colour", templates.COLOUR, scene.objects[index].colour, (index,), name)


def apart(scene: Scene) -> list[tuple[int, int, list[str]]]:
    """Ordered pairs of objects that are clearly apart, with the relations that hold."""
    indices = range(len(scene.objects))
    pairs = [(i, j, clear_relations(scene.objects[i], scene.objects[j])) for i in indices for j in indices if i != j]
    return [pair for pair in pairs if pair[2]]


def relation(scene: Scene, rng: np.random.Generator, *, plain: bool = False) -> Question | None:
    """ "is the cat to the left of the dog?", or "is the cat above or below the dog?" a third of the time.

    `plain`: only objects that their category denotes uniquely, and twice as often the second form (for the first part
    of a curriculum).
    """
    pairs = apart(scene)
    if plain:
        pairs = [pair for pair in pairs if all(unique_names(scene, i)[0] == _bare(scene, i) for i in pair[:2])]
    if not pairs:
        return None
    one, other, true = pick(rng, pairs)
    if plain:
        name, anchor = _bare(scene, one), _bare(scene, other)
    else:
        name, anchor = choose_name(scene, rng, one), choose_name(scene, rng, other)
    if chance(rng, 2 / 3 if plain else 1 / 3):
        answer = pick(rng, true)
        wording = templates.EITHER_SIDE if answer in ("left", "right") else templates.EITHER_LEVEL
        return ask(scene, rng, "relation", wording, answer, (one, other), name, other=anchor)
    side, answer = relation_truth(rng, true)
    template, held_out = choose(rng, templates.RELATION, scene.split)
    text = fill(template, name, relation=pick(rng, templates.SIDES[side]), other=anchor)
    return Question("relation", text, answer, False, held_out, (one, other))


def _unique(scene: Scene, rng: np.random.Generator) -> Expression | None:
    lone = [i for i in range(len(scene.objects)) if len(denoted(scene, Name(scene.objects[i].category))) == 1]
    if not lone:
        return None
    index = pick(rng, lone)
    template, held_out = choose(rng, templates.NAMED, scene.split)
    return Expression(template.format(name=scene.objects[index].category), "unique", index, held_out, True)


def _attribute(scene: Scene, rng: np.random.Generator) -> Expression:
    crowded = [i for i, obj in enumerate(scene.objects) if len(denoted(scene, Name(obj.category))) > 1]
    index = pick(rng, crowded) if crowded and chance(rng, 0.75) else below(rng, len(scene.objects))
    name = pick(rng, [name for name in unique_names(scene, index) if name.colour or name.size])
    template, held_out = choose(rng, templates.SAYING, scene.split)
    attributes = " and ".join(word for word in (name.size, name.colour) if word)
    text = template.format(name=name, category=name.category, attributes=attributes)
    return Expression(text, "attribute", index, held_out, index not in crowded)


def _relation(scene: Scene, rng: np.random.Generator) -> Expression | None:
    """The relation is needed where the scene allows such an expression, else it is redundant."""
    found: list[tuple[int, Name, str, int]] = []
    spare: list[tuple[int, Name, str, int]] = []
    for one, other, true in apart(scene):
        obj = scene.objects[one]
        for side in true:
            for name in (Name(obj.category), Name(obj.category, obj.colour), Name(ANYTHING)):
                if related(scene, name, side, other) == one:
                    (spare if denoted(scene, name) == [one] else found).append((one, name, side, other))
    if not found and not spare:
        return None
    one, name, side, other = pick(rng, found if found and (not spare or chance(rng, 0.75)) else spare)
    template, held_out = choose(rng, templates.RELATED, scene.split)
    text = template.format(name=name, relation=pick(rng, templates.SIDES[side]), other=choose_name(scene, rng, other))
    return Expression(text, "relation", one, held_out, denoted(scene, name) == [one])


def _ordinal(scene: Scene, rng: np.random.Generator) -> Expression | None:
    found: list[tuple[int, str, str, int]] = []
    for one, obj in enumerate(scene.objects):
        for category in (obj.category, ANYTHING):
            among = denoted(scene, Name(category))
            for side in templates.OUTERMOST:
                place = rank(scene, among, one, side) if len(among) > 1 else None
                if place is not None and place < (len(ORDINALS) if side in ("left", "right") else 1):
                    found.append((one, category, side, place))
    among_kind = [each for each in found if each[1] != ANYTHING]
    if not found:
        return None
    one, category, side, place = pick(rng, among_kind if among_kind and chance(rng, 0.6) else found)
    outermost = place == 0 and (side in ("top", "bottom") or chance(rng, 0.5))
    template, held_out = choose(rng, templates.OUTERMOST[side] if outermost else templates.ORDINAL, scene.split)
    text = template.format(category=category, nth=ORDINALS[place], side=side)
    return Expression(text, "ordinal", one, held_out)


_VQA = {"exists": _exists, "count": _count, "colour": _colour, "relation": relation}
_EXPRESSIONS = {"unique": _unique, "attribute": _attribute, "relation": _relation, "ordinal": _ordinal}
