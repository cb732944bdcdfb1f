"""POPE: is an object in the picture? Absent ones are random, popular, or likely to occur with those present."""

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.sources.captions import COCO_PICTURES
from lion.data.values import identifier, text
from lion.errors import LionError
from lion.prompts import Task


@DatasetInfo(
    "pope",
    {"random": 3_000, "popular": 3_000, "adversarial": 3_000, "random-2910": 2_910},
    "https://github.com/RUCAIBox/POPE (output/coco; the older random file of 2910 lines: commit e3e3926)",
    COCO_PICTURES,
).reader
def pope(reader: AnnotationReader) -> None:
    """`coco_pope_<split>.json`, which holds a JSON object a line, in the order that official scoring relies on.

    `random-2910` is the older random file, which the paper's numbers fit, under the name `coco_pope_random_2910.json`.
    `meta`: `question_id`, `image` (the file's name).
    """
    file = reader.file(f"coco_pope_{reader.split.replace('-', '_')}.json")
    for number, row in reader.json_lines(file):
        with reader.record(file, number, "line"):
            if row["label"] not in ("yes", "no"):
                raise LionError(f"its label {row['label']!r} is neither yes nor no")
            picture = reader.image(f"val2014/{row['image']}")
            meta = {"question_id": row["question_id"], "image": row["image"]}
            question, answers = text(row["text"], "text"), (row["label"],)
            reader.add(Record(identifier(row["question_id"]), picture, Task.VQA, question, answers=answers, meta=meta))
