"""Boxes, arrows and words of the docs' figures, as SVG.

A figure brings its own ground, light or dark as the reader's system asks, so it can be read on any page. Colours are
those of the plots; what trains has an outline, what is frozen has none, and words say so too. Text stays text, in the
system's fonts. Words that do not fit their box are an error: they are measured in DejaVu Sans, which is wider than
what systems usually have.
"""

from functools import cache
from html import escape
from pathlib import Path

import matplotlib
from PIL import ImageFont

from lion.figures import COLOURS, INK, LEVELS

WIDTH, MARGIN = 640, 24
"""Of every figure, in the units of its letters: SIZE is 17, which a phone of 390 pixels shows as 10."""
SIZE, LINE = 17, 24
PADDING = 8
"""Left free on both sides of words in a box."""

_DARK = {"image": "#56b4e9", "region": "#ff8c42", "both": "#2ec4a0"}
_FAMILY = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'


def _kinds(colours: dict[str, str], opacity: float) -> str:
    rule = ".{kind} {{ fill: {colour}; fill-opacity: {opacity}; stroke: {colour}; stroke-width: 2 }}"
    return "\n".join(rule.format(kind=kind, colour=colour, opacity=opacity) for kind, colour in colours.items())


def _style() -> str:
    return f"""
text {{ font: {SIZE}px {_FAMILY}; fill: {INK} }}
.b {{ font-weight: 600 }} .m {{ font-family: {_MONO}; font-size: 15px }} .soft {{ fill: #57606a }}
.ground {{ fill: #ffffff; stroke: #d8dee4 }}
.frozen {{ fill: #e9edf1; stroke: none }} .plain {{ fill: none; stroke: #8c959f }}
.line {{ fill: none; stroke: #6e7781; stroke-width: 1.75 }} .tip {{ fill: #6e7781 }}
{_kinds(LEVELS | {"both": COLOURS[2]}, 0.11)}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e6edf3 }} .soft {{ fill: #9da7b3 }}
.ground {{ fill: #14181d; stroke: #30363d }}
.frozen {{ fill: #2a3038 }} .plain {{ stroke: #6e7681 }}
.line {{ stroke: #8b949e }} .tip {{ fill: #8b949e }}
{_kinds(_DARK, 0.16)}
}}
"""


@cache
def _font(bold: bool, mono: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans" + "Mono" * mono + "-Bold" * bold
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), 100)


def width(words: str, bold: bool = False, mono: bool = False) -> float:
    """Of words, at most."""
    return _font(bold, mono).getlength(words) * (15 if mono else SIZE) / 100


class Figure:
    """One figure: what is drawn is appended, from the ground up."""

    def __init__(self, height: int, title: str, description: str) -> None:
        self.height, self.title, self.description = height, title, description
        self.parts: list[str] = []

    def text(
        self, x: float, y: float, words: str, kind: str = "", *, anchor: str = "start", room: float | None = None
    ) -> None:
        """Words on the line at y; `kind` holds classes: b bold, m monospaced, soft."""
        needs = width(words, "b" in kind.split(), "m" in kind.split())
        left = x - {"start": 0, "middle": needs / 2, "end": needs}[anchor]
        assert room is None or needs <= room, f"{self.title}: {words!r} needs {needs:.0f} of {room:.0f}"
        assert left >= 4 and left + needs <= WIDTH - 4, f"{self.title}: {words!r} leaves the figure"
        about = f' class="{kind}"' if kind else ""
        at = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{about}{at}>{escape(words)}</text>')

    def rectangle(self, x: float, y: float, w: float, h: float, kind: str) -> None:
        """A box without words; `kind` is frozen, image, region, both or plain."""
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" class="{kind}"/>')

    def box(self, x: float, y: float, w: float, h: float, kind: str, *lines: str) -> None:
        """A box with lines in its middle: the first bold, the others soft; what begins with [ is monospaced."""
        self.rectangle(x, y, w, h, kind)
        top = y + h / 2 - LINE * (len(lines) - 1) / 2 + 6
        for number, words in enumerate(lines):
            look = "m soft" if words.startswith("[") else "soft" if number else "b"
            self.text(x + w / 2, top + number * LINE, words, look, anchor="middle", room=w - 2 * PADDING)

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through points, with a tip at its end."""
        (x0, y0), (x1, y1) = points[-2:]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        end = (x1 - 7 * dx, y1 - 7 * dy)
        self.line(*points[:-1], end)
        tip = ((x1, y1), (x1 - 9 * dx - 5 * dy, y1 - 9 * dy + 5 * dx), (x1 - 9 * dx + 5 * dy, y1 - 9 * dy - 5 * dx))
        self.parts.append(f'<polygon points="{_places(tip)}" class="tip"/>')

    def line(self, *points: tuple[float, float]) -> None:
        """A line through points."""
        self.parts.append(f'<polyline points="{_places(points)}" class="line"/>')

    def key(self, y: float, *entries: tuple[str, str]) -> None:
        """What the kinds of boxes mean, in a row."""
        x: float = MARGIN
        for kind, words in entries:
            self.parts.append(f'<rect x="{x:g}" y="{y - 12:g}" width="22" height="14" rx="3" class="{kind}"/>')
            self.text(x + 30, y, words)
            x += 30 + width(words) + 18

    def __str__(self) -> str:
        ground = f'<rect x="1" y="1" width="{WIDTH - 2}" height="{self.height - 2}" rx="12" class="ground"/>'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" role="img" aria-labelledby="title about">'
        )
        words = f'<title id="title">{escape(self.title)}</title>\n<desc id="about">{escape(self.description)}</desc>'
        return "\n".join([head, words, f"<style>{_style()}</style>", ground, *self.parts, "</svg>", ""])


def _places(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{round(x, 2):g},{round(y, 2):g}" for x, y in points)
