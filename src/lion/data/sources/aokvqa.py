"""A-OKVQA: questions with four choices and ten direct answers, on COCO 2017 pictures; test answers are hidden."""

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.sources.captions import COCO_PICTURES
from lion.data.values import ident, index, integer, text, texts, truth
from lion.prompts import Task


@DatasetInfo(
    "aokvqa",
    {"train": 17_056, "val": 1_145, "test": 6_702},
    annotations="https://github.com/allenai/aokvqa",
    pictures=COCO_PICTURES,
).reader
def aokvqa(reader: AnnotationReader) -> None:
    """`aokvqa_v1p0_<split>.json`. `meta`: `question_id`, `image_id`, `difficult_direct_answer`, `rationales`."""
    file = reader.file(f"aokvqa_v1p0_{reader.split}.json")
    for row in reader.json(file):
        with reader.record(file, ident(row, "question_id"), "question"):
            question_id, choices = text(row["question_id"], "question_id"), texts(row["choices"], "choices")
            hidden = reader.split == "test"
            meta = {key: row[key] for key in ("question_id", "image_id")}
            meta["difficult_direct_answer"] = truth(row["difficult_direct_answer"], "difficult_direct_answer")
            record = Record(
                question_id,
                reader.image(f"{reader.split}2017/{integer(row['image_id'], 'image_id'):012d}.jpg"),
                Task.VQA,
                text(row["question"], "question"),
                answers=() if hidden else texts(row["direct_answers"], "direct answers"),
                choices=choices,
                correct=None if hidden else index(row["correct_choice_idx"], choices, "correct_choice_idx"),
                meta={**meta, "rationales": row.get("rationales", [])},
            )
            reader.add(record)
