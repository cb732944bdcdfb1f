"""How each benchmark's answers are read and scored: thin hands that give `lion.metrics` what it needs.

Every function takes the records that were answered and their rows by record id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lion import metrics
from lion.data.record import Record
from lion.data.sources.mmbench import LETTERS
from lion.eval.predictions import Row
from lion.metrics import AokvqaQuestion, Estimate, MmbenchRow, VisdialRound, VqaQuestion
from lion.metrics.aokvqa import aokvqa_choice_hits, aokvqa_direct_values
from lion.metrics.candidate_ranking import best_first
from lion.metrics.gqa import gqa_hits
from lion.metrics.mmbench import mmbench_hits
from lion.metrics.pope import says_yes
from lion.metrics.rec import first_box, rec_ious
from lion.metrics.visdial import option_ranks, visdial_ranks
from lion.metrics.vqa import vqa_values
from lion.metrics.vsr import says_true

VERDICTS = ("false", "true", "no", "yes")
"""What VSR's statements are judged with: both of InstructBLIP's pairs of words."""

Rows = Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a benchmark's answers are worth."""

    scores: Mapping[str, Estimate]
    read: Mapping[str, Any]
    """By record id, what the answer was taken for: a box, a letter, yes or no, a place among the options."""
    worth: Mapping[str, float]
    """By record id, what the answer is worth by itself: 1 is right, 0 is wrong."""


def captions(records: Sequence[Record], rows: Rows) -> Scored:
    """CIDEr-D, BLEU and ROUGE-L; an answer's own worth is its CIDEr, cut at 1."""
    texts = {one.id: _text(rows[one.id]) for one in records}
    references = {one.id: one.answers for one in records}
    worth = {name: min(1.0, one["cider"]) for name, one in metrics.captions_by_image(texts, references).items()}
    return Scored(metrics.captions(texts, references), texts, worth)


def vqa(records: Sequence[Record], rows: Rows) -> Scored:
    """VQA accuracy: ``accuracy`` by the version of 2016 and ``accuracy-2021``, and both by type of answer."""
    texts = [_text(rows[one.id]) for one in records]
    asked = [
        VqaQuestion(one.id, one.meta["answers"], one.meta["question_type"], one.meta["answer_type"]) for one in records
    ]
    scores = metrics.vqa(texts, asked, "legacy_2016")
    scores |= {f"{name}-2021": value for name, value in metrics.vqa(texts, asked, "official_2021").items()}
    return Scored(scores, *_by_id(records, texts, vqa_values(texts, asked, "legacy_2016")))


def aokvqa_direct(records: Sequence[Record], rows: Rows) -> Scored:
    """``direct_answer`` as officially, ``direct_answer-all`` with the difficult questions, ``vqa-accuracy`` as VQA."""
    texts, asked = [_text(rows[one.id]) for one in records], [_aokvqa_question(one) for one in records]
    given = [[{"answer": said, "answer_id": place} for place, said in enumerate(one.answers)] for one in records]
    as_vqa = [VqaQuestion(one.id, answers) for one, answers in zip(records, given, strict=True)]
    scores = {
        "vqa-accuracy": metrics.vqa(texts, as_vqa, "legacy_2016")["accuracy"],
        "direct_answer-all": metrics.aokvqa_direct_answer(texts, asked, keep_difficult=True)["direct_answer"],
    }
    if not all(one.difficult_direct_answer for one in asked):
        scores |= metrics.aokvqa_direct_answer(texts, asked)
    return Scored(scores, *_by_id(records, texts, aokvqa_direct_values(texts, asked)))


def aokvqa_choice(records: Sequence[Record], rows: Rows) -> Scored:
    """``accuracy`` of the likeliest choice."""
    texts, asked = (
        [one.choices[_likeliest(rows[one.id])] for one in records],
        [_aokvqa_question(one) for one in records],
    )
    scores = {"accuracy": metrics.aokvqa_multiple_choice(texts, asked)["multiple_choice"]}
    return Scored(scores, *_by_id(records, texts, aokvqa_choice_hits(texts, asked)))


def gqa(records: Sequence[Record], rows: Rows) -> Scored:
    """The accuracy by each rule of comparison; ``exact`` is the official one."""
    texts, answers = [_text(rows[one.id]) for one in records], [one.answers[0] for one in records]
    return Scored(metrics.gqa(texts, answers), *_by_id(records, texts, gqa_hits(texts, answers, "exact")))


