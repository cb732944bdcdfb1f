"""The worst errors as images: prompt, generated text and reference, with both boxes drawn."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from lion.eval.benchmark import SampleScore
from lion.eval.document import Block, html_body
from lion.pipeline import LabelledBox, annotate

MAX_ERRORS = 12
"""Errors of each benchmark, or of each of its question sets."""
_SIDE = 480
"""Longer side of a shown image in pixels."""

_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 18rem; font-size: .85rem }
figure img { width: 100%; border: 1px solid #ddd }
figcaption p { margin: .2rem 0; overflow-wrap: anywhere }
"""


def worst_errors(samples: Sequence[SampleScore]) -> list[SampleScore]:
    """The MAX_ERRORS lowest scores of each group, of those that are errors."""
    groups: dict[str, list[SampleScore]] = {}
    for sample in (one for one in samples if one.score < one.right_from):
        groups.setdefault(sample.group, []).append(sample)
    return [group[i] for group in groups.values() for i in lowest([sample.score for sample in group])]


def lowest(scores: Sequence[float]) -> list[int]:
    """Indices of the MAX_ERRORS lowest scores below 1; among equal ones, evenly spaced over all of them."""
    wrong = sorted((index for index, score in enumerate(scores) if score < 1), key=scores.__getitem__)
    if len(wrong) <= MAX_ERRORS:
        return wrong
    low = [index for index in wrong if scores[index] <= scores[wrong[MAX_ERRORS - 1]]]
    return [low[number * len(low) // MAX_ERRORS] for number in range(MAX_ERRORS)]


def error_record(model: str, sample: SampleScore) -> dict[str, Any]:
    """An error as report.json holds it: all but the image."""
    texts = {"asked": sample.prompt, "said": sample.generated, "right": sample.reference}
    return {"benchmark": sample.group, "model": model, "id": sample.id, **texts, "worth": round(sample.score, 4)}


def annotated(sample: SampleScore) -> Image.Image:
    """The image, small, with the reference (or given) box and the predicted one. Raises: LionError if unreadable."""
    small = sample.image().copy()
    small.thumbnail((_SIDE, _SIDE))
    labelled = {"truth": sample.box, "answer": sample.predicted_box}
    boxes = [LabelledBox.of(label, box.clamp(), small.size) for label, box in labelled.items() if box]
    return annotate(small, boxes) if boxes else small


def html_page(document: Sequence[Block], errors: Sequence[tuple[str, SampleScore]]) -> str:
    """One file: a report and, below it, the errors (model, sample) with their images. Raises: as :func:`annotated`."""
    body = [html_body(document)] + ["<h2>The worst errors</h2>"] * bool(errors)
    sections: dict[str, list[str]] = {}
    for model, sample in errors:
        sections.setdefault(f"{sample.group}, {model}", []).append(_figure(model, sample))
    for title, figures in sections.items():
        body += [f"<h3>{html.escape(title)}</h3>", '<div class="gallery">', *figures, "</div>"]
    head = f'<head><meta charset="utf-8"><title>LION: evaluation</title><style>{_STYLE}</style></head>'
    return "\n".join(["<!doctype html>", '<html lang="en">', head, "<body>", *body, "</body></html>", ""])


def _figure(model: str, sample: SampleScore) -> str:
    buffer = io.BytesIO()
    annotated(sample).save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    record = error_record(model, sample)
    record |= {"worth": f"{record['worth']:g}", "truth": record["right"]}
    shown = ("asked", "said", "truth", "worth", "id")
    lines = "".join(f"<p><b>{name}</b> {html.escape(record[name])}</p>" for name in shown)
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}"><figcaption>{lines}</figcaption></figure>'
