"""The curriculum of the language model's pretraining: scenes as object tokens or text, and an instruction on each.

Difficulty rises with the share of the run that is over: at first scenes have few objects and instructions are bare;
later the tokens are as inexact as visual tokens will be (noise, duplicates, background tokens, in the Q-Former's grid
blends of two objects), tags precede instructions, and most scenes are given in the grids in which the connectors will
give them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from lion.boxes import Box, format_box
from lion.data.sources.world import instruction_and_answer
from lion.prompts import Task, tag_prompt
from lion.train.mini.alignment import assign_cells, covered_cells
from lion.train.recipe.schema import WorldData
from lion.train.stages import REGION_TASKS, PretrainLanguageOptions
from lion.world import COLOURS, Scene, scene

_FEW = 3
"""Most objects in a scene at the end of the phase with few objects."""
GROUNDING_TASKS = frozenset({Task.REC, Task.REG, Task.VQA})
"""Tasks of the grounding phase, in which instructions are bare, and what is learnt is which object they refer to."""
_MOST_TOKENS = 24
"""Most object tokens of a scene."""
_ALONE = 0.3
"""Share of the scenes in grids that are given in one, as in stages 1 and 2."""
_COPIES = 2
"""Most object tokens of one object: the two kinds of visual tokens will repeat it, too."""
_OMITTED = 0.3
"""Probability that an object that the question is about, and a tag names, has no object token."""
_SHOWN = 0.7
"""Probability that a cell of a grid that an object covers shows it, where the object has another cell for itself."""
_CLEARER = 0.5
"""Noise of the aggregator's tokens beside the Q-Former's where those are blended: .4, .8 measured (``docs/log.md``)."""
_scene = lru_cache(maxsize=1 << 16)(scene)


class Grid(NamedTuple):
    """A grid that a scene is given in."""

    side: int
    """Cells a side."""
    blended: float = 0.0
    """Largest share that another object, or the background, has in an object's token."""
    noise: float = 1.0
    """Of its tokens, as a share of the batch's."""


@dataclass(frozen=True)
class Difficulty:
    """The settings that the examples of a batch share; see also :func:`instruction_and_answer`."""

    task: Task
    noise_level: float = 1.0
    """Of object tokens, 0 to 1."""
    background_share: float = 0.0
    """Share of the unused room for tokens that background tokens fill at noise level 1."""
    tagged: bool = False
    """Whether tags precede the instruction."""
    bare: bool = False
    placed: bool = False
    word_dropout: float = 0.0
    comparisons: float = 0.0
    grids: tuple[Grid, ...] = ()
    """Those that scenes are given in, in order; none: a list of tokens."""


@dataclass(frozen=True)
class ObjectToken:
    """An object by its words, box and index in the scene, or the background by its theme alone."""

    words: tuple[str, ...]
    box: Box | None = None
    object_index: int | None = None
    share: float = 1.0
    """Of the token; the rest is `blended_with`."""
    blended_with: "ObjectToken | None" = None
    noise: float = 1.0
    """As a share of the batch's."""


@dataclass(frozen=True)
class Example:
    """One scene, one instruction and its answer."""

    scene: Scene
    task: Task
    text: str
    answer: str
    meta: Mapping[str, Any]
    """As :func:`instruction_and_answer` returns it."""
    tokens: Sequence[ObjectToken]


