"""Writers of official result files.

Each takes the records, their predictions by record id, what those were parsed as, and the split, and returns the file's
usual name and its text. Evaluators that parse predictions themselves get them unchanged.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lion.data.record import Record
from lion.data.sources.mmbench import LETTERS
from lion.eval.predictions import Prediction

Predictions = Mapping[str, Prediction]
Parsed = Mapping[str, Any]
Writer = Callable[[Sequence[Record], Predictions, Parsed, str], tuple[str, str]]


def coco(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """COCO's caption results: a list of image_id and caption."""
    out = [{"image_id": one.meta["image_id"], "caption": predictions[one.id]["text"]} for one in records]
    return f"captions_{split}_results.json", json.dumps(out, ensure_ascii=False)


def vqa(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """The VQA challenge's results: a list of question_id and answer."""
    out = [{"question_id": one.meta["question_id"], "answer": predictions[one.id]["text"]} for one in records]
    return f"vqa_OpenEnded_mscoco_{split}2014_results.json", json.dumps(out, ensure_ascii=False)


def aokvqa_direct(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """A-OKVQA's predictions by question id, its direct answers."""
    out = {one.meta["question_id"]: {"direct_answer": predictions[one.id]["text"]} for one in records}
    return f"predictions_{split}.json", json.dumps(out, ensure_ascii=False)


def aokvqa_choice(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """A-OKVQA's predictions by question id, its multiple choice."""
    out = {one.meta["question_id"]: {"multiple_choice": parsed[one.id]} for one in records}
    return f"predictions_{split}.json", json.dumps(out, ensure_ascii=False)


def gqa(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """GQA's predictions: a list of questionId and prediction."""
    out = [{"questionId": one.id, "prediction": predictions[one.id]["text"]} for one in records]
    return f"{split}_predictions.json", json.dumps(out, ensure_ascii=False)


def iconqa(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """IconQA's results: the index of the chosen option by problem id."""
    return "choose_txt.json", json.dumps({"results": {one.id: parsed[one.id] for one in records}})


def visdial(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """The VisDial challenge's ranks: for each round the rank of each of its options, 1 for the best."""
    out = [
        {"image_id": one.meta["image_id"], "round_id": one.meta["round_id"], "ranks": list(parsed[one.id])}
        for one in records
    ]
    return f"ranks_{split}.json", json.dumps(out)


def pope(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """POPE's answers, a line a question in the order of the label file, which is how they are matched."""
    lines = [{"question": one.question, "answer": predictions[one.id]["text"]} for one in records]
    return f"coco_pope_{split}_answers.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def mmbench(records: Sequence[Record], predictions: Predictions, parsed: Parsed, split: str) -> tuple[str, str]:
    """MMBench's table with a column `prediction`, a letter, and without the images."""
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
            "prediction": parsed[one.id],
        }
        writer.writerow(row)
    return f"mmbench_{split}_predictions.tsv", table.getvalue()
