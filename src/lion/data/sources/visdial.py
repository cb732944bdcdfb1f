"""VisDial v1.0: dialogs about COCO pictures, in which each round's answer is ranked among 100 options."""

from math import inf
from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import ident, index, integer, text
from lion.errors import LionError
from lion.prompts import Task

_OPTIONS = 100


@DatasetInfo(
    "visdial",
    {"train": 1_232_870, "val": 20_640, "test": 8_000},
    annotations="https://visualdialog.org/data",
    pictures="https://visualdialog.org/data (those of train: COCO 2014, https://cocodataset.org/#download)",
).reader
def visdial(reader: AnnotationReader) -> None:
    """`visdial_1.0_<split>.json`, and `visdial_1.0_val_dense_annotations.json` where it is there (NDCG needs it).

    One record per round, ten a dialog; of the test split only the last round of each, whose answer is hidden. `meta`:
    `image_id`, `round_id` (from 1), `gt_index` (from 0), `caption` of the picture, which opens a dialog, and
    `gt_relevance` of each option for the one round of a dialog that has it.
    """
    file = reader.file(f"visdial_1.0_{reader.split}.json")
    data = reader.json(file, "data", kind=dict)
    for table in ("questions", "answers"):
        reader.member(file, data, table)
    relevance = _relevance(reader)
    for dialog in reader.member(file, data, "dialogs"):
        rounds = 0
        with reader.record(file, ident(dialog, "image_id"), "dialog"):
            rounds = len(dialog["dialog"])
        for number in range(1, rounds + 1):
            with reader.record(file, f"{ident(dialog, 'image_id')}_{number}", "round"):
                if reader.split != "test" or "answer_options" in dialog["dialog"][number - 1]:
                    reader.add(_round(reader, data, dialog, number, relevance))


def _round(
    reader: AnnotationReader,
    data: dict[str, list[str]],
    dialog: dict[str, Any],
    number: int,
    relevance: dict[tuple[int, int], list[float]],
) -> Record:
    image_id, split = integer(dialog["image_id"], "image_id"), reader.split

    def utterance(row: dict[str, Any], key: str) -> str:
        table = data[f"{key}s"]
        return text(table[index(row[key], table, key)], key)

    row = dialog["dialog"][number - 1]
    options = row["answer_options"]
    if len(options) != _OPTIONS:
        raise LionError(f"it has {len(options)} answer options, not {_OPTIONS}")
    names = [f"VisualDialog_{split}2018/VisualDialog_{split}2018_{image_id:012d}.jpg"]
    if split == "train":
        names = [f"{part}/COCO_{part}_{image_id:012d}.jpg" for part in ("train2014", "val2014")]
    meta = {"image_id": image_id, "round_id": number, "caption": dialog["caption"]}
    if split != "test":
        meta["gt_index"] = index(row["gt_index"], options, "gt_index")
    if (image_id, number) in relevance:
        meta["gt_relevance"] = relevance[image_id, number]
    return Record(
        f"{image_id}_{number}",
        reader.image(*names),
        Task.DIALOG,
        utterance(row, "question"),
        history=tuple(
            (utterance(past, "question"), utterance(past, "answer")) for past in dialog["dialog"][: number - 1]
        ),
        answers=() if split == "test" else (utterance(row, "answer"),),
        choices=tuple(data["answers"][index(option, data["answers"], "answer option")] for option in options),
        correct=meta.get("gt_index"),
        meta=meta,
    )


def _relevance(reader: AnnotationReader) -> dict[tuple[int, int], list[float]]:
    """Relevance of the 100 options by (image id, round from 1)."""
    out: dict[tuple[int, int], list[float]] = {}
    if not (file := reader.find(f"visdial_1.0_{reader.split}_dense_annotations.json")):
        return out
    for row in reader.json(file):
        with reader.record(file, ident(row, "image_id"), "dialog"):
            if len(row["gt_relevance"]) != _OPTIONS:
                raise LionError(f"its gt_relevance has {len(row['gt_relevance'])} numbers, not {_OPTIONS}")
            if not all(type(value) in (int, float) and 0 <= value < inf for value in row["gt_relevance"]):
                raise LionError("its gt_relevance holds something that is no number from 0 on")
            place = integer(row["image_id"], "image_id"), integer(row["round_id"], "round_id")
            if place in out:
                raise LionError("it is there twice")
            out[place] = row["gt_relevance"]
    return out
