"""Dialogs: three to five rounds in which later questions say "it" or "they" and mean what earlier rounds spoke of."""

from __future__ import annotations

import numpy as np

from lion.random import between, chance, pick, shuffled
from lion.world.language import Question, absent_name, apart, choose_name, relation_truth
from lion.world.relations import Name, clear_relations, denoted, rank
from lion.world.scene import Scene, draw_colour
from lion.world.templates import (
    ALL_COLOUR,
    COUNT,
    EXISTS,
    ITS_COLOUR,
    ITS_LEVEL,
    ITS_RELATION,
    ITS_SIDE,
    ITS_SIZE,
    ONE_COLOUR,
    SAME,
    SIDES,
    THEN_EXISTS,
    TO_IT,
    Wording,
    say,
)
from lion.world.vocabulary import NUMBERS, SIZES, plural, with_article

_SAY_NO = 0.35  # questions whether all are alike are mostly dropped where they are not, so that "yes" is not rare


def dialog(scene: Scene, rng: np.random.Generator) -> tuple[Question, ...]:
    """Three to five rounds about a scene.

    Either about one object ("is there a cat?", "what color is it?", "is it to the left of the tree?", and perhaps on
    to another object), or, where a category is there two or three times, about all of them ("how many cats are
    there?", "are they both red?").
    """
    groups = _groups(scene)
    if groups and chance(rng, 0.5):
        return tuple(_about_them(scene, rng, pick(rng, groups)))
    return tuple(_about_it(scene, rng))


def _groups(scene: Scene) -> list[list[int]]:
    """Sets of two or three objects of one category."""
    categories = sorted({thing.category for thing in scene.objects})
    groups = [denoted(scene, Name(category)) for category in categories]
    return [group for group in groups if 2 <= len(group) <= 3]


def _ask(
    scene: Scene,
    rng: np.random.Generator,
    kind: str,
    wording: Wording,
    answer: str,
    about: tuple[int, ...],
    **slots: str,
) -> Question:
    """A round that needs the earlier ones."""
    template, unseen = say(rng, wording, scene.split)
    return Question(kind, template.format(**slots), answer, True, unseen, about)


def _absent(scene: Scene, rng: np.random.Generator, first: bool) -> Question:
    """Ask for a thing that is not there, sometimes with a size, as present things are."""
    name, _ = absent_name(scene, rng)
    if chance(rng, 0.25):
        name = name._replace(size=pick(rng, SIZES))
    return _introduce(scene, rng, name, None, first)


def _introduce(scene: Scene, rng: np.random.Generator, name: Name, index: int | None, first: bool) -> Question:
    """Ask for a thing; `index` is None if it is absent. Later rounds may do so in short ("what about a dog?")."""
    template, unseen = say(rng, EXISTS if first else THEN_EXISTS, scene.split)
    text = template.format(a_thing=with_article(str(name)), things=str(name._replace(category=plural(name.category))))
    about = () if index is None else (index,)
    return Question("exists", text, "no" if index is None else "yes", False, unseen, about)


def _about_it(scene: Scene, rng: np.random.Generator) -> list[Question]:
    rounds: list[Question] = []
    for _ in range(2):
        if chance(rng, 0.42):
            rounds.append(_absent(scene, rng, not rounds))
    focus = pick(rng, range(len(scene.objects)))
    name = choose_name(scene, rng, focus)
    if name.colour is None and name.size is None and chance(rng, 0.4):
        rounds.append(_how_many(scene, rng, name.category, (focus,)))
    else:
        rounds.append(_introduce(scene, rng, name, focus, not rounds))
    rounds += _follow(scene, rng, focus, name, between(rng, 1, 2) if len(rounds) > 1 else 2)
    nearby = [pair for pair in apart(scene) if pair[0] == focus]
    if nearby and len(rounds) < 4 and chance(rng, 0.5):
        other = pick(rng, nearby)[1]
        other_name = choose_name(scene, rng, other)
        rounds.append(_introduce(scene, rng, other_name, other, False))
        more = _follow(scene, rng, other, other_name, 2)
        asked, truth = relation_truth(rng, clear_relations(scene.objects[focus], scene.objects[other]))
        slots = {"relation": pick(rng, SIDES[asked]), "other": str(name)}
        back = _ask(scene, rng, "relation", TO_IT, "yes" if truth else "no", (focus, other), **slots)
        rounds += shuffled(rng, [back, *more[:1]])
    while len(rounds) < 3:
        rounds.append(_absent(scene, rng, False))
    return rounds[:5]


def _follow(scene: Scene, rng: np.random.Generator, focus: int, name: Name, wanted: int) -> list[Question]:
    """Questions about "it": colour and size unless said, its place to another object."""
    thing = scene.objects[focus]
    options: list[Question] = []
    if name.colour is None:
        options.append(_ask(scene, rng, "colour", ITS_COLOUR, thing.colour, (focus,)))
    if name.size is None:
        options.append(_ask(scene, rng, "size", ITS_SIZE, thing.size, (focus,)))
    nearby = [pair for pair in apart(scene) if pair[0] == focus]
    if nearby:
        _, other, true = pick(rng, nearby)
        anchor = str(choose_name(scene, rng, other))
        if chance(rng, 1 / 3):
            answer = pick(rng, true)
            wording = ITS_SIDE if answer in ("left", "right") else ITS_LEVEL
            options.append(_ask(scene, rng, "relation", wording, answer, (focus, other), other=anchor))
        else:
            asked, truth = relation_truth(rng, true)
            slots = {"relation": pick(rng, SIDES[asked]), "other": anchor}
            options.append(
                _ask(scene, rng, "relation", ITS_RELATION, "yes" if truth else "no", (focus, other), **slots)
            )
    return shuffled(rng, options)[:wanted]


def _about_them(scene: Scene, rng: np.random.Generator, group: list[int]) -> list[Question]:
    things = [scene.objects[i] for i in group]
    category, about = things[0].category, tuple(group)
    rounds: list[Question] = []
    if chance(rng, 0.35):
        rounds.append(_absent(scene, rng, True))
    rounds.append(_how_many(scene, rng, category, about))
    both = "both" if len(group) == 2 else "all"
    options: list[Question] = []
    for what, kind in (("color", "same colour"), ("size", "same size")):
        same = len({thing.colour if what == "color" else thing.size for thing in things}) == 1
        if same or chance(rng, _SAY_NO):
            options.append(_ask(scene, rng, kind, SAME, "yes" if same else "no", about, what=what, all=both))
    colours = sorted({thing.colour for thing in things})
    wrong = draw_colour(rng, category, scene.split)
    asked = pick(rng, colours) if len(colours) > 1 or chance(rng, 0.8) else wrong
    answer = "yes" if colours == [asked] else "no"
    if len(colours) == 1 or chance(rng, _SAY_NO):
        options.append(_ask(scene, rng, "all colour", ALL_COLOUR, answer, about, all=both, colour=asked))
    for side in ("left", "right"):
        outer = [i for i in group if rank(scene, group, i, side) == 0]
        if outer:
            colour = scene.objects[outer[0]].colour
            options.append(_ask(scene, rng, "colour", ONE_COLOUR, colour, (outer[0],), side=side))
    rounds += shuffled(rng, options)[: between(rng, 2, 3)]
    while len(rounds) < 3:
        rounds.append(_absent(scene, rng, False))
    return rounds


def _how_many(scene: Scene, rng: np.random.Generator, category: str, about: tuple[int, ...]) -> Question:
    template, unseen = say(rng, COUNT, scene.split)
    return Question("count", template.format(things=plural(category)), NUMBERS[len(about)], False, unseen, about)
