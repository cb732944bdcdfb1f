"""How each benchmark parses and scores its predictions: adapters from records to `lion.metrics`.

Every function takes the answered records and their predictions by record id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lion import metrics
from lion.data.sample import Record
from lion.data.sources.mmbench import LETTERS
from lion.eval.predictions import Prediction
from lion.metrics import AokvqaQuestion, Estimate, MmbenchRow, VisdialRound, VqaQuestion
from lion.metrics.aokvqa import aokvqa_choice_hits, aokvqa_direct_values
from lion.metrics.candidate_ranking import best_first
from lion.metrics.exact_match import exact_hits
from lion.metrics.gqa import gqa_hits
from lion.metrics.mmbench import mmbench_hits
from lion.metrics.pope import is_yes
from lion.metrics.rec import first_box, rec_ious
from lion.metrics.statistics import mean
from lion.metrics.visdial import option_ranks, visdial_ranks
from lion.metrics.vqa import vqa_values
from lion.metrics.vsr import is_true

TEN = 10
"""Annotators of a question, as VQA's evaluation has them."""
_NO_TYPES = {"question_type": None, "answer_type": None}
VERDICTS = ("false", "true", "no", "yes")
"""The candidates for VSR's statements: both of InstructBLIP's pairs of words."""

Predictions = Mapping[str, Prediction]


class ScoredRecords(NamedTuple):
    """The scores of a benchmark, and of each of its records."""

    scores: Mapping[str, Estimate]
    parsed: Sequence[Any]
    """Each prediction as parsed: a box, a letter, yes or no, the index of an option."""
    samples: Sequence[float]
    """Each prediction's own score: 1 is correct, 0 is wrong."""
    values: Mapping[str, Sequence[float]]
    """By name, the values of single predictions whose mean is the score, for those that are such a mean."""


