"""Many answers in one file, or folder, that other programs read; the end of its name chooses the format.

``.jsonl`` holds what ``--json`` prints and ``.csv`` a line for each box, or for an answer without one. ``.coco.json``
and ``.yolo`` (a folder) hold boxes: pictures by their paths below the folder that all of them share, labels as classes.
All coordinates are those of the picture as people see it, EXIF orientation applied.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lion.atomic import atomic_directory, atomic_write, check_writable
from lion.errors import LionError
from lion.images import path_of
from lion.pipeline.read import Answer, labels
from lion.pipeline.request import Verb

FORMATS = (".coco.json", ".csv", ".jsonl", ".yolo")
COLUMNS = (
    "image", "width", "height", "task", "question", "text", "label", "x1", "y1", "x2", "y2", "ok", "reason", "score",
    "confidence", "note",
)  # fmt: skip
"""Of a CSV file; corners in pixels, the score is the box's."""


def export(answers: Answer | Iterable[Answer], path: str | Path) -> None:
    """Write answers to one file or folder, atomically; a file that is there is replaced.

    Answers about one picture form one picture with all their boxes. A failed request has none: JSON lines and CSV
    name it, the others leave it out.

    Raises: LionError as :func:`check_export`, for a picture without a file's name where the format needs one, or if the
        place cannot be written.
    """
    rows = [answers] if isinstance(answers, Answer) else list(answers)
    kind = check_export(path, [row.image for row in rows if not row.failed])
    try:
        if kind == ".yolo":
            with atomic_directory(path) as folder:
                _write_yolo(rows, folder)
        else:
            text = {".jsonl": _jsonl, ".csv": _csv, ".coco.json": _coco}[kind](rows)
            atomic_write(path, text.encode(errors="backslashreplace"))
    except OSError as error:
        raise _unwritable(path, error) from error


def check_export(path: str | Path, images: Sequence[str | None], verb: Verb | None = None) -> str:
    """The format that a name means, once nothing stands in its way: to be called before there are answers.

    Args:
        path: the file or folder to be.
        images: names of the pictures to come.
        verb: the verb to be answered, if all answers are to be of one.

    Raises: LionError for an unknown format, a verb without boxes where the format holds nothing else, pictures that it
        cannot tell apart, a folder that exists or a place that cannot be written.
    """
    target = Path(path)
    kind = next((kind for kind in FORMATS if target.name.lower().endswith(kind)), None)
    if kind is None:
        raise LionError(f"cannot export to '{path}': the name must end in {', '.join(FORMATS)}")
    if kind in (".coco.json", ".yolo"):
        if verb not in (None, Verb.LOCATE, Verb.DESCRIBE):
            fix = "name a .csv or .jsonl file, or ask for both with lion annotate --do ... --coco"
            raise LionError(f"'{path}' holds boxes, and {verb} gives none; {fix}")
        names = _names(images)
        if kind == ".yolo" and (twice := _twice(_label_file(name) for name in names.values())):
            raise LionError(f"'{path}' needs pictures of different names, but two are {twice}; rename one")
    try:
        if target.exists() and (kind == ".yolo" or target.is_dir()):
            raise LionError(f"'{path}' exists; delete it or name another place")
        check_writable(target)
    except OSError as error:
        raise _unwritable(path, error) from error
    return kind


def _unwritable(path: str | Path, error: OSError) -> LionError:
    return LionError(f"cannot write '{path}': {error.strerror or error}; name another place")


def _names(images: Iterable[str | None]) -> dict[str, str]:
    """Of each picture, by its name as given: its path below the folder that all pictures share, with slashes."""
    given = list(dict.fromkeys(images))
    places = {name: os.path.abspath(path) for name in given if name not in (None, "-") and (path := path_of(name))}
    if len(places) < len(given):
        raise LionError("a picture without a file's name cannot be exported here; ask about its path, or use .jsonl")
    root = os.path.commonpath(list(map(os.path.dirname, places.values()))) if places else ""
    return {name: Path(os.path.relpath(place, root)).as_posix() for name, place in places.items()}


def _label_file(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".txt"))


def _twice(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _pictures(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """The answers of each picture that could be read, by its path below the shared folder."""
    read = [answer for answer in answers if not answer.failed]
    names = _names(answer.image for answer in read)
    pictures: dict[str, list[Answer]] = {name: [] for name in names.values()}
    for answer in read:
        pictures[names[str(answer.image)]].append(answer)
    return pictures


def _jsonl(answers: Sequence[Answer]) -> str:
    return "".join(json.dumps(answer.to_json()) + "\n" for answer in answers)


def _csv(answers: Sequence[Answer]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for answer in answers:
        before = [answer.image, *(answer.size or ("", "")), answer.task, answer.question, answer.text]
        found = answer.to_json()
        boxes = [([box["label"], *box["pixel"]], box["score"]) for box in found["boxes"]]
        for box, score in boxes or [([""] * 5, None)]:
            writer.writerow([*before, *box, answer.ok, answer.reason, score, found["confidence"], answer.note])
    return file.getvalue()


def _coco(answers: Sequence[Answer]) -> str:
    """COCO's detection format, with the scores of its results; ids begin at 1."""
    categories = {label: number for number, label in enumerate(labels(answers), start=1)}
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, (name, found) in enumerate(_pictures(answers).items(), start=1):
        width, height = found[0].size or (0, 0)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for box in (box for answer in found for box in answer.boxes):
            bbox = [round(value, 2) for value in box.pixel.xywh()]
            annotation: dict[str, Any] = {"id": len(annotations) + 1, "image_id": number}
            annotation |= {"category_id": categories[box.label], "bbox": bbox}
            annotation |= {"area": round(bbox[2] * bbox[3], 2), "iscrowd": 0}
            annotations.append(annotation if box.score is None else annotation | {"score": round(box.score, 4)})
    document = {
        "info": {"description": _made_by(answers)},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
    }
    return json.dumps(document, indent=1) + "\n"


def _made_by(answers: Sequence[Answer]) -> str:
    """Which models gave the boxes, and what holds for all of their answers."""
    models = ", ".join(sorted({answer.model for answer in answers}))
    return "; ".join([f"boxes by {models}", *sorted({answer.about for answer in answers if answer.about})])


def _write_yolo(answers: Sequence[Answer], folder: Path) -> None:
    """``labels/PICTURE.txt`` with a line ``class x y width height`` for each box (its middle, as fractions), empty for
    a picture without; and ``data.yaml``, which names the classes and expects the pictures in ``images``."""
    names = labels(answers)
    for name, found in _pictures(answers).items():
        lines = []
        for box in (box for answer in found for box in answer.boxes):
            place = (*box.unit.center, *box.unit.xywh()[2:])
            lines.append(" ".join([str(names.index(box.label)), *(f"{value:.6f}" for value in place)]) + "\n")
        target = folder / "labels" / _label_file(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(lines))
    data = {"path": ".", "train": "images", "val": "images", "names": names, "description": _made_by(answers)}
    (folder / "data.yaml").write_text(json.dumps(data, indent=1) + "\n")  # JSON is YAML
