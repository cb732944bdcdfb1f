"""The drawn world as VisDial: dialogs of three to five rounds, each answer among 100 options."""

from itertools import chain
from typing import Any

from lion.data.writers.facts import ANSWERS, Album, coco_name
from lion.random import below, shuffled
from lion.world.language import caption
from lion.world.relations import Name
from lion.world.vocabulary import CATEGORIES, COLOURS, SIZES

_OPTIONS = 100


def visdial(album: Album) -> None:
    """`visdial_1.0_<split>.json` with its tables of questions and answers, and dense annotations of one round each.

    The options are the correct answer, the answers of other rounds, and names of objects; the dense annotations give
    relevance 1 to the correct one only.
    """
    dialogs = album.dialogs()
    given = dict.fromkeys(fact.answer for rounds in dialogs for fact in rounds)
    near = list(dict.fromkeys([*given, *chain.from_iterable(ANSWERS)]))
    names = [str(Name(category, colour, size)) for size in SIZES for colour in COLOURS for category in CATEGORIES]
    questions: dict[str, int] = {}
    answers: dict[str, int] = {}
    rows, dense = [], []
    for rounds in dialogs:
        number, now = rounds[0].number, rounds[0].scene
        rng = album.rng("visdial", number)
        entries: list[dict[str, Any]] = []
        for fact in rounds:
            wrong = [other for other in near if other != fact.answer][: _OPTIONS - 1]
            wrong += shuffled(rng, names)[: _OPTIONS - 1 - len(wrong)]
            options = shuffled(rng, [fact.answer, *wrong])
            entry = {
                "answer": answers.setdefault(fact.answer, len(answers)),
                "gt_index": options.index(fact.answer),
                "question": questions.setdefault(fact.text, len(questions)),
                "answer_options": [answers.setdefault(option, len(answers)) for option in options],
            }
            entries.append(entry)
        rows.append({"image_id": number, "dialog": entries, "caption": caption(now, rng)})
        chosen = below(rng, len(entries))
        relevance = [float(place == entries[chosen]["gt_index"]) for place in range(_OPTIONS)]
        dense.append({"image_id": number, "round_id": chosen + 1, "gt_relevance": relevance})
        folder = f"VisualDialog_{album.split}2018"
        name = coco_name("train2014", number) if album.split == "train" else f"{folder}/{folder}_{number:012d}.jpg"
        album.draw(now, name)
    data = {"dialogs": rows, "answers": list(answers), "questions": list(questions)}
    part = "train" if album.split == "train" else f"{album.split}2018"
    album.json(f"visdial_1.0_{album.split}.json", {"version": "1.0", "data": data, "split": part})
    if album.split == "val":
        album.json("visdial_1.0_val_dense_annotations.json", dense)
