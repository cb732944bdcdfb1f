"""The drawn world as A-OKVQA, IconQA and MMBench: questions with options to choose from."""

import base64
import csv
import hashlib
import io

from lion.data.sources.mmbench import ABILITIES, LETTERS, ROTATION
from lion.data.writers.facts import Album, Fact, options
from lion.world.vocabulary import SPLITS

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CATEGORIES = {
    "exists": ("image_scene", "CP"),
    "count": ("object_localization", "FP-S"),
    "relation": ("spatial_relationship", "FP-C"),
    "choice": ("physical_relation", "RR"),
    "colour": ("physical_property_reasoning", "AR"),
    "total": ("structuralized_imagetext_understanding", "LR"),
}
"""Kinds of questions to MMBench's categories and abilities: the nearest ones, so that each ability has some."""
_SKILLS = {"exists": "scene", "count": "counting", "relation": "spatial", "colour": "color"}


def aokvqa(album: Album) -> None:
    """`aokvqa_v1p0_<split>.json`: four choices, ten direct answers; pictures in train2017, val2017."""
    rows = []
    for fact in album.questions():
        album.draw(fact.scene, f"{album.split}2017/{fact.number:012d}.jpg")
        choices = options(album.rng("aokvqa", fact.number), fact.answer, 4, exactly=True)
        row = {
            "split": album.split,
            "image_id": fact.number,
            "question_id": _identifier(f"{fact.scene.id} {fact.text}"),
            "question": fact.text,
            "choices": choices,
            "correct_choice_idx": choices.index(fact.answer),
            "direct_answers": [fact.answer] * 10,
            "difficult_direct_answer": False,
            "rationales": ["It is drawn so."] * 3,
        }
        rows.append(row)
    album.json(f"aokvqa_v1p0_{album.split}.json", rows)


def _identifier(name: str) -> str:
    """22 letters and digits."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    return "".join(_BASE62[number // 62**place % 62] for place in range(22))


def iconqa(album: Album) -> None:
    """`iconqa_data`: `problems.json`, `pid_splits.json`, `pid2skills.json`, and a folder for each problem."""
    problems, skills = {}, {}
    for fact in album.questions():
        pid = str(fact.number)
        choices = options(album.rng("iconqa", fact.number), fact.answer, 5)
        problems[pid] = {
            "question": fact.text,
            "choices": choices,
            "answer": choices.index(fact.answer),
            "ques_type": "choose_txt",
            "grade": "prek",
            "label": "S1",
        }
        skills[pid] = [_SKILLS[fact.kind]]
        folder = f"iconqa_data/iconqa/{album.split}/choose_txt/{pid}"
        album.draw(fact.scene, f"{folder}/image.png")
        album.json(f"{folder}/data.json", problems[pid])
    splits = {f"choose_txt_{split}": list(problems) if split == album.split else [] for split in SPLITS}
    album.json("iconqa_data/problems.json", problems)
    album.json("iconqa_data/pid_splits.json", splits)
    album.json("iconqa_data/pid2skills.json", skills)


def mmbench(album: Album) -> None:
    """`MMBench_DEV_EN.tsv`: each question once for each rotation of its options, the picture in the first."""
    columns = ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "source", "l2-category"]
    columns += ["comment", "split"]
    levels = {ability: level for level, ability in ABILITIES.items()}
    rows = []
    for fact in album.questions():
        choices = options(album.rng("mmbench", fact.number), fact.answer, 4)
        category, ability = _CATEGORIES[_kind(fact)]
        picture = base64.b64encode(album.picture(fact.scene, ".jpg")).decode()
        for turn in range(len(choices)):
            turned = [choices[(place + turn) % len(choices)] for place in range(len(choices))]
            row = {
                "index": fact.number + turn * ROTATION,
                "question": fact.text,
                **dict(zip(LETTERS, turned, strict=False)),
                "answer": LETTERS[turned.index(fact.answer)],
                "category": category,
                "image": picture if turn == 0 else str(fact.number),
                "source": "lion world",
                "l2-category": levels[ability],
                "split": "dev",
            }
            rows.append((turn, row))
    rows.sort(key=lambda pair: pair[0])
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, delimiter="\t", lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(row for _, row in rows)
    album.text("MMBench_DEV_EN.tsv", table.getvalue())


def _kind(fact: Fact) -> str:
    """A question's kind; counts of all objects, and relations to be chosen ("left or right?"), apart."""
    if fact.kind == "count" and "objects" in fact.text:
        return "total"
    return "choice" if fact.kind == "relation" and fact.answer not in ("yes", "no") else fact.kind
