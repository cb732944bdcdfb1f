"""The house: parts of the code on their floors, by the import law that tests/test_architecture.py holds."""

from docs.figures.svg import MARGIN, WIDTH, Figure, width
from tests.test_architecture import LAW

FLOORS = {
    "errors": "what everybody needs",
    "boxes": "boxes, pictures, files",
    "prompts": "words and scores",
    "model": "the paper's parts",
    "checkpoints": "weights in, tokens out",
    "world": "drawn scenes; released weights",
    "data": "datasets and samples",
    "pipeline": "a picture in, an answer out",
    "train": "what is built on answers",
    "studies": "the paper's claims",
    "cli": "how people reach it",
}
"""What a floor is for, by its first part."""
_HIGH, _GAP, _RIGHT = 36, 8, WIDTH - MARGIN - 28


def floors() -> list[list[str]]:
    """Parts by floor, from the ground up."""
    return [[part.strip() for part in floor.split(",")] for floor in LAW.split("◄")]


def draw() -> Figure:
    """The roof first; beside the house an arrow, the way that imports point."""
    storeys = [(FLOORS[parts[0]], _rows(parts)) for parts in reversed(floors())]
    heights = [36 + len(rows) * (_HIGH + _GAP) for _, rows in storeys]
    figure = Figure(
        74 + sum(heights) + 5 * len(heights) + 20,
        "The house: what may import what",
        "The parts of the code on floors. Each imports what is below it; parts of one floor do not see each other. "
        "From the ground: " + "; ".join(", ".join(parts) for parts in floors()) + ".",
    )
    figure.line((MARGIN, 68), ((MARGIN + _RIGHT) / 2, 24), (_RIGHT, 68), (MARGIN, 68))
    y = 74.0
    for (words, rows), height in zip(storeys, heights, strict=True):
        figure.rectangle(MARGIN, y, _RIGHT - MARGIN, height, "frozen")
        figure.text(MARGIN + 12, y + 23, words, "soft", room=_RIGHT - MARGIN - 24)
        for number, row in enumerate(rows):
            x: float = MARGIN + 12
            for part in row:
                figure.box(x, y + 34 + number * (_HIGH + _GAP), _wide(part), _HIGH, "ground", part)
                x += _wide(part) + _GAP
        y += height + 5
    figure.text(WIDTH - MARGIN, 54, "imports", "soft", anchor="end")
    figure.arrow((WIDTH - MARGIN - 8, 74), (WIDTH - MARGIN - 8, y - 5))
    return figure


def _wide(part: str) -> float:
    return max(width(part, True) + 22, 72)


def _rows(parts: list[str]) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for part in parts:
        if sum(_wide(each) + _GAP for each in [*rows[-1], part]) - _GAP > _RIGHT - MARGIN - 24:
            rows.append([])
        rows[-1].append(part)
    return rows
