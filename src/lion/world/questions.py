"""The frozen questions of the val and test splits, and the hashes that detect changes of the world.

`frozen.json` was written before the first model was trained. A change of a scene, a drawing, a text or a question
changes a hash; WORLD_VERSION must then be raised and every published number be measured anew.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

import lion.world.language as language
from lion.atomic import atomic_write
from lion.boxes import Box
from lion.errors import LionError
from lion.prompts import HELD_OUT_INSTRUCTIONS, INSTRUCTION_FIELDS, Task, instruction
from lion.random import below, chance, stream
from lion.world.dialog import dialog
from lion.world.draw import drawing_hash
from lion.world.scene import Scene, scene
from lion.world.vocabulary import SPLITS, WORLD_VERSION, vocabulary

POPE_TASKS = tuple(f"pope-{flavour}" for flavour in language.POPE_FLAVOURS)
"""POPE's three sets: does the picture show a thing that is absent, at random, often, or beside such things?"""
QUESTION_SETS = (*(str(task) for task in Task), *POPE_TASKS)
"""The names that `test_questions` takes."""


@dataclass(frozen=True, slots=True)
class TestQuestion:
    """One question of a frozen set, with the attributes by which results are sliced."""

    __test__ = False  # pytest would take it for a test case

    id: str
    set: str
    task: Task
    split: str
    scene_index: int
    kind: str
    answer: str
    """The exact answer; for REC the box, see `box`; for captions one good caption (score them by what they mention)."""
    question: str | None = None
    expression: str | None = None
    box: Box | None = None
    """REC: the answer. REG: the box in the instruction."""
    history: tuple[tuple[str, str], ...] = ()
    needs_history: bool = False
    held_out_pair: bool = False
    """It is about an object in a held-out colour (captions: the scene has one)."""
    held_out_wording: bool = False
    """The question or expression has a held-out wording."""
    held_out_instruction: int | None = None
    """Index of the held-out instruction; None for the default instruction."""

    @property
    def scene(self) -> Scene:
        """The scene it is about."""
        return scene(self.split, self.scene_index)

    def instruction(self, decimals: int = 3) -> str:
        """The instruction for the model, without tags; `decimals` as the processor's `box_decimals`."""
        fields = {name: getattr(self, name) for name in INSTRUCTION_FIELDS[self.task]}
        held_out = self.held_out_instruction
        return instruction(
            self.task, template=held_out or 0, decimals=decimals, held_out=held_out is not None, **fields
        )


def test_questions(name: str, n: int = 1000, *, split: str = "test") -> list[TestQuestion]:
    """The first `n` frozen questions of a set of QUESTION_SETS; kinds alternate, as do yes and no in the POPE sets.

    `split` is "test", or "val" for choosing recipes. Raises: LionError for an unknown set or split.
    """
    if name not in QUESTION_SETS:
        raise LionError(f"unknown question set {name!r}; choose one of {', '.join(QUESTION_SETS)}")
    if split not in SPLITS:
        raise LionError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    return list(islice(_endless(name, split), n))


test_questions.__test__ = False  # type: ignore[attr-defined]


def _endless(name: str, split: str) -> Iterator[TestQuestion]:
    """Questions scene by scene; a scene that does not allow the kind whose turn it is is skipped."""
    task = Task.VQA if name in POPE_TASKS else Task(name)
    number = 0
    for index in count():
        now = scene(split, index)
        rng = stream("lion-world-questions", WORLD_VERSION, name, split, index)
        for fields in _contents(name, now, rng, number):
            fields["held_out_pair"] = any(now.objects[i].held_out for i in fields.pop("about"))
            fields["held_out_instruction"] = _held_out_instruction(rng, task, split, name)
            yield TestQuestion(f"{name}-{split}-{number}", name, task, split, index, **fields)
            number += 1


def _held_out_instruction(rng: np.random.Generator, task: Task, split: str, name: str) -> int | None:
    if split != "test" or name in POPE_TASKS or not chance(rng, 0.5):
        return None
    return below(rng, len(HELD_OUT_INSTRUCTIONS[task]))


def _contents(name: str, now: Scene, rng: np.random.Generator, turn: int) -> list[dict[str, Any]]:
    """The fields of TestQuestion that depend on the task, and `about`; none if the scene does not allow it."""
    if name == Task.CAPTION:
        return [{"kind": "caption", "answer": language.caption(now, rng), "about": range(len(now.objects))}]
    if name == Task.REG:
        index = below(rng, len(now.objects))
        answer, box = language.describe(now, index), now.objects[index].box
        return [{"kind": "reg", "answer": answer, "box": box, "about": (index,)}]
    if name == Task.REC:
        phrase = language.expression(now, rng, language.EXPRESSION_KINDS[turn % len(language.EXPRESSION_KINDS)])
        if phrase is None:
            return []
        box = now.objects[phrase.target].box
        fields = {"kind": phrase.kind, "answer": str(box.xyxy()), "expression": phrase.text, "box": box}
        return [{**fields, "held_out_wording": phrase.held_out_wording, "about": (phrase.target,)}]
    if name == Task.DIALOG:
        rounds = dialog(now, rng)
    elif name == Task.VQA:
        question = language.vqa(now, rng, language.VQA_KINDS[turn % len(language.VQA_KINDS)])
        rounds = (question,) if question else ()
    else:
        rounds = (language.pope(now, rng, name.removeprefix("pope-"), positive=turn % 2 == 0),)
    history = [(one.question, one.answer) for one in rounds]
    return [{**asdict(one), "history": tuple(history[:i])} for i, one in enumerate(rounds)]


def fingerprints(scenes: int = 200) -> dict[str, str]:
    """Hashes of samples of everything that is frozen, by name."""
    out = {"version": WORLD_VERSION, "vocabulary": _digest(vocabulary()), "drawing": drawing_hash()}
    for split in SPLITS:
        sample = [scene(split, index) for index in range(scenes)]
        capped = [scene(split, index, max_objects=1 + index % 6) for index in range(scenes)]
        out[f"scenes/{split}"] = _digest([one.fingerprint for one in (*sample, *capped)])
        out[f"texts/{split}"] = _digest([_all_texts(one) for one in (*sample, *capped)])
    for name in QUESTION_SETS:
        for split in ("val", "test"):
            out[f"questions/{name}/{split}"] = _digest([asdict(one) for one in test_questions(name, split=split)])
    return out


def frozen() -> dict[str, str]:
    """The hashes as of the first training run."""
    return dict(json.loads(resources.files("lion.world").joinpath("frozen.json").read_text("utf-8")))


def freeze(path: Path | None = None) -> None:
    """Write the present hashes: only together with a new WORLD_VERSION."""
    text = json.dumps(fingerprints(), indent=1) + "\n"
    atomic_write(path or Path(__file__).with_name("frozen.json"), text)


def _all_texts(one: Scene) -> list[Any]:
    rng = stream("lion-world-freeze", one.id)
    texts: list[Any] = [language.caption(one, rng), language.tags(one)]
    texts += [language.noisy_tags(one, rng, drop=0.2, add=0.2)]
    texts += [language.describe(one, index) for index in range(len(one.objects))]
    texts += [asdict(found) for kind in language.VQA_KINDS if (found := language.vqa(one, rng, kind))]
    texts += [asdict(phrase) for kind in language.EXPRESSION_KINDS if (phrase := language.expression(one, rng, kind))]
    texts += [asdict(language.vqa(one, rng)), asdict(language.expression(one, rng)), *map(asdict, dialog(one, rng))]
    return [*texts, *(asdict(language.pope(one, rng, flavour)) for flavour in language.POPE_FLAVOURS)]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
