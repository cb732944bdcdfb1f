"""Ask about a picture, and see what the answer rests on.

python examples/ask.py PICTURE "what is on the left?" [--model PATH|HUB_ID]
"""

import argparse

from lion import LionPipeline

parser = argparse.ArgumentParser(description="Ask about a picture.")
parser.add_argument("picture")
parser.add_argument("question", nargs="+")
parser.add_argument("--model", help="a checkpoint folder or Hub id (default: lion-mini)")
options = parser.parse_args()

lion = LionPipeline.from_pretrained(options.model)
look = lion.look(options.picture)  # the costly part, once; every question below is cheap
for question in options.question:
    answer = lion.ask(look, question)
    print(f"{question} {answer.text}")
print("tags used:", ", ".join(look.tags))
