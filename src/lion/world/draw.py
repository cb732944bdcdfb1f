"""Rasterises a scene to an RGB picture of any size, fast enough to draw training data during training.

Each category's icon is painted once as a map of tone numbers, coloured by a palette, reduced (which smooths edges) and
cached; a picture is a cached background and a few small resizes.
"""

import hashlib
import json
from functools import lru_cache

from PIL import Image, ImageDraw

from lion.errors import LionError
from lion.world.backgrounds import Rgb, background, blend, scenery
from lion.world.icons_artefacts import ARTEFACTS
from lion.world.icons_nature import NATURE
from lion.world.scene import Scene
from lion.world.shapes import Layer

COLOUR_RGB: dict[str, Rgb] = {
    "red": (214, 45, 48), "orange": (244, 132, 22), "yellow": (250, 212, 40), "green": (52, 160, 66),
    "blue": (40, 112, 214), "purple": (132, 64, 176), "pink": (248, 142, 186), "white": (243, 244, 246),
}  # fmt: skip
FIXED_TONES: dict[str, Rgb] = {
    "ink": (38, 34, 48), "paper": (252, 251, 246), "cream": (246, 232, 204), "shade": (214, 208, 204),
    "glass": (186, 220, 236), "wood": (140, 100, 68), "coffee": (98, 66, 48), "metal": (168, 174, 184),
    "tyre": (56, 54, 66), "leaf": (104, 144, 80), "beak": (240, 170, 56), "lemon": (255, 232, 140),
}  # fmt: skip
ICONS = NATURE | ARTEFACTS
"""Category to the function that gives its layers."""
_TONES = ("outline", "base", "light", "dark", *FIXED_TONES)
_NIGHT: Rgb = (34, 26, 54)
_OUTLINE = 2.2  # in an icon's units (the long side is about 100)
_SMOOTH = 4  # painted this many times larger than kept
_LEVELS = (64, 128, 256, 512)  # long sides at which coloured icons are kept


def render(scene: Scene, pixels: int = 256) -> Image.Image:
    """Draw a scene as a square RGB picture of `pixels` a side. Raises: LionError if that is outside 32..2048."""
    if not 32 <= pixels <= 2048:
        raise LionError(f"a picture of {pixels} pixels a side is out of range; choose 32 to 2048")
    picture = background(scene.theme, scene.background, pixels).copy()
    for obj in scene.objects:
        left, top, right, bottom = (round(edge * pixels) for edge in obj.box.xyxy())
        sprite = _sprite(obj.category, obj.colour, max(right - left, 1), max(bottom - top, 1))
        if obj.mirrored:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture.paste(sprite, (left, top), sprite)
    return picture


def drawing_hash() -> str:
    """A hash of the geometry of icons and scenery and of the palette: what pictures show, apart from rounding."""
    icons = {
        name: [
            ([(round(x, 2) + 0.0, round(y, 2) + 0.0) for x, y in layer.points], layer.tone, layer.edge)
            for layer in paint()
        ]
        for name, paint in sorted(ICONS.items())
    }
    return hashlib.sha256(json.dumps([icons, scenery(), COLOUR_RGB, FIXED_TONES, _OUTLINE]).encode()).hexdigest()[:32]


@lru_cache(maxsize=1024)
def _sprite(category: str, colour: str, width: int, height: int) -> Image.Image:
    """An icon of exactly this size, RGBA."""
    level = next((level for level in _LEVELS if level >= 1.2 * max(width, height)), _LEVELS[-1])
    return _coloured(category, colour, level).resize((width, height), Image.Resampling.LANCZOS)


@lru_cache(maxsize=512)
def _coloured(category: str, colour: str, level: int) -> Image.Image:
    tones = _tone_map(category, level * _SMOOTH)
    tones.putpalette(_palette(colour), "RGBA")
    return tones.convert("RGBA").reduce(_SMOOTH)


@lru_cache(maxsize=64)
def _tone_map(category: str, long_side: int) -> Image.Image:
    """The icon as palette numbers, 0 for nothing, cropped to its ink: its extents, outline included, fill the image."""
    layers = ICONS[category]()
    x1, y1, x2, y2 = extents(layers)
    scale = long_side / max(x2 - x1, y2 - y1)
    picture = Image.new("P", (round((x2 - x1) * scale), round((y2 - y1) * scale)))
    pen = ImageDraw.Draw(picture)
    scaled = [
        layer._replace(points=[((x - x1) * scale, (y - y1) * scale) for x, y in layer.points]) for layer in layers
    ]
    for layer in scaled:
        if layer.edge:
            _paint_edge(pen, layer.points, _OUTLINE * scale)
    for layer in scaled:
        pen.polygon(layer.points, fill=_TONES.index(layer.tone) + 1)
    return picture


def extents(layers: list[Layer]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an icon's ink with its outline, in the icon's units."""
    points = [point for layer in layers if layer.edge for point in layer.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs) - _OUTLINE, min(ys) - _OUTLINE, max(xs) + _OUTLINE, max(ys) + _OUTLINE


def _paint_edge(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]], width: float) -> None:
    """The polygon grown by `width` with round corners, in the outline's tone."""
    pen.polygon(points, fill=1)
    pen.line([*points, points[0]], fill=1, width=max(1, round(2 * width)))
    for x, y in points:
        pen.ellipse((x - width, y - width, x + width, y + width), fill=1)


@lru_cache(maxsize=16)
def _palette(colour: str) -> bytes:
    base = COLOUR_RGB[colour]
    own = {"base": base, "light": blend(base, (255, 255, 255), 0.45), "dark": blend(base, _NIGHT, 0.24)}
    outline = blend(base, _NIGHT, 0.74)
    if colour == "white":
        own["light"], own["dark"], outline = (255, 255, 255), (206, 210, 220), (86, 88, 108)
    rows = [outline, *(own.get(tone) or FIXED_TONES[tone] for tone in _TONES[1:])]
    return bytes((*outline, 0)) + b"".join(bytes((*row, 255)) for row in rows)
