"""Many pictures, several tasks, one file: a caption, an answer and a box for each picture, as JSON lines.

python examples/batch_json.py --out answers.jsonl PICTURE... [--model PATH|HUB_ID]
"""

import argparse
import json

from lion import LionPipeline
from lion.atomic import atomic_write
from lion.pipeline import Request, Verb

parser = argparse.ArgumentParser(description="Several tasks on many pictures.")
parser.add_argument("pictures", nargs="+")
parser.add_argument("--out", default="answers.jsonl")
parser.add_argument("--model", help="a checkpoint folder or Hub id (default: lion-mini)")
options = parser.parse_args()

lion = LionPipeline.from_pretrained(options.model, batch_size=12)
requests = []
for picture in options.pictures:  # rows of one batch may ask different things; each picture is looked at once
    requests.append(Request(picture, Verb.CAPTION))
    requests.append(Request(picture, Verb.ASK, "how many objects are there?"))
    requests.append(Request(picture, Verb.LOCATE, "the largest object"))
answers = lion.answer(requests)
atomic_write(options.out, "".join(json.dumps(answer.to_json()) + "\n" for answer in answers))
print(f"{len(answers)} answers about {len(options.pictures)} pictures in {options.out}")
