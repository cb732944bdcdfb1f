"""The boxes of a bulk run as one COCO file."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from lion.annotate.annotator import Row
from lion.annotate.asks import Ask
from lion.boxes import Box, LabelledBox
from lion.errors import LionError
from lion.pipeline import Answer, Verb, export
from lion.pipeline.export import check_export


def check_coco(path: Path, asks: Iterable[Ask]) -> None:
    """Raise LionError unless a COCO file can be written there, and something asked for gives boxes."""
    if not path.name.lower().endswith(".coco.json"):
        raise LionError(f"--coco {path}: the name must end in .coco.json")
    if not any(ask.verb in ("locate", "describe") for ask in asks):
        raise LionError(f"--coco {path} holds boxes, and nothing in --do gives any; add locate or describe")
    check_export(path, [])


def write_coco(rows: Iterable[Row], model: str, about: str | None, path: Path) -> None:
    """Write the boxes of all rows, pictures without any included; they are all held in memory.

    `model`, `about`: its name, and what holds for all of its answers.
    """
    export((answer.with_about(about) for answer in _answers(rows, model)), path)


def _answers(rows: Iterable[Row], model: str) -> Iterator[Answer]:
    seen: Counter[str] = Counter()
    for row in rows:
        size, key = (row["width"], row["height"]), row["key"].rpartition("://")[2]  # of a URL its path
        seen[key] += 1
        if seen[key] > 1:  # an archive may hold two members of one name: two pictures
            key = f"{key}#{seen[key]}"
        yield Answer("", Verb.LOCATE, model=model, image=key, size=size, boxes=tuple(_boxes(row)))


def _boxes(row: Row) -> Iterator[LabelledBox]:
    for box in (box for answer in row["answers"] for box in answer["boxes"]):
        yield LabelledBox.of(box["label"], Box(*box["unit"]), (row["width"], row["height"]), box["score"])
