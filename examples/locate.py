"""Find things in a picture and draw their boxes.

python examples/locate.py PICTURE "the red car" "the tree" --out boxes.png [--model PATH|HUB_ID]
"""

import argparse

from lion import LionPipeline
from lion.pipeline import annotate, save_picture

parser = argparse.ArgumentParser(description="Find things in a picture.")
parser.add_argument("picture")
parser.add_argument("phrase", nargs="+")
parser.add_argument("--out", default="boxes.png")
parser.add_argument("--model", help="a checkpoint folder or Hub id (default: lion-mini)")
options = parser.parse_args()

lion = LionPipeline.from_pretrained(options.model)
look = lion.look(options.picture)
answers = lion.locate(look, options.phrase)  # one batch
for phrase, answer in zip(options.phrase, answers, strict=True):
    print(f"{phrase}: {answer.boxes[0].pixel.xyxy() if answer.ok else answer.reason}")
save_picture(annotate(look.image, [box for answer in answers for box in answer.boxes]), options.out)
