"""The worst errors as pictures, to look at: what was asked, what was said, what is right, and both boxes drawn."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from lion.boxes import Box, format_box
from lion.eval.benchmark import Benchmark, Rows
from lion.eval.benchmarks import DatasetBenchmark, WorldBenchmark
from lion.eval.document import Document, html_body
from lion.eval.world.benchmark import SETS
from lion.images import open_image
from lion.metrics.rec import first_box
from lion.pipeline import LabelledBox, annotate
from lion.prompts import Task
from lion.world import render

SHOWN = 12
"""Errors of each benchmark."""
_SIDE = 480
"""Pixels of a shown picture's longer side."""

_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 18rem; font-size: .85rem }
figure img { width: 100%; border: 1px solid #ddd }
figcaption p { margin: .2rem 0; overflow-wrap: anywhere }
"""


@dataclass(frozen=True, slots=True)
class Error:
    """One answer that was worth little."""

    benchmark: str
    model: str
    id: str
    asked: str
    said: str
    right: str
    worth: float
    picture: Image.Image
    """With boxes drawn, where there are any."""

    def to_json(self) -> dict[str, Any]:
        """All but the picture."""
        return {key: getattr(self, key) for key in ("benchmark", "model", "id", "asked", "said", "right", "worth")}


def worst_errors(benchmark: Benchmark, rows: Rows, model: str) -> list[Error]:
    """The SHOWN answers of a benchmark, or of each of its sets, that are worth least.

    Raises:
        LionError: the answers are not complete, or a picture cannot be read.
    """
    if isinstance(benchmark, DatasetBenchmark):
        return _dataset_errors(benchmark, rows, model)
    assert isinstance(benchmark, WorldBenchmark)
    return [error for name in SETS for error in _world_errors(benchmark, name, rows, model)]


def worst(worths: Sequence[float]) -> list[int]:
    """Places of the SHOWN lowest of these that are below 1; of equally low ones a selection from all."""
    wrong = sorted((place for place, worth in enumerate(worths) if worth < 1), key=lambda place: worths[place])
    if len(wrong) <= SHOWN:
        return wrong
    low = [place for place in wrong if worths[place] <= worths[wrong[SHOWN - 1]]]
    return [low[number * len(low) // SHOWN] for number in range(SHOWN)]


def _dataset_errors(benchmark: DatasetBenchmark, rows: Rows, model: str) -> list[Error]:
    scored, _ = benchmark.scored(rows)
    found, rec = rows(benchmark.name), benchmark.paper.task == Task.REC
    answered = [one for one in benchmark.records if one.id in scored.worth]
    errors = []
    for one in (answered[place] for place in worst([scored.worth[one.id] for one in answered])):
        asked, said, worth = found[one.id]["asked"], found[one.id]["text"], scored.worth[one.id]
        right = format_box(one.box.clamp()) if rec and one.box else " / ".join(dict.fromkeys(one.answers))
        picture = _drawn(open_image(one.image), one.box, first_box(said) if rec else None)
        errors.append(Error(benchmark.name, model, one.id, asked, said, right, round(worth, 4), picture))
    return errors


def _world_errors(benchmark: WorldBenchmark, name: str, rows: Rows, model: str) -> list[Error]:
    found, title = rows(name), f"{benchmark.label}: {name}"
    asked = benchmark.questions(name)
    worths = [benchmark.worth(name, one, found[one.id]["text"]) for one in asked]
    errors = []
    for place in worst(worths):
        one, row = asked[place], found[asked[place].id]
        box = first_box(row["text"]) if one.task == Task.REC else None
        right = format_box(one.box) if one.task == Task.REC and one.box else one.answer
        picture = _drawn(render(one.scene), one.box, box)
        errors.append(Error(title, model, one.id, row["asked"], row["text"], right, round(worths[place], 4), picture))
    return errors


def _drawn(picture: Image.Image, right: Box | None, answered: Box | None) -> Image.Image:
    """The picture, small, with the box that is right, or asked about, and the one that was answered."""
    small = picture.copy()
    small.thumbnail((_SIDE, _SIDE))
    boxes = [LabelledBox.of("right", right.clamp(), small.size)] if right else []
    if answered:
        boxes.append(LabelledBox.of("answer", answered.clamp(), small.size))
    return annotate(small, boxes) if boxes else small


def html_page(document: Document, errors: Sequence[Error]) -> str:
    """One file with a report and the gallery below it, pictures inside."""
    body = [html_body(document)]
    if errors:
        body.append("<h2>The worst errors</h2>")
    for title in dict.fromkeys((error.benchmark, error.model) for error in errors):
        figures = [_figure(error) for error in errors if (error.benchmark, error.model) == title]
        body += [f"<h3>{html.escape(', '.join(title))}</h3>", '<div class="gallery">', *figures, "</div>"]
    head = f'<head><meta charset="utf-8"><title>LION: evaluation</title><style>{_STYLE}</style></head>'
    return "\n".join(["<!doctype html>", '<html lang="en">', head, "<body>", *body, "</body></html>", ""])


def _figure(error: Error) -> str:
    buffer = io.BytesIO()
    error.picture.save(buffer, "JPEG", quality=85)
    picture = base64.b64encode(buffer.getvalue()).decode()
    facts = {
        "asked": error.asked,
        "said": error.said,
        "right": error.right,
        "worth": f"{error.worth:g}",
        "id": error.id,
    }
    lines = "".join(f"<p><b>{name}</b> {html.escape(text)}</p>" for name, text in facts.items())
    return f'<figure><img alt="" src="data:image/jpeg;base64,{picture}"><figcaption>{lines}</figcaption></figure>'
