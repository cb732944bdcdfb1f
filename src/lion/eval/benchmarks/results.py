"""Writers of official result files: each takes the answered records and the split, and returns file name and text.

Evaluators that parse predictions themselves get them unchanged.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from lion.data.sample import Record
from lion.data.sources.mmbench import LETTERS

_json = partial(json.dumps, ensure_ascii=False)


class AnsweredRecord(NamedTuple):
    """A record with its prediction, as text and as parsed, and its score."""

    record: Record
    prompt: str
    text: str
    parsed: Any
    score: float


Answered = Sequence[AnsweredRecord]
Writer = Callable[[Answered, str], tuple[str, str]]


def coco(answered: Answered, split: str) -> tuple[str, str]:
    """COCO's caption results: a list of image_id and caption."""
    found = [{"image_id": one.record.meta["image_id"], "caption": one.text} for one in answered]
    return f"captions_{split}_results.json", _json(found)


def vqa(answered: Answered, split: str) -> tuple[str, str]:
    """The VQA challenge's results: a list of question_id and answer."""
    found = [{"question_id": one.record.meta["question_id"], "answer": one.text} for one in answered]
    return f"vqa_OpenEnded_mscoco_{split}2014_results.json", _json(found)


def aokvqa_direct(answered: Answered, split: str) -> tuple[str, str]:
    """A-OKVQA's predictions by question id, its direct answers."""
    found = {one.record.meta["question_id"]: {"direct_answer": one.text} for one in answered}
    return f"predictions_{split}.json", _json(found)


def aokvqa_choice(answered: Answered, split: str) -> tuple[str, str]:
    """A-OKVQA's predictions by question id, its multiple choice."""
    found = {one.record.meta["question_id"]: {"multiple_choice": one.parsed} for one in answered}
    return f"predictions_{split}.json", _json(found)


def gqa(answered: Answered, split: str) -> tuple[str, str]:
    """GQA's predictions: a list of questionId and prediction."""
    return f"{split}_predictions.json", _json(
        [{"questionId": one.record.id, "prediction": one.text} for one in answered]
    )


def iconqa(answered: Answered, split: str) -> tuple[str, str]:
    """IconQA's results: the index of the chosen option by problem id."""
    return "choose_txt.json", json.dumps({"results": {one.record.id: one.parsed for one in answered}})


def visdial(answered: Answered, split: str) -> tuple[str, str]:
    """The VisDial challenge's ranks: for each round the rank of each of its options, 1 for the best."""
    keys = ("image_id", "round_id")
    found = [{**{key: one.record.meta[key] for key in keys}, "ranks": list(one.parsed)} for one in answered]
    return f"ranks_{split}.json", json.dumps(found)


def pope(answered: Answered, split: str) -> tuple[str, str]:
    """POPE's answers, a line a question in the order of the label file, which is how they are matched."""
    lines = [_json({"question": one.record.question, "answer": one.text}) + "\n" for one in answered]
    return f"coco_pope_{split}_answers.jsonl", "".join(lines)


def mmbench(answered: Answered, split: str) -> tuple[str, str]:
    """MMBench's table with a column `prediction`, a letter, and without the images."""
    letters = LETTERS[: max(4, *(len(one.record.choices) for one in answered))]
    columns = ["index", "question", "hint", *letters, "answer", "category", "l2-category", "split", "prediction"]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, delimiter="\t", lineterminator="\n", restval="", extrasaction="raise")
    writer.writeheader()
    for record, _, _, letter, _ in answered:
        row = {
            "index": record.meta["index"],
            "question": record.question,
            "hint": record.hint or "",
            **dict(zip(LETTERS, record.choices, strict=False)),
            "answer": "" if record.correct is None else LETTERS[record.correct],
            "category": record.meta["category"],
            "l2-category": record.meta["l2_category"],
            "split": split,
            "prediction": letter,
        }
        writer.writerow(row)
    return f"mmbench_{split}_predictions.tsv", table.getvalue()
