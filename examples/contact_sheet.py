"""Scenes of the drawn world side by side, as docs/images/world.png shows them.

python examples/contact_sheet.py --out sheet.png [--split train|val|test] [--columns 6] [--rows 3] [--pixels 192]
"""

import argparse

from PIL import Image

from lion.pipeline import save_picture
from lion.world import render, scene

parser = argparse.ArgumentParser(description="A contact sheet of the drawn world.")
parser.add_argument("--out", default="sheet.png")
parser.add_argument("--split", default="train")
parser.add_argument("--columns", type=int, default=6)
parser.add_argument("--rows", type=int, default=3)
parser.add_argument("--pixels", type=int, default=192, help="side of one picture")
options = parser.parse_args()

GAP = 4
step = options.pixels + GAP
sheet = Image.new("RGB", (options.columns * step - GAP, options.rows * step - GAP), "white")
for index in range(options.columns * options.rows):
    place = (index % options.columns * step, index // options.columns * step)
    sheet.paste(render(scene(options.split, index), options.pixels), place)
save_picture(sheet, options.out)
print(f"the first {options.columns * options.rows} scenes of {options.split} in {options.out}")
