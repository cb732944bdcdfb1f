"""A conversation in which later questions lean on earlier answers.

python examples/chat.py PICTURE "how many cars are there?" "what color is it?" [--model PATH|HUB_ID]
"""

import argparse

from lion import LionPipeline

parser = argparse.ArgumentParser(description="Talk about a picture.")
parser.add_argument("picture")
parser.add_argument("question", nargs="+")
parser.add_argument("--model", help="a checkpoint folder or Hub id (default: lion-mini)")
options = parser.parse_args()

lion = LionPipeline.from_pretrained(options.model)
look = lion.look(options.picture)
history: list[tuple[str, str]] = []
for question in options.question:
    answer = lion.chat(look, question, history)
    history.append((question, answer.text))
    print(f"{question} {answer.text}" + (f"  ({answer.remark})" if answer.remark else ""))
