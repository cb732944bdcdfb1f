"""Dialogs: three to five rounds in which later questions refer by "it" or "they" to objects of earlier rounds."""

import numpy as np

import lion.world.templates as templates
from lion.random import between, chance, pick, shuffled
from lion.world.language import Question, absent_name, apart, ask, choose_name, relation_truth, tags, yes_or_no
from lion.world.relations import Name, clear_relations, denoted, rank
from lion.world.scene import Scene, draw_colour
from lion.world.vocabulary import NUMBERS, SIZES

_KEEP_NO = 0.35  # share of questions "are all alike?" that are kept where the answer is no, so that "yes" is not rare


def dialog(scene: Scene, rng: np.random.Generator) -> tuple[Question, ...]:
    """Three to five rounds about a scene.

    Either about one object ("is there a cat?", "what color is it?", "is it to the left of the tree?", and perhaps on
    to another object), or, where a category is there two or three times, about all of them ("how many cats are
    there?", "are they both red?").
    """
    by_category = [denoted(scene, Name(category)) for category in tags(scene)]
    groups = [group for group in by_category if 2 <= len(group) <= 3]
    if groups and chance(rng, 0.5):
        return tuple(_about_them(scene, rng, pick(rng, groups)))
    return tuple(_about_it(scene, rng))


def _absent(scene: Scene, rng: np.random.Generator, first: bool) -> Question:
    """Ask for an absent object, sometimes with a size, as for present ones."""
    name, _ = absent_name(scene, rng)
    if chance(rng, 0.25):
        name = name._replace(size=pick(rng, SIZES))
    return _introduce(scene, rng, name, None, first)


def _introduce(scene: Scene, rng: np.random.Generator, name: Name, index: int | None, first: bool) -> Question:
    """Ask whether an object exists; `index` is None for an absent one. Later rounds may be short ("and a dog?")."""
    answer, about = ("no", ()) if index is None else ("yes", (index,))
    return ask(scene, rng, "exists", templates.EXISTS if first else templates.THEN_EXISTS, answer, about, name)


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
        side, answer = relation_truth(rng, clear_relations(scene.objects[focus], scene.objects[other]))
        phrase = pick(rng, templates.SIDES[side])
        back = ask(scene, rng, "relation", templates.TO_IT, answer, (focus, other), relation=phrase, other=name)
        rounds += shuffled(rng, [back, *more[:1]])
    while len(rounds) < 3:
        rounds.append(_absent(scene, rng, False))
    return rounds[:5]


def _follow(scene: Scene, rng: np.random.Generator, focus: int, name: Name, wanted: int) -> list[Question]:
    """Questions about "it": colour and size unless `name` has them, its relation to another object."""
    target = scene.objects[focus]
    options: list[Question] = []
    if name.colour is None:
        options.append(ask(scene, rng, "colour", templates.ITS_COLOUR, target.colour, (focus,)))
    if name.size is None:
        options.append(ask(scene, rng, "size", templates.ITS_SIZE, target.size, (focus,)))
    nearby = [pair for pair in apart(scene) if pair[0] == focus]
    if nearby:
        _, other, true = pick(rng, nearby)
        anchor = choose_name(scene, rng, other)
        if chance(rng, 1 / 3):
            answer, phrase = pick(rng, true), ""
            wording = templates.ITS_SIDE if answer in ("left", "right") else templates.ITS_LEVEL
        else:
            side, answer = relation_truth(rng, true)
            wording, phrase = templates.ITS_RELATION, pick(rng, templates.SIDES[side])
        options.append(ask(scene, rng, "relation", wording, answer, (focus, other), relation=phrase, other=anchor))
    return shuffled(rng, options)[:wanted]


def _about_them(scene: Scene, rng: np.random.Generator, group: list[int]) -> list[Question]:
    objects = [scene.objects[i] for i in group]
    category, about = objects[0].category, tuple(group)
    rounds: list[Question] = []
    if chance(rng, 0.35):
        rounds.append(_absent(scene, rng, True))
    rounds.append(_how_many(scene, rng, category, about))
    both = "both" if len(group) == 2 else "all"
    options: list[Question] = []
    for what, kind in (("color", "same colour"), ("size", "same size")):
        same = len({each.colour if what == "color" else each.size for each in objects}) == 1
        if same or chance(rng, _KEEP_NO):
            options.append(ask(scene, rng, kind, templates.SAME, yes_or_no(same), about, what=what, all=both))
    colours = sorted({each.colour for each in objects})
    wrong = draw_colour(rng, category, scene.split)
    colour = pick(rng, colours) if len(colours) > 1 or chance(rng, 0.8) else wrong
    answer = yes_or_no(colours == [colour])
    if len(colours) == 1 or chance(rng, _KEEP_NO):
        options.append(ask(scene, rng, "all colour", templates.ALL_COLOUR, answer, about, all=both, colour=colour))
    for side in ("left", "right"):
        outer = [i for i in group if rank(scene, group, i, side) == 0]
        if outer:
            colour = scene.objects[outer[0]].colour
            options.append(ask(scene, rng, "colour", templates.ONE_COLOUR, colour, (outer[0],), side=side))
    rounds += shuffled(rng, options)[: between(rng, 2, 3)]
    while len(rounds) < 3:
        rounds.append(_absent(scene, rng, False))
    return rounds


def _how_many(scene: Scene, rng: np.random.Generator, category: str, about: tuple[int, ...]) -> Question:
    return ask(scene, rng, "count", templates.COUNT, NUMBERS[len(about)], about, Name(category))