class Curriculum:
    """The examples of a run, by the share of it that is over.

    Args:
        data, options: the recipe's.
        decimals: of boxes in text.
        queries, patches: cells a side of the Q-Former's and the aggregator's grid.
    """

    def __init__(
        self, data: WorldData, options: PretrainLanguageOptions, decimals: int, queries: int, patches: int
    ) -> None:
        self.data, self.options, self.decimals = data, options, decimals
        self.queries = Grid(queries, options.blended)
        self.patches = Grid(patches, noise=_CLEARER if options.blended else 1.0)
        self.tasks: Sequence[Task] = list(data.tasks)
        self._tagged = data.tags.share if data.tags else 0.0

    def batch(self, done: float, size: int, rng: np.random.Generator) -> tuple[Difficulty, list[Example]]:
        """A batch of `size` examples when the share `done` of the run (0 to 1) is over."""
        grounding = done < self.options.curriculum_grounding
        tasks = [task for task in self.tasks if task in GROUNDING_TASKS or not grounding]
        weights = np.array([self.data.tasks[task] for task in tasks])
        edges = np.cumsum(weights) / weights.sum()
        task = tasks[int(np.searchsorted(edges, rng.random(), side="right"))]
        indices = [int(rng.random() * self.data.scenes) for _ in range(size)]
        most = most_objects(done, self.options.curriculum_few_objects)
        scenes = [_scene("train", index, max_objects=most) for index in indices]
        noise_level = _noise_level(done)
        difficulty = Difficulty(
            task,
            noise_level=noise_level,
            background_share=rng.random(),
            tagged=not grounding and rng.random() < self._tagged,
            bare=grounding,
            # Spatial relations take longest to learn.
            placed=rng.random() < (0.4 if grounding or task == Task.REC else 0.15),
            word_dropout=self.data.word_dropout,
            comparisons=self.data.comparisons,
            grids=self._grids(task, rng) if noise_level and rng.random() < self.options.grids * noise_level else (),
        )
        return difficulty, [self._example(shown, difficulty, rng) for shown in scenes]

    def validation_example(self, shown: Scene, task: Task, rng: np.random.Generator) -> Example:
        """An example on a given scene, as noisy as at the end of a run; in both grids if the run has any."""
        grids = (self.queries, self.patches) if self.options.grids else ()
        difficulty = Difficulty(task, background_share=rng.random(), tagged=rng.random() < self._tagged, grids=grids)
        return self._example(shown, difficulty, rng)

    def _grids(self, task: Task, rng: np.random.Generator) -> tuple[Grid, ...]:
        """Both grids, as in stage 3, or the one of stage 1 or 2."""
        alone = self.patches if task in REGION_TASKS else self.queries
        return (alone,) if rng.random() < _ALONE else (self.queries, self.patches)

    def _example(self, shown: Scene, difficulty: Difficulty, rng: np.random.Generator) -> Example:
        task = difficulty.task
        ways = {name: getattr(difficulty, name) for name in ("bare", "placed", "word_dropout", "comparisons")}
        text, answer, meta = instruction_and_answer(shown, task, rng, self.decimals, **ways)
        tags = self.data.tags.corrupted(shown, rng) if difficulty.tagged and self.data.tags else None
        tokens: Sequence[ObjectToken] = ()
        if self.options.scene_as == "text":
            text = f"{_in_words(shown, rng)} {text}"
        else:
            tokens = _object_tokens(shown, rng, difficulty, _omitted(shown, text, meta, tags or (), rng))
        return Example(shown, task, text if tags is None else tag_prompt(tags) + text, answer, meta, tokens)


def most_objects(done: float, few_first: float) -> int | None:
    """Most objects in a scene when `done` of a run is over: one, then two, then three; None (any) after `few_first`."""
    return None if done >= few_first else 1 + int(done / few_first * _FEW)


def _noise_level(done: float) -> float:
    """0 until the model can match words (0.35 of the run), then a linear rise to 1 at 0.6."""
    return min(max((done - 0.35) / 0.25, 0.0), 1.0)


def _omitted(
    shown: Scene, text: str, meta: Mapping[str, Any], tags: Sequence[str], rng: np.random.Generator
) -> Sequence[int]:
    """Indices of objects that get no token although the question is about them and a tag names them.

    As visual tokens miss objects, too; otherwise the model would not learn to read tags.
    """
    about = meta.get("about", ())
    if meta.get("kind") != "exists" or not about or any(colour in text.split() for colour in COLOURS):
        return ()
    category = shown.objects[about[0]].category
    if category not in tags or rng.random() >= _OMITTED:
        return ()
    return [index for index, one in enumerate(shown.objects) if one.category == category]


