"""Chats in TRL's form, and ms-swift's grounding form, which is the same with slots for phrases and boxes.

    {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is it?"}]},
                  {"role": "assistant", "content": "a dog"}], "images": ["a.jpg"]}
    {"messages": [{"role": "user", "content": "<image>Find <ref-object>"}, {"role": "assistant", "content": "<bbox>"}],
     "images": ["a.jpg"], "objects": {"ref": ["the dog"], "bbox": [[10, 20, 200, 180]]}}

``objects`` fills the slots in their order, and all of it must find one. Its boxes are x1, y1, x2, y2 in pixels, or
with ``bbox_type: norm1`` in the unit square. A box for an answer is located (REC), one in a question is described
(REG); LION reads one picture and writes one box.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lion.boxes import Box, has_written_area
from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import numbers, text
from lion.errors import LionError
from lion.images import StoredImage, stored_size
from lion.prompts import Task

IMAGE, REF, BOX = "<image>", "<ref-object>", "<bbox>"
_OBJECTS = ("ref", "bbox", "bbox_type", "image_id")
_REPO = "https://huggingface.co/docs/trl/dataset_formats"
Picture = Path | bytes | StoredImage
Find = Callable[[Any], Picture]
"""From what a row gives as its picture to the picture."""


@DatasetInfo("messages", {}, annotations=_REPO, pictures=_REPO).reader
def messages(reader: AnnotationReader) -> None:
    """`<split>.jsonl`, or `<split>.json` with a list of such rows.

    A record for each answer, with the turns before it as history. A record's id is the number of its row and the turn.
    """
    file = reader.file(f"{reader.split}.jsonl", f"{reader.split}.json")
    rows = enumerate(reader.json(file), start=1) if file.suffix == ".json" else reader.json_lines(file)
    for number, row in rows:
        with reader.record(file, number, "row"):
            for record in [*records_of(row, str(number), lambda given: reader.image(text(given, "picture")))]:
                reader.add(record)


def records_of(row: Mapping[str, Any], ident: str, find: Find) -> Iterator[Record]:
    """The records of a row. Raises: LionError if they are not of use."""
    picture = find(_picture(row))
    slots = _Slots(row.get("objects") or {}, picture)
    turns = [one for one in row["messages"] if one["role"] != "system"]
    if not turns or [one["role"] for one in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise LionError("its messages are not those of user and assistant by turns")
    history: list[tuple[str, str]] = []
    records: list[Record] = []
    for place in range(0, len(turns), 2):
        asked, answer = (_content(one["content"]) for one in turns[place : place + 2])
        record = slots.record(f"{ident}:{place // 2}", asked, answer, tuple(history))
        if record.task in (Task.VQA, Task.DIALOG):
            history.append((record.question or "", record.answers[0]))
        records.append(record)
    slots.check_used_up()
    yield from records


def _picture(row: Mapping[str, Any]) -> Any:
    given = row.get("images") if row.get("images") is not None else row.get("image")
    given = given if isinstance(given, list) else [given]
    if len(given) != 1 or given[0] is None:
        raise LionError(f"it has {len(given) if given != [None] else 'no'} pictures, and LION reads one")
    return given[0]


def _content(value: Any) -> str:
    """A message's words; its parts are joined, and where the picture stands is left out."""
    if isinstance(value, list):
        if other := sorted({str(part.get("type")) for part in value} - {"image", "text"}):
            raise LionError(f"a message has a part of the type {other[0]}, and LION reads text and the row's image")
        value = " ".join(str(part.get("text") or "") for part in value if part.get("type") == "text")
    return text(value.replace(IMAGE, " ").strip() if isinstance(value, str) else value, "message")


class _Slots:
    """The phrases and boxes of a row, which are taken in their order."""

    def __init__(self, objects: Mapping[str, Any], picture: Picture) -> None:
        self.refs, self.boxes = list(objects.get("ref") or []), list(objects.get("bbox") or [])
        self.kind, self.picture = objects.get("bbox_type") or "real", picture
        if self.kind not in ("real", "norm1"):
            raise LionError(f"its bbox_type {self.kind!r} is neither real (pixels) nor norm1 (the unit square)")
        if other := sorted(key for key in objects if key not in _OBJECTS and objects[key] is not None):
            raise LionError(f"its objects have {other[0]}, which is not read; they have {', '.join(_OBJECTS)}")

    def record(self, ident: str, asked: str, answer: str, history: tuple[tuple[str, str], ...]) -> Record:
        """A turn. Raises: LionError for slots without a filling, or boxes that LION has no task for."""
        refs = [self._next(self.refs, REF) for _ in range(asked.count(REF))]
        boxes = [self._next(self.boxes, BOX) for _ in range(asked.count(BOX))]
        refs_out = [self._next(self.refs, REF) for _ in range(answer.count(REF))]
        boxes_out = [self._next(self.boxes, BOX) for _ in range(answer.count(BOX))]
        if boxes_out:
            if len(boxes_out) != 1 or boxes or len({*refs, *refs_out}) != 1:
                raise LionError(f"an answer has {len(boxes_out)} boxes for {len({*refs, *refs_out})} phrases: one each")
            phrase, also = (refs or refs_out)[0], (Task.REG,)
            return Record(
                ident,
                self.picture,
                Task.REC,
                expression=phrase,
                box=self._box(boxes_out[0]),
                answers=(phrase,),
                also=also,
            )
        answer = _filled(answer, refs_out)
        if boxes:
            if len(boxes) != 1:
                raise LionError(f"a question has {len(boxes)} boxes, and LION describes one")
            box = self._box(boxes[0])
            return Record(ident, self.picture, Task.REG, expression=answer, box=box, answers=(answer,))
        task = Task.DIALOG if history else Task.VQA
        return Record(ident, self.picture, task, _filled(asked, refs), history=history, answers=(answer,))

    def check_used_up(self) -> None:
        """Raise LionError for a phrase or box that no slot has taken."""
        for values, slot in ((self.refs, REF), (self.boxes, BOX)):
            if values:
                raise LionError(f"its objects have {len(values)} more than there are {slot} for them")

    @staticmethod
    def _next(values: list[Any], slot: str) -> Any:
        if not values:
            raise LionError(f"it has more {slot} than objects to fill them")
        return values.pop(0)

    def _box(self, value: Any) -> Box:
        """In the unit square. Raises: LionError if it is none."""
        x1, y1, x2, y2 = numbers(value, "bbox", 4)
        if self.kind == "norm1":
            box = Box(x1, y1, x2, y2)
        else:
            size, orientation = stored_size(self.picture)
            if orientation != 1:
                raise LionError(
                    f"its picture is stored turned (EXIF orientation {orientation}), and this form does not say "
                    "whether boxes were drawn before or after: save the picture as it is to be seen"
                )
            box = Box(x1, y1, x2, y2, "pixel").to_unit(*size)
        if box != box.clamp():
            raise LionError(f"its bbox {value} ({self.kind}) reaches outside the picture")
        if not has_written_area(box):
            raise LionError(f"its bbox {value} ({self.kind}) has no area")
        return box


def _filled(words: str, refs: Sequence[Any]) -> str:
    for ref in refs:
        words = words.replace(REF, text(ref, "ref"), 1)
    return " ".join(words.split())
