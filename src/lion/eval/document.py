"""A report's headings, paragraphs, tables, lists and figures, rendered as Markdown and as HTML."""

import base64
import html
from collections.abc import Sequence
from typing import NamedTuple


class Heading(NamedTuple):
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


class Table(NamedTuple):
    """Rows of cells; the first row names the columns."""

    rows: Sequence[Sequence[str]]
    alignment: Sequence[str] = ()
    """Markdown's marks below the names of the columns; empty for ``---``."""


class Items(NamedTuple):
    """A list."""

    lines: Sequence[str]


class Picture(NamedTuple):
    """An SVG: a file beside the Markdown, a part of the HTML."""

    alt: str
    file: str
    svg: bytes


Block = Heading | Table | Items | Picture | str
"""A part of a document; a text is a paragraph."""


def grouped_notes(noted: Sequence[tuple[str, str]]) -> list[str]:
    """From names with notes, some empty: each note once, with the names that it is about."""
    names: dict[str, list[str]] = {}
    for name, note in noted:
        if note:
            names.setdefault(note, []).append(name)
    return [f"{note}: {', '.join(dict.fromkeys(of))}" for note, of in names.items()]


def markdown(document: Sequence[Block]) -> str:
    """The document as Markdown."""
    blocks = []
    for block in document:
        match block:
            case Heading(text, level):
                blocks.append(f"{'#' * level} {text}")
            case Table(rows, alignment):
                ruled = [rows[0], alignment or ["---"] * len(rows[0]), *rows[1:]]
                table = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in ruled]
                blocks.append("\n".join(f"| {' | '.join(row)} |" for row in table))
            case Items(lines):
                blocks.append("\n".join(f"* {line}" for line in lines))
            case Picture(alt, file):
                escaped = alt.replace("[", "\\[").replace("]", "\\]")
                blocks.append(f"![{escaped}]({file})")
            case str():
                blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def html_body(document: Sequence[Block]) -> str:
    """The document as HTML, without the page around it."""
    blocks = []
    for block in document:
        match block:
            case Heading(text, level):
                blocks.append(f"<h{level}>{html.escape(text)}</h{level}>")
            case Table(rows):
                shown = [_row(rows[0], "th"), *(_row(row, "td") for row in rows[1:])]
                blocks.append("\n".join(["<table>", *shown, "</table>"]))
            case Items(lines):
                blocks.append("\n".join(["<ul>", *(f"<li>{html.escape(line)}</li>" for line in lines), "</ul>"]))
            case Picture(alt, _, svg):
                source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
                blocks.append(f'<img alt="{html.escape(alt)}" src="{source}" style="max-width: 100%">')
            case str():
                blocks.append(f"<p>{html.escape(block)}</p>")
    return "\n".join(blocks)


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
