"""LLaVA's instruction format: conversations between "human" and "gpt" about a picture; also for your own.

A list of `{"id", "image", "conversations": [{"from", "value"}, ...]}`, with `<image>` in the first human turn.
"""

from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import text
from lion.errors import LionError
from lion.prompts import Task

_SLOT = "<image>"
_COCO = ("train2017", "train2014", "val2014", "val2017")


@DatasetInfo(
    "llava",
    {},
    annotations="https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K",
    pictures="COCO train2017, https://cocodataset.org/#download",
    folders=("llava_instruct",),
).reader
def llava(reader: AnnotationReader) -> None:
    """`<split>.json`, or `<split>.jsonl` with such a row, or one `instruction` and `output`, on each line.

    A record for each answer, with the turns before it as history. A record's id is the number of its row, the row's
    id (which several rows may share) and the turn. `meta`: `id`, `turn`.
    """
    file = reader.file(f"{reader.split}.json", f"{reader.split}.jsonl")
    rows = enumerate(reader.json(file), start=1) if file.suffix == ".json" else reader.json_lines(file)
    for number, row in rows:
        with reader.record(file, number, "row"):
            for record in _turns(reader, row, number):
                reader.add(record)


def _turns(reader: AnnotationReader, row: dict[str, Any], number: int) -> list[Record]:
    if "instruction" in row:
        turns = [{"from": "human", "value": row["instruction"]}, {"from": "gpt", "value": row["output"]}]
    else:
        turns = row["conversations"]
    name = text(row.get("image"), "image")
    coco = [f"{part}/{'' if part.endswith('2017') else f'COCO_{part}_'}{name}" for part in _COCO]
    picture = reader.image(name, *coco, *(f"{part}/{name}" for part in _COCO if part.endswith("2014")))
    if [turn["from"] for turn in turns] != ["human", "gpt"] * (len(turns) // 2) or not turns:
        raise LionError("its turns are not those of human and gpt by turns")
    texts = [text(turn["value"].replace(_SLOT, " ").strip(), "turn") for turn in turns]
    rounds = list(zip(texts[::2], texts[1::2], strict=True))
    return [
        Record(
            f"{number}:{row.get('id')}:{place}",
            picture,
            Task.DIALOG if place else Task.VQA,
            question,
            history=tuple(rounds[:place]),
            answers=(answer,),
            meta={"id": row.get("id"), "turn": place},
        )
        for place, (question, answer) in enumerate(rounds)
    ]
