"""The drawn world as VQAv2, OK-VQA, GQA, VSR and POPE: questions and statements with short answers."""

import json
from typing import Any

from lion.data.writers.facts import Album, coco_name, info
from lion.random import pick
from lion.world.language import apart, choose_name, relation_truth
from lion.world.templates import SIDES
from lion.world.vocabulary import NUMBERS

_BY_KIND = {"exists": "is there a", "count": "how many", "colour": "what color is the", "relation": "is the"}


def vqav2(album: Album) -> None:
    """`v2_OpenEnded_mscoco_*_questions.json` and `v2_mscoco_*_annotations.json`, ten answers a question."""
    _vqa(album, "v2_", "VQA v2", {})


def okvqa(album: Album) -> None:
    """The same files without `v2_`; five people answer, each twice, and answers stand lemmatised beside raw ones."""
    _vqa(album, "", "OK-VQA", {"question_types": {"other": "Other"}})


def _vqa(album: Album, prefix: str, title: str, extra: dict[str, Any]) -> None:
    part = f"{album.split}2014"
    questions, annotations = [], []
    for fact in album.questions():
        album.draw(fact.scene, coco_name(part, fact.number))
        ident = fact.number * 1000
        questions.append({"image_id": fact.number, "question": fact.text, "question_id": ident})
        given = _ten_answers(fact.answer)
        row: dict[str, Any] = {
            "question_type": "other" if extra else _BY_KIND[fact.kind],
            "multiple_choice_answer": given[0],
            "answers": [
                {"answer": answer, "answer_confidence": "yes", "answer_id": place}
                for place, answer in enumerate(given, start=1)
            ],
            "image_id": fact.number,
            "answer_type": "yes/no"
            if fact.answer in ("yes", "no")
            else "number"
            if fact.answer in NUMBERS
            else "other",
            "question_id": ident,
        }
        if extra:
            row["answers"] = [{**one, "raw_answer": one["answer"]} for one in row["answers"]]
            row["confidence"] = 5
            del row["multiple_choice_answer"]
        annotations.append(row)
    head = {"info": info(title), "license": {"url": "", "name": ""}, "data_subtype": part, "data_type": "mscoco"}
    table = {**head, "task_type": "Open-Ended", "questions": questions}
    album.json(f"{prefix}OpenEnded_mscoco_{part}_questions.json", table)
    album.json(f"{prefix}mscoco_{part}_annotations.json", {**head, **extra, "annotations": annotations})


def _ten_answers(answer: str) -> list[str]:
    """What ten people would type: numbers as digits, and some as words.

    Official scoring turns a predicted "two" into "2", but does not change unanimous references: against ten "two" it
    would count as wrong.
    """
    if answer not in NUMBERS:
        return [answer] * 10
    return [str(NUMBERS.index(answer))] * 6 + [answer] * 4


def gqa(album: Album) -> None:
    """`<split>_balanced_questions.json`, questions by id; pictures in images."""
    types = {
        "exists": ("exist", "obj", "verify"),
        "count": ("count", "obj", "query"),
        "colour": ("directOf", "attr", "query"),
        "relation": ("existRelS", "rel", "verify"),
    }
    rows = {}
    for fact in album.questions():
        album.draw(fact.scene, f"images/{fact.number}.jpg")
        ident = f"{fact.number:08d}"
        rows[ident] = {
            "semantic": [],
            "entailed": [],
            "equivalent": [ident],
            "question": fact.text,
            "imageId": str(fact.number),
            "isBalanced": True,
            "groups": {"global": None, "local": fact.kind},
            "answer": fact.answer,
            "semanticStr": "",
            "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
            "types": dict(zip(("detailed", "semantic", "structural"), types[fact.kind], strict=True)),
            "fullAnswer": fact.answer,
        }
    album.json(f"{album.split}_balanced_questions.json", rows)


def pope(album: Album) -> None:
    """`coco_pope_<flavour>.json`, an object a line; pictures in val2014."""
    for flavour in ("random", "popular", "adversarial"):
        lines = []
        for place, fact in enumerate(album.pope(flavour), start=1):
            folder_and_name = coco_name("val2014", fact.number)
            album.draw(fact.scene, folder_and_name)
            name = folder_and_name.rsplit("/", 1)[1]
            lines.append({"question_id": place, "image": name, "text": fact.text, "label": fact.answer})
        album.text(f"coco_pope_{flavour}.json", "".join(json.dumps(line) + "\n" for line in lines))


def vsr(album: Album) -> None:
    """`zeroshot/<split>.jsonl`: statements that an object is left of, right of, above or below another."""
    lines: list[dict[str, Any]] = []
    for number, now in album.scenes():
        if len(lines) == album.size:
            break
        if not (pairs := apart(now)):  # no two objects are clearly apart
            continue
        rng = album.rng("vsr", number)
        one, other, true = pick(rng, pairs)
        relation, answer = relation_truth(rng, true)
        truth = answer == "yes"
        phrase, name = pick(rng, SIDES[relation]), f"{number:012d}.jpg"
        subject, anchor = choose_name(now, rng, one), choose_name(now, rng, other)
        album.draw(now, f"images/{name}")
        line = {
            "image": name,
            "image_link": f"http://images.cocodataset.org/val2017/{name}",
            "caption": f"the {subject} is {phrase} the {anchor}.",
            "label": int(truth),
            "relation": phrase,
            "subj": subject.category,
            "obj": anchor.category,
            "annotator_id": 0,
            "vote_true_validator_id": "[0, 1]" if truth else "[]",
            "vote_false_validator_id": "[]" if truth else "[0, 1]",
        }
        lines.append(line)
    album.text(f"zeroshot/{album.split}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
