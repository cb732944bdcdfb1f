"""What fine-tuning on forty pictures gained and lost, with intervals: the table of docs/explanation/finetuning.md."""

import re
from pathlib import Path

from docs.figures.svg import WIDTH, Figure

PAGE = Path(__file__).parents[1] / "explanation" / "finetuning.md"
INTERVAL = r"([+-][\d.]+) \[([+-][\d.]+), ([+-][\d.]+)\]"
SCALES = {
    "caption, CIDEr": 300,
    "VQA, exact match": 25,
    "REC, accuracy at IoU 0.5": 25,
    "REC, mean IoU": 25,
    "REG, CIDEr": 100,
}
"""By row: the largest difference that fits, to both sides."""
ZERO, HALF = 380, 190
"""Where no difference is, and how far the largest one is from there."""


def draw() -> Figure:
    """A row for each score that has intervals; the small parts above all parts."""
    text = PAGE.read_text("utf-8")
    rows = {name: re.search(rf"^\| {re.escape(name)} \|.*$", text, re.MULTILINE) for name in SCALES}
    told = {
        name: [tuple(map(float, found)) for found in re.findall(INTERVAL, row[0])] for name, row in rows.items() if row
    }
    figure = Figure(
        436,
        "Fine-tuning on forty pictures",
        "; ".join(
            f"{name}: {few[0]:+g} with the small parts, {many[0]:+g} with all" for name, (few, many) in told.items()
        ),
    )
    figure.line((ZERO, 24), (ZERO, 350))
    for row, (name, intervals) in enumerate(told.items()):
        top, most = 24 + 66 * row, SCALES[name]
        figure.text(24, top + 28, name.removesuffix(" at IoU 0.5"), "b")
        figure.text(24, top + 50, f"scale ± {most}", "soft")
        for place, (kind, interval) in enumerate(zip(("image", "region"), intervals, strict=True)):
            middle, low, high = (ZERO + HALF * value / most for value in interval)
            y = top + 18 + 26 * place
            figure.line((low, y), (high, y))
            figure.rectangle(middle - 6, y - 6, 12, 12, kind)
            figure.text(WIDTH - 24, y + 6, f"{interval[0]:+.1f}", "soft", anchor="end")
    figure.text(ZERO, 376, "0: no difference", "soft", anchor="middle")
    figure.key(412, ("image", "adapters, router, soft prompt"), ("region", "all parts"))
    return figure