def iconqa(records: Sequence[Record], rows: Rows) -> Scored:
    """``accuracy`` of the likeliest option's place."""
    places, answers = [_likeliest(rows[one.id]) for one in records], [_place(one) for one in records]
    hits = [place == answer for place, answer in zip(places, answers, strict=True)]
    return Scored(metrics.iconqa(places, answers), *_by_id(records, places, hits))


def vsr(records: Sequence[Record], rows: Rows) -> Scored:
    """``accuracy`` of the likeliest verdict."""
    said, labels = [VERDICTS[_likeliest(rows[one.id])] for one in records], [_place(one) for one in records]
    hits = [says_true(one) == bool(label) for one, label in zip(said, labels, strict=True)]
    return Scored(metrics.vsr(said, labels), *_by_id(records, said, hits))


def visdial(records: Sequence[Record], rows: Rows) -> Scored:
    """MRR and its companions by summed likelihood, ``mean_nll/…`` by that of a token; worth is the reciprocal rank."""
    rounds = [
        VisdialRound(one.id, one.meta["image_id"], one.meta["round_id"], _place(one), one.meta.get("gt_relevance"))
        for one in records
    ]
    likelihoods = [[-nll for nll in rows[one.id]["nll"]] for one in records]
    means = [
        [nll / count for nll, count in zip(row, rows[one.id]["tokens"], strict=True)]
        for one, row in zip(records, likelihoods, strict=True)
    ]
    scores = metrics.visdial(likelihoods, rounds)
    scores |= {f"mean_nll/{name}": value for name, value in metrics.visdial(means, rounds).items()}
    worth = [1 / rank for rank in visdial_ranks(likelihoods, rounds)]
    return Scored(scores, *_by_id(records, [option_ranks(row) for row in likelihoods], worth))


def rec(records: Sequence[Record], rows: Rows) -> Scored:
    """Accuracy at IoU 0.5, 0.75 and 0.9, mean IoU and the share of unreadable boxes; an answer is worth its IoU."""
    texts, truth = [_text(rows[one.id]) for one in records], [one.box for one in records if one.box]
    boxes = [box and box.xyxy() for box in map(first_box, texts)]
    overlaps = [overlap or 0.0 for overlap in rec_ious(texts, truth)]
    return Scored(metrics.rec(texts, truth, (0.5, 0.75, 0.9)), *_by_id(records, boxes, overlaps))


def pope(records: Sequence[Record], rows: Rows) -> Scored:
    """The official reading's scores, and ``strict/…`` where the whole answer has to be yes or no."""
    texts, labels = [_text(rows[one.id]) for one in records], [one.answers[0] for one in records]
    read = ["yes" if says_yes(text) else "no" for text in texts]
    scores = metrics.pope(texts, labels)
    scores |= {f"strict/{name}": value for name, value in metrics.pope_strict(texts, labels).items()}
    hits = [one == label for one, label in zip(read, labels, strict=True)]
    return Scored(scores, *_by_id(records, read, hits))


def mmbench(records: Sequence[Record], rows: Rows) -> Scored:
    """``accuracy`` by CircularEval, abilities, categories, plain accuracies; a row is worth what its question is."""
    letters = [LETTERS[_likeliest(rows[one.id])] for one in records]
    table = [
        MmbenchRow(one.meta["index"], len(one.choices), LETTERS[_place(one)], one.meta["ability"], one.meta["category"])
        for one in records
    ]
    found, hits = metrics.mmbench(letters, table), mmbench_hits(letters, table)
    scores = {name.removeprefix("ability/"): value for name, value in found.items()}
    worth = [hits[one.meta["question_index"]] for one in records]
    return Scored({"accuracy": scores.pop("circular"), **scores}, *_by_id(records, letters, worth))


def _aokvqa_question(record: Record) -> AokvqaQuestion:
    difficult = record.meta["difficult_direct_answer"]
    return AokvqaQuestion(record.id, record.choices, _place(record), record.answers, difficult)


def _text(row: Row) -> str:
    return str(row["text"])


def _likeliest(row: Row) -> int:
    """The place of the likeliest candidate."""
    return best_first(row["nll"])[0]


def _place(record: Record) -> int:
    """The place of the right choice."""
    assert record.correct is not None, record.id
    return record.correct


def _by_id(
    records: Sequence[Record], read: Sequence[Any], worth: Sequence[float]
) -> tuple[dict[str, Any], dict[str, float]]:
    ids = [one.id for one in records]
    return dict(zip(ids, read, strict=True)), dict(zip(ids, map(float, worth), strict=True))
