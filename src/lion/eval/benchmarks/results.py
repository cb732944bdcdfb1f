"""The files that official evaluators take, written from the answers as they were read.

Each writer takes the records, their answers by record id, what was read from those, and the split, and gives the file's
usual name and its text. Evaluators that read answers themselves get them untouched.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lion.data.record import Record
from lion.data.sources.mmbench import LETTERS
from lion.eval.predictions import Row

Rows = Mapping[str, Row]
Read = Mapping[str, Any]
Writer = Callable[[Sequence[Record], Rows, Read, str], tuple[str, str]]


def coco(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """COCO's caption results: a list of image_id and caption."""
    out = [{"image_id": one.meta["image_id"], "caption": rows[one.id]["text"]} for one in records]
    return f"captions_{split}_results.json", json.dumps(out, ensure_ascii=False)


def vqa(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """The VQA challenge's results: a list of question_id and answer."""
    out = [{"question_id": one.meta["question_id"], "answer": rows[one.id]["text"]} for one in records]
    return f"vqa_OpenEnded_mscoco_{split}2014_results.json", json.dumps(out, ensure_ascii=False)


def aokvqa_direct(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """A-OKVQA's predictions by question id, its direct answers."""
    out = {one.meta["question_id"]: {"direct_answer": rows[one.id]["text"]} for one in records}
    return f"predictions_{split}.json", json.dumps(out, ensure_ascii=False)


def aokvqa_choice(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """A-OKVQA's predictions by question id, its multiple choice."""
    out = {one.meta["question_id"]: {"multiple_choice": read[one.id]} for one in records}
    return f"predictions_{split}.json", json.dumps(out, ensure_ascii=False)


def gqa(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """GQA's predictions: a list of questionId and prediction."""
    out = [{"questionId": one.id, "prediction": rows[one.id]["text"]} for one in records]
    return f"{split}_predictions.json", json.dumps(out, ensure_ascii=False)


def iconqa(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """IconQA's results: the place of the chosen option by problem id."""
    return "choose_txt.json", json.dumps({"results": {one.id: read[one.id] for one in records}})


def visdial(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """The VisDial challenge's ranks: for each round the rank of each of its options, 1 for the best."""
    out = [
        {"image_id": one.meta["image_id"], "round_id": one.meta["round_id"], "ranks": list(read[one.id])}
        for one in records
    ]
    return f"ranks_{split}.json", json.dumps(out)


def pope(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """POPE's answers, a line a question in the order of the label file, by which alone they are matched."""
    lines = [
        json.dumps({"question": one.question, "answer": rows[one.id]["text"]}, ensure_ascii=False) for one in records
    ]
    return f"coco_pope_{split}_answers.jsonl", "".join(line + "\n" for line in lines)


def mmbench(records: Sequence[Record], rows: Rows, read: Read, split: str) -> tuple[str, str]:
    """MMBench's table with a column `prediction`, a letter, and without the pictures."""
    letters = LETTERS[: max(4, *(len(one.choices) for one in records))]
    columns = ["index", "question", "hint", *letters, "answer", "category", "l2-category", "split", "prediction"]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, delimiter="\t", lineterminator="\n", restval="", extrasaction="raise")
    writer.writeheader()
    for one in records:
        row = {
            "index": one.meta["index"],
            "question": one.question,
            "hint": one.hint or "",
            **dict(zip(LETTERS, one.choices, strict=False)),
            "answer": "" if one.correct is None else LETTERS[one.correct],
            "category": one.meta["category"],
            "l2-category": one.meta["l2_category"],
            "split": split,
            "prediction": read[one.id],
        }
        writer.writerow(row)
    return f"mmbench_{split}_predictions.tsv", table.getvalue()