def _object_tokens(
    shown: Scene, rng: np.random.Generator, difficulty: Difficulty, omitted: Sequence[int]
) -> list[ObjectToken]:
    """A scene as object tokens in random order; at noise level 1 each object up to twice, and the background.

    Or in grids: row by row, in each cell the object that it shows, or the background.
    """
    if difficulty.grids:
        return [token for grid in difficulty.grids for token in _cells(shown, grid, rng, omitted)]
    tokens: list[ObjectToken] = []
    for index in range(len(shown.objects)):
        if index not in omitted:
            token = _object_token(shown, index)
            tokens += [token] * (1 + int(rng.random() * difficulty.noise_level * _COPIES))
    room = max(_MOST_TOKENS - len(tokens), 0)
    tokens += [ObjectToken((shown.theme,))] * int(difficulty.background_share * difficulty.noise_level * room)
    return [tokens[place] for place in rng.permutation(len(tokens))]


def _object_token(shown: Scene, index: int) -> ObjectToken:
    one = shown.objects[index]
    return ObjectToken((one.size, one.colour, one.category), one.box, index)


def _cells(shown: Scene, grid: Grid, rng: np.random.Generator, omitted: Sequence[int]) -> list[ObjectToken]:
    """The cells of a grid, row by row, as the alignment loss assigns them to objects.

    Each object has a cell for itself where one is free; others that it covers show it, or another that covers them, or
    nothing.
    """
    side = grid.side
    boxes_1M4 = torch.tensor([[one.box.xyxy() for one in shown.objects]])
    covered_1MN = covered_cells(boxes_1M4, side * side)
    covered_1MN[:, list(omitted)] = False
    distance_MN = rng.random(covered_1MN.shape[1:])
    usable_MN = assign_cells(covered_1MN, torch.from_numpy(distance_MN)[None])[0].numpy()
    ranked_MN = np.where(usable_MN, distance_MN, np.inf)
    nearest_N, showing_N = ranked_MN.argmin(0), usable_MN.any(0) & (rng.random(side * side) < _SHOWN)
    purest_N = np.zeros(side * side, bool)
    for index in np.flatnonzero(usable_MN.any(1)):
        own = ranked_MN[index].argmin()
        nearest_N[own], showing_N[own], purest_N[own] = index, True, True
    background = replace(ObjectToken((shown.theme,)), noise=grid.noise)
    tokens = [replace(_object_token(shown, index), noise=grid.noise) for index in range(len(shown.objects))]
    cells = [tokens[index] if shows else background for index, shows in zip(nearest_N, showing_N, strict=True)]
    if not grid.blended:
        return cells
    kept = [token for index, token in enumerate(tokens) if index not in omitted]
    return [
        _blended(cell, [*kept, background], grid.blended, bool(purest), rng)
        for cell, purest in zip(cells, purest_N, strict=True)
    ]


def _blended(
    cell: ObjectToken, others: Sequence[ObjectToken], most: float, purest: bool, rng: np.random.Generator
) -> ObjectToken:
    """An object's cell with a share of one of `others` in it, less in the object's own cell; as it is, if of none."""
    share, other = rng.random(), others[int(rng.random() * len(others))]
    if cell.object_index is None or other is cell:
        return cell
    return replace(cell, share=1 - most * (share**2 if purest else share), blended_with=other)


def _in_words(shown: Scene, rng: np.random.Generator) -> str:
    """A scene in words, objects in random order."""
    objects = (shown.objects[place] for place in rng.permutation(len(shown.objects)))
    words = (f"{one.size} {one.colour} {one.category} {format_box(one.box, 2)}" for one in objects)
    return f"{shown.theme}: " + ", ".join(words) + "."
