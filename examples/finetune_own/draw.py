"""Draw pictures in a style that lion-mini has never seen, with a JSONL file of what is on them.

python examples/finetune_own/draw.py OUT [--pictures 40] [--first 0]

The things are those of the drawn world, so that there are words for them; the look is not: pencil outlines, hatched in
muted inks, on rough brown paper. For each picture OUT/drawings.jsonl has a caption, questions with their answers, and
phrases with their boxes.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lion.random import stream
from lion.world import language
from lion.world.draw import ICONS, extents
from lion.world.scene import Scene, scene
from lion.world.vocabulary import with_article

PIXELS, FINE = 256, 3
WASH = 0.7
INKS = {
    "red": (150, 28, 40), "orange": (190, 92, 20), "yellow": (214, 176, 40), "green": (48, 104, 60),
    "blue": (30, 62, 128), "purple": (92, 44, 116), "pink": (206, 98, 140), "white": (240, 236, 226),
}  # fmt: skip


def paper(rng: np.random.Generator) -> Image.Image:
    """Brown paper with grain and long fibres."""
    side = PIXELS * FINE
    grain = Image.fromarray(rng.normal(0, 26, (side, side)).clip(-60, 60).astype(np.int8).view(np.uint8) ^ 128)
    grain = grain.filter(ImageFilter.GaussianBlur(FINE))
    tone = np.array((186, 156, 116)) + rng.integers(-14, 15, 3)
    sheet = Image.fromarray((tone + (np.asarray(grain, float)[..., None] - 128) * 1.8).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(sheet)
    for x, y, angle, length in rng.random((60, 4)) * (side, side, 2 * math.pi, side / 6):
        end = (x + length * math.cos(angle), y + length * math.sin(angle))
        pen.line([(x, y), end], fill=tuple(int(value) - 24 for value in tone), width=2)
    return sheet


def hatching(mask: Image.Image, slope: int) -> Image.Image:
    """Parallel strokes where the mask is."""
    strokes = Image.new("L", mask.size)
    pen = ImageDraw.Draw(strokes)
    for start in range(-mask.height, mask.width, 4 * FINE):
        pen.line([(start, 0), (start + slope * mask.height // 2, mask.height)], fill=200, width=FINE + 1)
    return Image.composite(strokes, Image.new("L", mask.size), mask)


def draw(now: Scene) -> Image.Image:
    """The scene's objects as pencil drawings, without its background."""
    rng = stream("pencil", now.id)
    sheet = paper(rng)
    for thing in now.objects:
        ink, layers = INKS[thing.colour], ICONS[thing.category]()
        left, top, right, bottom = (edge * PIXELS * FINE for edge in thing.box.xyxy())
        x1, y1, x2, y2 = extents(layers)
        width, height = (right - left) / (x2 - x1), (bottom - top) / (y2 - y1)
        mask, outline = Image.new("L", sheet.size), Image.new("L", sheet.size)
        fill, pen = ImageDraw.Draw(mask), ImageDraw.Draw(outline)
        for layer in layers:
            across = [x2 - x if thing.mirrored else x - x1 for x, _ in layer.points]
            points = [
                (left + x * width, top + (y - y1) * height) for x, (_, y) in zip(across, layer.points, strict=True)
            ]
            fill.polygon(points, fill=255)
            shaky = [(x + rng.normal(0, 0.8), y + rng.normal(0, 0.8)) for x, y in points]
            pen.line([*shaky, shaky[0]], fill=255, width=FINE + 1 if layer.edge else FINE, joint="curve")
        sheet.paste(ink, mask=mask.point(lambda value: int(value * WASH)))
        sheet.paste(ink, mask=hatching(mask, 1 if rng.random() < 0.5 else -1))
        sheet.paste(tuple(value // 2 for value in ink) if thing.colour != "white" else ink, mask=outline)
    return sheet.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)


def rows(now: Scene, name: str) -> list[dict[str, object]]:
    """What is said about a scene, a line each."""
    rng = stream("pencil words", now.id)
    names = language.listed([with_article(language.describe(now, index)) for index in range(len(now.objects))])
    found: list[dict[str, object]] = [{"image": name, "caption": f"an image of {names}"}]
    for kind in ("exists", "count", "colour"):
        if question := language.vqa(now, rng, kind):
            found.append({"image": name, "question": question.question, "answer": question.answer})
    for kind in ("unique", "attribute", "relation"):
        if phrase := language.expression(now, rng, kind):
            box = [round(edge, 4) for edge in now.objects[phrase.target].box.xyxy()]
            found.append({"image": name, "expression": phrase.text, "box": box})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw pictures in pencil on brown paper, with a JSONL file.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(options.first, options.first + options.pictures):
        now = scene("train", number, seed=7, max_objects=3)
        name = f"{number:03d}.png"
        draw(now).save(options.out / name)
        lines += [json.dumps(row) for row in rows(now, name)]
    (options.out / "drawings.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
