"""Draw pictures in a style that lion-mini has never seen, with a JSONL file of what is on them.

python examples/finetune_own/draw.py OUT [--pictures 40] [--first 0]

Things and scenery are those of the drawn world, so that there are words for them; the look is that of an old print:
other inks for each colour, on rough, yellowed paper. For each picture OUT/prints.jsonl has a caption, questions with
their answers, and phrases with their boxes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from lion.random import stream
from lion.world import draw, language, render
from lion.world.scene import Scene, scene
from lion.world.vocabulary import with_article

PIXELS = 256
INKS = {
    "red": (150, 28, 40), "orange": (190, 92, 20), "yellow": (214, 176, 40), "green": (48, 104, 60),
    "blue": (30, 62, 128), "purple": (92, 44, 116), "pink": (206, 98, 140), "white": (240, 236, 226),
}  # fmt: skip
YELLOWED, STAIN, GRAIN = np.array((232, 214, 180)) / 255, 0.3, 12


def printed(now: Scene) -> Image.Image:
    """The scene in the inks, on the paper."""
    picture = np.asarray(render(now, PIXELS), float)
    grain = stream("paper", now.id).normal(0, GRAIN, (PIXELS, PIXELS, 1))
    aged = picture * (1 - STAIN) + picture * YELLOWED * STAIN + grain
    return Image.fromarray(aged.clip(0, 255).astype(np.uint8))


def rows(now: Scene, name: str) -> list[dict[str, object]]:
    """What is said about a scene, a line each."""
    rng = stream("print words", now.id)
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
    parser = argparse.ArgumentParser(description="Draw pictures like old prints, with a JSONL file.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    draw.COLOUR_RGB.update(INKS)  # before anything is drawn
    lines = []
    for number in range(options.first, options.first + options.pictures):
        now, name = scene("train", number, seed=7, max_objects=3), f"{number:03d}.png"
        printed(now).save(options.out / name)
        lines += [json.dumps(row) for row in rows(now, name)]
    (options.out / "prints.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
