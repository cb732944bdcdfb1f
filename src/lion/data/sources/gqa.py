"""GQA: compositional questions with one answer each; LION reports the balanced test-dev questions."""

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import text
from lion.prompts import Task

_HOME = "https://cs.stanford.edu/people/dorarad/gqa/download.html"


@DatasetInfo("gqa", {"train": 943_000, "val": 132_062, "testdev": 12_578}, _HOME, _HOME).reader
def gqa(reader: AnnotationReader) -> None:
    """`<split>_balanced_questions.json`. `meta`: `imageId`, `types`, `groups`, `fullAnswer`."""
    file = reader.file(f"{reader.split}_balanced_questions.json", f"questions/{reader.split}_balanced_questions.json")
    for number, row in reader.json(file, kind=dict).items():
        with reader.record(file, number, "question"):
            picture = reader.image(f"images/{row['imageId']}.jpg")
            answers = (text(row["answer"], "answer"),)
            meta = {"imageId": row["imageId"], **{key: row.get(key) for key in ("types", "groups", "fullAnswer")}}
            question = text(row["question"], "question")
            reader.add(Record(number, picture, Task.VQA, question, answers=answers, meta=meta))
