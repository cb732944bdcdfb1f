"""Scenery behind the objects: five themes in twelve variants each, in muted colours and without outlines.

It contains nothing that resembles a category (no trees, houses or round lights).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from lion.random import pick, stream
from lion.world.scene import BACKGROUNDS
from lion.world.shapes import Point, Polygon, band, curve, ellipse

Rgb = tuple[int, int, int]
_SMOOTH = 2


class _Canvas:
    """A picture painted in unit coordinates at twice the size, to be reduced at the end."""

    def __init__(self, pixels: int) -> None:
        self.side = pixels * _SMOOTH
        self.picture = Image.new("RGB", (self.side, self.side))
        self.pen = ImageDraw.Draw(self.picture)

    def gradient(self, top: float, bottom: float, above: Rgb, below: Rgb) -> None:
        """Fill a horizontal zone with a vertical gradient."""
        first, last = round(top * self.side), round(bottom * self.side)
        for y in range(first, last):
            t = (y - first) / max(last - first - 1, 1)
            self.pen.line((0, y, self.side, y), fill=blend(above, below, t))

    def fill(self, points: Polygon, colour: Rgb) -> None:
        self.pen.polygon([(x * self.side, y * self.side) for x, y in points], fill=colour)

    def rect(self, x1: float, y1: float, x2: float, y2: float, colour: Rgb) -> None:
        self.fill([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour)


class _Recorder(_Canvas):
    """Records the drawing commands instead of painting."""

    def __init__(self) -> None:
        super().__init__(1)
        self.commands: list[object] = []

    def gradient(self, top: float, bottom: float, above: Rgb, below: Rgb) -> None:
        self.commands.append((round(top, 3), round(bottom, 3), above, below))

    def fill(self, points: Polygon, colour: Rgb) -> None:
        self.commands.append(([(round(x, 3) + 0.0, round(y, 3) + 0.0) for x, y in points], colour))


def scenery() -> list[object]:
    """The drawing commands of all backgrounds, as plain numbers."""
    recorder = _Recorder()
    for theme, paint in sorted(_PAINTERS.items()):
        for variant in range(BACKGROUNDS):
            paint(recorder, stream("lion-world-background", theme, variant))
    return recorder.commands


def background(theme: str, variant: int, pixels: int) -> Image.Image:
    """The scenery of a theme; not to be drawn on, since small ones are cached."""
    return (_cached if pixels <= 256 else _painted)(theme, variant, pixels)


def _painted(theme: str, variant: int, pixels: int) -> Image.Image:
    canvas = _Canvas(pixels)
    rng = stream("lion-world-background", theme, variant)
    _PAINTERS[theme](canvas, rng)
    return canvas.picture.reduce(_SMOOTH)


_cached = lru_cache(maxsize=64)(_painted)


def _park(c: _Canvas, rng: np.random.Generator) -> None:
    horizon = _around(rng, 0.42, 0.05)
    _sky(c, rng, horizon)
    c.fill(_hills(rng, horizon, 0.07), (172, 204, 176))
    c.fill(_hills(rng, horizon + 0.03, 0.04), (152, 192, 150))
    top, bottom = pick(rng, _GRASS)
    c.gradient(horizon + 0.05, 1, top, bottom)
    bend = _around(rng, 0.5, 0.25)
    path = curve((bend + 0.04, horizon + 0.06), (bend - 0.12, 0.62), (bend + 0.1, 0.8), (bend - 0.1, 1.1))
    c.fill(band(path, 0.03, 7), blend((226, 211, 180), top, 0.2))
    _tufts(c, rng, horizon + 0.1, blend(bottom, (60, 110, 70), 0.35))


def _beach(c: _Canvas, rng: np.random.Generator) -> None:
    horizon, shore = _around(rng, 0.36, 0.04), _around(rng, 0.58, 0.04)
    _sky(c, rng, horizon)
    x = rng.random()
    c.fill(ellipse(x, horizon, 0.22, 0.05, 180, 360), (162, 186, 186))
    c.gradient(horizon, shore + 0.06, (98, 164, 188), (150, 206, 208))
    for _ in range(14):
        x, y = rng.random(), horizon + (shore - horizon) * rng.random()
        c.fill(ellipse(x, y, 0.02 + 0.03 * rng.random(), 0.0035), (190, 224, 226))
    edge = [(x / 8 - 0.05, shore + 0.02 * (rng.random() - 0.5)) for x in range(10)]
    c.fill([*curve(*edge), (1.1, 1), (-0.1, 1)], (236, 244, 240))
    c.fill([*curve(*((x, y + 0.018) for x, y in edge)), (1.1, 1.1), (-0.1, 1.1)], (226, 206, 166))
    c.gradient(shore + 0.06, 1, (232, 213, 174), (217, 192, 148))
    for _ in range(16):
        x, y = rng.random(), shore + 0.1 + (0.88 - shore) * rng.random()
        c.fill(band(curve((x, y), (x + 0.03, y - 0.008), (x + 0.06, y)), 0.005), (207, 182, 140))


def _street(c: _Canvas, rng: np.random.Generator) -> None:
    horizon = _around(rng, 0.5, 0.04)
    _sky(c, rng, horizon)
    for shade, lift in (((196, 205, 216), 0.3), ((176, 186, 200), 0.18)):
        x = -0.05
        while x < 1:
            width, height = _around(rng, 0.12, 0.05), _around(rng, lift, 0.1)
            c.rect(x, horizon - height, x + width, horizon + 0.02, shade)
            for row in range(int(height / 0.045)):
                y = horizon - height + 0.02 + 0.045 * row
                c.rect(x + width * 0.2, y, x + width * 0.8, y + 0.014, blend(shade, (225, 230, 234), 0.45))
            x += width + 0.012 + 0.03 * rng.random()
    c.gradient(horizon, horizon + 0.12, (206, 202, 194), (192, 187, 180))
    for i in range(12):
        far, near, y = i / 11, i * 0.104, horizon + 0.12
        c.fill([(far - 0.002, horizon), (far + 0.002, horizon), (near - 0.05, y), (near - 0.056, y)], (184, 179, 172))
    c.rect(0, horizon + 0.12, 1, horizon + 0.14, (160, 156, 152))
    c.gradient(horizon + 0.14, 1, (128, 130, 138), (108, 110, 120))
    middle, shift = (horizon + 1.14) / 2, rng.random() * 0.2
    for i in range(-1, 6):
        x = i * 0.22 + shift
        top, low = middle - 0.012, middle + 0.012
        c.fill([(x, top), (x + 0.11, top), (x + 0.1, low), (x - 0.01, low)], (206, 206, 202))


def _room(c: _Canvas, rng: np.random.Generator) -> None:
    floor = _around(rng, 0.66, 0.04)
    wall = pick(rng, ((222, 214, 200), (206, 216, 214), (216, 208, 216), (210, 216, 200)))
    c.gradient(0, floor, blend(wall, (255, 255, 255), 0.25), wall)
    stripe = blend(wall, (255, 255, 255), 0.3)
    step = pick(rng, (0.08, 0.1, 0.125))
    for i in range(int(1 / step) + 1):
        c.rect(i * step, 0, i * step + step * 0.3, floor, stripe)
    x, wide = _around(rng, 0.5, 0.22), 0.15
    for dx in (-wide, 0.01):
        c.rect(x + dx - 0.015, 0.1, x + dx + wide, 0.41, (238, 235, 228))
        c.rect(x + dx, 0.115, x + dx + wide - 0.015, 0.395, (190, 210, 222))
        right = x + dx + wide - 0.015
        c.fill([(x + dx, 0.395), (x + dx, 0.3), (right, 0.2), (right, 0.395)], (202, 219, 228))
    c.rect(x - wide - 0.04, 0.405, x + wide + 0.03, 0.43, (228, 222, 212))
    c.rect(0, floor - 0.025, 1, floor, (238, 234, 226))
    wood = pick(rng, ((186, 154, 122), (172, 146, 122), (196, 166, 132)))
    c.gradient(floor, 1, wood, blend(wood, (90, 60, 40), 0.2))
    for i in range(-6, 17):
        top, low = 0.5 + (i - 5) * 0.09, 0.5 + (i - 5) * 0.17
        c.fill(band([(top, floor), (low, 1.02)], 0.004), blend(wood, (90, 60, 40), 0.28))
    rug = pick(rng, ((178, 164, 172), (160, 172, 178), (176, 170, 150)))
    cx = _around(rng, 0.5, 0.15)
    c.fill(ellipse(cx, floor + 0.17, 0.32, 0.09), rug)
    c.fill(ellipse(cx, floor + 0.17, 0.28, 0.075), blend(rug, (255, 255, 255), 0.2))


def _farm(c: _Canvas, rng: np.random.Generator) -> None:
    horizon = _around(rng, 0.4, 0.05)
    _sky(c, rng, horizon)
    c.fill(_hills(rng, horizon, 0.06), (188, 204, 166))
    field = pick(rng, ((214, 200, 142), (206, 194, 150), (196, 202, 140)))
    c.gradient(horizon + 0.03, 0.66, field, blend(field, (150, 130, 80), 0.2))
    vanish = _around(rng, 0.5, 0.3)
    for i in range(-9, 20):
        furrow = [(vanish + (i - 5.5) * 0.05, horizon + 0.03), (vanish + (i - 5.5) * 0.16, 0.68)]
        c.fill(band(furrow, 0.003, 5), blend(field, (150, 130, 80), 0.32))
    top, bottom = pick(rng, _GRASS)
    c.gradient(0.66, 1, top, bottom)
    rail = (186, 166, 140)
    for y in (0.585, 0.625):
        c.rect(0, y, 1, y + 0.014, rail)
    shift = rng.random() * 0.12
    for i in range(-1, 9):
        x = shift + i * 0.13
        c.fill([(x, 0.565), (x + 0.011, 0.55), (x + 0.022, 0.565), (x + 0.022, 0.68), (x, 0.68)], (172, 152, 128))
    _tufts(c, rng, 0.7, blend(bottom, (60, 110, 70), 0.35))


_GRASS: tuple[tuple[Rgb, Rgb], ...] = (
    ((164, 200, 132), (124, 172, 108)),
    ((176, 200, 136), (138, 170, 104)),
    ((150, 194, 142), (114, 166, 116)),
)
_SKIES: tuple[tuple[Rgb, Rgb], ...] = (
    ((158, 204, 236), (222, 238, 244)),
    ((176, 206, 238), (244, 234, 222)),
    ((148, 196, 222), (212, 234, 232)),
    ((190, 208, 232), (248, 226, 214)),
)
_PAINTERS: dict[str, Callable[[_Canvas, np.random.Generator], None]] = {
    "beach": _beach, "farm": _farm, "park": _park, "room": _room, "street": _street,
}  # fmt: skip


def _sky(c: _Canvas, rng: np.random.Generator, horizon: float) -> None:
    above, below = pick(rng, _SKIES)
    c.gradient(0, horizon + 0.08, above, below)
    for _ in range(3):
        x, y, size = rng.random(), 0.04 + 0.2 * rng.random(), 0.06 + 0.06 * rng.random()
        tint = blend(above, (255, 255, 255), 0.55)
        for dx, dy, r in ((-0.8, 0.1, 0.5), (-0.1, -0.1, 0.7), (0.7, 0.08, 0.55)):
            c.fill(ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.6), tint)
        c.fill(ellipse(x, y + 0.2 * size, 1.3 * size, 0.25 * size), tint)


def _hills(rng: np.random.Generator, base: float, height: float) -> Polygon:
    ridge: list[Point] = [(x / 6 - 0.1, base - height * rng.random()) for x in range(9)]
    return [*curve(*ridge), (1.3, 1), (-0.1, 1)]


def _tufts(c: _Canvas, rng: np.random.Generator, top: float, colour: Rgb) -> None:
    for _ in range(22):
        x, y = rng.random(), top + (0.98 - top) * rng.random()
        for dx in (-0.008, 0, 0.008):
            c.fill([(x + dx * 0.4 - 0.002, y), (x + dx, y - 0.02), (x + dx * 0.4 + 0.002, y)], colour)


def _around(rng: np.random.Generator, middle: float, spread: float) -> float:
    return middle + spread * (2 * rng.random() - 1)


def blend(one: Rgb, other: Rgb, share: float) -> Rgb:
    """A colour `share` of the way from one to the other."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b
