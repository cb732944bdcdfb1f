"""The boxes of a bulk run as one COCO file."""

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


def write_coco(rows: Iterable[Row], model: str, path: Path) -> None:
    """Write the boxes of all rows, pictures without any included; they are all held in memory."""
    export(_answers(rows, model), path)


def _answers(rows: Iterable[Row], model: str) -> Iterator[Answer]:
    for row in rows:
        size, key = (row["width"], row["height"]), row["key"].rpartition("://")[2]  # of a URL its path
        yield Answer("", Verb.LOCATE, model=model, image=key, size=size, boxes=tuple(_boxes(row)))


def _boxes(row: Row) -> Iterator[LabelledBox]:
    for box in (box for answer in row["answers"] for box in answer["boxes"]):
        x1, y1, x2, y2 = box["pixel"]
        yield LabelledBox(box["label"], Box(*box["unit"]), Box(x1, y1, x2, y2, "pixel"), box["score"])
