"""MMBench v1.0: multiple-choice questions in a table with their pictures, each repeated with rotated options."""

import base64
import binascii

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import index
from lion.errors import LionError
from lion.prompts import Task

ABILITIES = {
    "coarse_perception": "CP",
    "finegrained_perception (instance-level)": "FP-S",
    "finegrained_perception (cross-instance)": "FP-C",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
    "attribute_reasoning": "AR",
}
"""The table's `l2-category` to the column of the paper's table."""
LETTERS = "ABCDEFGH"
ROTATION = 1_000_000
"""Rotation k of question q has the index q + k * ROTATION."""
_REFERENCE = 64
"""A shorter `image` cell is the index of the row that has the picture."""


@DatasetInfo(
    "mmbench",
    {"dev": 1_164, "test": 1_784},
    annotations="https://github.com/open-compass/MMBench (MMBench_DEV_EN.tsv)",
    pictures="the same table: it holds the pictures",
).reader
def mmbench(reader: AnnotationReader) -> int:
    """`MMBench_<SPLIT>_EN.tsv`, or the first release's `mmbench_<split>_20230712.tsv`; test answers are hidden.

    One record per row, rotations included; the official number counts questions. `meta`: `index`, `question_index` (the
    same for all rotations), `category`, `l2_category`, `ability`.
    """
    split = reader.split
    names = (f"MMBench_{split.upper()}_EN.tsv", f"mmbench_{split}_20230712.tsv", f"mmbench_{split}_en.tsv")
    file = reader.file(*names)
    rows = [row for _, row in reader.cells(file, "\t")]
    needed = {"index", "question", "A", "B", "image", "category", "l2-category"}
    if rows and (missing := sorted(needed - set(rows[0]))):
        raise LionError(f"{file} has no column {missing[0]}: it is not a table of MMBench")
    cells = {row["index"]: row["image"] or "" for row in rows}
    pictures: dict[str, bytes] = {}
    for row in rows:
        with reader.record(file, row["index"], "row"):
            number = int(row["index"])
            reader.add(_record(row, number, _picture(row["image"] or "", cells, pictures), split != "test"))
    return len({record.meta["question_index"] for record in reader.records})


def _record(row: dict[str, str], number: int, picture: bytes, answered: bool) -> Record:
    cells = [(row.get(letter) or "").strip() and (row.get(letter) or "") for letter in LETTERS]
    choices = tuple(cell for cell in cells if cell)
    if len(choices) < 2 or any(cells[len(choices) :]):
        raise LionError("it needs two options or more, without a gap between them")
    level = row["l2-category"]
    if level not in ABILITIES:
        raise LionError(f"its l2-category {level!r} is none of {', '.join(ABILITIES)}")
    correct = index(LETTERS.find(row["answer"].strip() or "?"), choices, "answer") if answered else None
    category = {"category": row["category"], "l2_category": level, "ability": ABILITIES[level]}
    return Record(
        str(number),
        picture,
        Task.VQA,
        row["question"],
        answers=() if correct is None else (choices[correct],),
        choices=choices,
        correct=correct,
        hint=(row.get("hint") or "").strip() or None,
        meta={"index": number, "question_index": number % ROTATION, **category},
    )


def _picture(cell: str, cells: dict[str, str], pictures: dict[str, bytes]) -> bytes:
    """The bytes of a row's picture, one object for all rotations."""
    if 0 < len(cell) <= _REFERENCE:
        if len(cells.get(cell, "")) <= _REFERENCE:
            raise LionError(f"its picture is to be that of row {cell}, which has none")
        cell = cells[cell]
    if not cell:
        raise LionError("its picture is missing")
    if cell not in pictures:
        try:
            pictures[cell] = base64.b64decode(cell, validate=True)
        except binascii.Error as error:
            raise LionError(f"its picture is not base64 ({error})") from error
    return pictures[cell]