def captions(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """CIDEr-D, BLEU and ROUGE-L; a sample's score is its CIDEr, at most 1."""
    references = {one.id: one.answers for one in records}
    texts = dict(zip(references, _texts(records, predictions), strict=True))
    by_image = metrics.captions_by_image(texts, references)
    values = {name: [by_image[one.id][name] for one in records] for name in ("cider", "rouge_l")}
    samples = [min(1.0, value) for value in values["cider"]]
    return ScoredRecords(metrics.captions(texts, references), list(texts.values()), samples, values)


def vqa(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """VQA accuracy: ``accuracy`` by the version of 2016 and ``accuracy-2021``, and both by answer and question type."""
    texts = _texts(records, predictions)
    questions = [
        VqaQuestion(one.id, one.meta["answers"], one.meta["question_type"], one.meta["answer_type"]) for one in records
    ]
    scores = metrics.vqa(texts, questions, "legacy_2016")
    scores |= {f"{name}-2021": value for name, value in metrics.vqa(texts, questions, "official_2021").items()}
    values = {
        "accuracy": vqa_values(texts, questions, "legacy_2016"),
        "accuracy-2021": vqa_values(texts, questions, "official_2021"),
    }
    return ScoredRecords(scores, texts, values["accuracy"], values)


def answers(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """``exact_match`` and ``vqa_normalised`` with one of the answers, and the scores of :func:`vqa` where every
    question has TEN answers; a sample's score is its exact match."""
    texts = _texts(records, predictions)
    values: dict[str, Sequence[float]] = {
        "exact_match": exact_hits(texts, [one.answers for one in records]),
        "vqa_normalised": [
            any(gqa_hits([text] * len(one.answers), one.answers, "vqa_normalised"))
            for text, one in zip(texts, records, strict=True)
        ],
    }
    scores = {name: mean(found) for name, found in values.items()}
    if all(len(one.answers) >= TEN for one in records):
        as_vqa = [replace(one, meta={"answers": _annotations(one), **_NO_TYPES}) for one in records]
        official = vqa(as_vqa, predictions)
        scores, values = {**scores, **official.scores}, {**values, **official.values}
    return ScoredRecords(scores, texts, values["exact_match"], values)


def aokvqa_direct(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """``direct_answer`` as officially, ``direct_answer-all`` with the difficult questions, ``vqa-accuracy`` as VQA."""
    texts, questions = _texts(records, predictions), [_aokvqa_question(one) for one in records]
    as_vqa = [VqaQuestion(one.id, _annotations(one)) for one in records]
    scores = {
        "vqa-accuracy": metrics.vqa(texts, as_vqa, "legacy_2016")["accuracy"],
        "direct_answer-all": metrics.aokvqa_direct_answer(texts, questions, keep_difficult=True)["direct_answer"],
    }
    if not all(one.difficult_direct_answer for one in questions):
        scores |= metrics.aokvqa_direct_answer(texts, questions)
    values = {"vqa-accuracy": vqa_values(texts, as_vqa, "legacy_2016")}
    return ScoredRecords(scores, texts, aokvqa_direct_values(texts, questions), values)


def aokvqa_choice(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """``accuracy`` of the likeliest choice."""
    chosen = _likeliest(records, predictions)
    texts = [one.choices[index] for one, index in zip(records, chosen, strict=True)]
    questions = [_aokvqa_question(one) for one in records]
    accuracy = metrics.aokvqa_multiple_choice(texts, questions)["multiple_choice"]
    hits = aokvqa_choice_hits(texts, questions)
    return ScoredRecords({"accuracy": accuracy}, texts, hits, {"accuracy": hits})


def gqa(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """The accuracy by each rule of comparison; ``exact`` is the official one."""
    texts, answers = _texts(records, predictions), [one.answers[0] for one in records]
    values = {rule: gqa_hits(texts, answers, rule) for rule in ("exact", "vqa_normalised")}
    return ScoredRecords(metrics.gqa(texts, answers), texts, values["exact"], values)


def iconqa(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """``accuracy`` of the likeliest option's index."""
    chosen, answers = _likeliest(records, predictions), [_correct(one) for one in records]
    hits = [index == answer for index, answer in zip(chosen, answers, strict=True)]
    return ScoredRecords(metrics.iconqa(chosen, answers), chosen, hits, {"accuracy": hits})


def vsr(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """``accuracy`` of the likeliest verdict."""
    verdicts = [VERDICTS[index] for index in _likeliest(records, predictions)]
    labels = [_correct(one) for one in records]
    hits = [is_true(one) == bool(label) for one, label in zip(verdicts, labels, strict=True)]
    return ScoredRecords(metrics.vsr(verdicts, labels), verdicts, hits, {"accuracy": hits})


def visdial(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """MRR and others by summed likelihood, ``mean_nll/…`` by the mean over tokens; a sample's score is 1 / rank."""
    rounds = [
        VisdialRound(one.id, one.meta["image_id"], one.meta["round_id"], _correct(one), one.meta.get("gt_relevance"))
        for one in records
    ]
    likelihoods = [[-nll for nll in predictions[one.id]["nll"]] for one in records]
    means = [
        [nll / count for nll, count in zip(row, predictions[one.id]["tokens"], strict=True)]
        for one, row in zip(records, likelihoods, strict=True)
    ]
    scores = metrics.visdial(likelihoods, rounds)
    scores |= {f"mean_nll/{name}": value for name, value in metrics.visdial(means, rounds).items()}
    reciprocal = [1 / rank for rank in visdial_ranks(likelihoods, rounds)]
    return ScoredRecords(scores, list(map(option_ranks, likelihoods)), reciprocal, {"mrr": reciprocal})


def rec(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """Accuracy at IoU 0.5, 0.75 and 0.9, mean IoU and the share of unreadable boxes; a sample's score is its IoU."""
    texts, truth = _texts(records, predictions), [one.box for one in records if one.box]
    boxes = [box and box.xyxy() for box in map(first_box, texts)]
    ious = [iou or 0.0 for iou in rec_ious(texts, truth)]
    values = {"accuracy@0.5": [float(iou >= 0.5) for iou in ious], "mean_iou": ious}
    return ScoredRecords(metrics.rec(texts, truth), boxes, ious, values)


def pope(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """The scores by the official parser, and ``strict/…`` where the whole answer has to be yes or no."""
    texts, labels = _texts(records, predictions), [one.answers[0] for one in records]
    parsed = ["yes" if is_yes(text) else "no" for text in texts]
    scores = metrics.pope(texts, labels)
    scores |= {f"strict/{name}": value for name, value in metrics.pope_strict(texts, labels).items()}
    hits = [one == label for one, label in zip(parsed, labels, strict=True)]
    return ScoredRecords(scores, parsed, hits, {"accuracy": hits, "yes_ratio": [one == "yes" for one in parsed]})


def mmbench(records: Sequence[Record], predictions: Predictions) -> ScoredRecords:
    """``accuracy`` by CircularEval, abilities, categories, plain accuracies; a sample's score is its question's."""
    letters = [LETTERS[index] for index in _likeliest(records, predictions)]
    table = [
        MmbenchRow(meta["index"], len(one.choices), LETTERS[_correct(one)], meta["ability"], meta["category"])
        for one in records
        for meta in [one.meta]
    ]
    found, hits = metrics.mmbench(letters, table), mmbench_hits(letters, table)
    scores = {name.removeprefix("ability/"): value for name, value in found.items()}
    samples = [hits[one.meta["question_index"]] for one in records]
    return ScoredRecords({"accuracy": scores.pop("circular"), **scores}, letters, samples, {"accuracy": samples})


def _aokvqa_question(record: Record) -> AokvqaQuestion:
    difficult = record.meta["difficult_direct_answer"]
    return AokvqaQuestion(record.id, record.choices, _correct(record), record.answers, difficult)


def _annotations(record: Record) -> list[dict[str, Any]]:
    """A record's answers as VQA distributes those of its annotators."""
    return [{"answer": text, "answer_id": place} for place, text in enumerate(record.answers)]


def _texts(records: Sequence[Record], predictions: Predictions) -> list[str]:
    return [str(predictions[one.id]["text"]) for one in records]


def _likeliest(records: Sequence[Record], predictions: Predictions) -> list[int]:
    """The index of each record's likeliest candidate."""
    return [best_first(predictions[one.id]["nll"])[0] for one in records]


def _correct(record: Record) -> int:
    """The index of the correct choice."""
    assert record.correct is not None, record.id
    return record.correct
