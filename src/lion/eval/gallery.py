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
from lion.data.record import Record
from lion.eval.benchmark import Rows
from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.document import Document, html_body
from lion.images import open_image
from lion.pipeline import LabelledBox, annotate
from lion.prompts import Task

SHOWN = 12
"""Errors of each run."""
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


def worst_errors(benchmark: DatasetBenchmark, rows: Rows, model: str) -> list[Error]:
    """The SHOWN answers that are worth least; of equally bad ones a selection from the whole file.

    Raises:
        LionError: the answers are not complete, or a picture cannot be read.
    """
    (scored, _), rec = benchmark.scored(rows), benchmark.paper.task == Task.REC
    found = rows(benchmark.name)
    wrong = sorted(
        (one for one in benchmark.records if scored.worth.get(one.id, 1) < 1), key=lambda r: scored.worth[r.id]
    )
    last = scored.worth[wrong[min(SHOWN, len(wrong)) - 1].id] if wrong else 0
    worst = [one for one in wrong if scored.worth[one.id] <= last]
    chosen = [worst[place * len(worst) // SHOWN] for place in range(SHOWN)] if len(worst) > SHOWN else worst
    return [
        Error(
            benchmark.name,
            model,
            one.id,
            found[one.id]["asked"],
            found[one.id]["text"],
            format_box(one.box.clamp()) if rec and one.box else " / ".join(dict.fromkeys(one.answers)),
            round(scored.worth[one.id], 4),
            _picture(one, scored.read[one.id] if rec else None),
        )
        for one in chosen
    ]


def _picture(record: Record, answered: tuple[float, float, float, float] | None) -> Image.Image:
    """The picture, small; the record's box and the box that was answered drawn in."""
    picture = open_image(record.image).copy()
    picture.thumbnail((_SIDE, _SIDE))
    boxes = [LabelledBox.of("right", record.box.clamp(), picture.size)] if record.box else []
    if answered:
        boxes.append(LabelledBox.of("answer", Box(*answered).clamp(), picture.size))
    return annotate(picture, boxes) if boxes else picture


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
