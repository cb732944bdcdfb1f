"""VQAv2 and OK-VQA: a file of questions and one of annotations with ten answers each, on COCO 2014 pictures."""

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.sources.captions import COCO_PICTURES
from lion.data.values import entry, ident, identifier, integer, text, texts
from lion.errors import LionError
from lion.prompts import Task


@DatasetInfo(
    "vqav2",
    {"train": 443_757, "val": 214_354, "test": 447_793},
    annotations="https://visualqa.org/download.html",
    pictures=COCO_PICTURES,
    folders=("vqa",),
).reader
def vqav2(reader: AnnotationReader) -> None:
    """VQAv2: `v2_OpenEnded_mscoco_*_questions.json`, `v2_mscoco_*_annotations.json`; its test answers are hidden."""
    _add_records(reader, "v2_")


@DatasetInfo(
    "okvqa",
    {"train": 9_009, "val": 5_046},
    annotations="https://okvqa.allenai.org/download.html",
    pictures=COCO_PICTURES,
    folders=("ok-vqa",),
).reader
def okvqa(reader: AnnotationReader) -> None:
    """OK-VQA: as VQAv2. `answers` are the lemmatised ones, as scored; `raw_answer` is in `meta["answers"]`."""
    _add_records(reader, "")


def _add_records(reader: AnnotationReader, prefix: str) -> None:
    """`meta`: `question_id`, `image_id`, `question_type`, `answer_type`, and `answers`, the official records."""
    part = "test2015" if reader.split == "test" else f"{reader.split}2014"
    file = reader.file(f"{prefix}OpenEnded_mscoco_{part}_questions.json")
    questions = reader.json(file, "questions")
    annotations = {}
    if reader.split != "test":
        truth = reader.file(f"{prefix}mscoco_{part}_annotations.json")
        annotations = reader.table(truth, reader.json(truth, "annotations"), "question_id", "annotation")
    for row in questions:
        with reader.record(file, ident(row, "question_id"), "question"):
            question_id, image_id = row["question_id"], row["image_id"]
            meta = {"question_id": question_id, "image_id": image_id}
            answers: tuple[str, ...] = ()
            if reader.split != "test":
                truth_row = entry(annotations, question_id, "annotation")
                if identifier(truth_row.get("image_id", image_id)) != identifier(image_id):
                    raise LionError(f"its annotation belongs to another image, {truth_row['image_id']}")
                given = truth_row["answers"]
                answers = texts([one["answer"] for one in given], "reference answers")
                kinds = {key: truth_row.get(key) for key in ("question_type", "answer_type")}
                meta |= {**kinds, "answers": given}
            picture = reader.image(f"{part}/COCO_{part}_{integer(image_id, 'image_id'):012d}.jpg")
            question = text(row["question"], "question")
            reader.add(Record(identifier(question_id), picture, Task.VQA, question, answers=answers, meta=meta))
