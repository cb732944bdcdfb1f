"""LION on one picture: its tags, a caption, an answer and a box, and the picture saved with the box drawn.

python examples/demo.py [PICTURE]        without a picture: the drawn scene beside this file
"""

import argparse
import sys
import warnings
from pathlib import Path

from transformers.utils import logging

from lion import LionPipeline
from lion.errors import DrawnScenesWarning, LionError
from lion.pipeline import annotate, save_picture
from lion.world.vocabulary import with_article

SCENE = Path(__file__).parent / "scene.png"


def main() -> None:
    parser = argparse.ArgumentParser(description="LION on one picture.")
    parser.add_argument("picture", nargs="?", type=Path, default=SCENE, help="a picture (default: a drawn scene)")
    parser.add_argument("--out", type=Path, default=Path("outputs/demo.png"), help="where the annotated picture goes")
    options = parser.parse_args()

    logging.disable_progress_bar()  # nothing here takes long enough
    warnings.simplefilter("ignore", DrawnScenesWarning)  # said below, of a picture that is none
    lion = LionPipeline.from_pretrained()
    if options.picture != SCENE:
        print(
            "demo: note: lion-mini knows drawn scenes only; docs/how-to/convert.md has what knows photographs",
            file=sys.stderr,
        )
    look = lion.look(options.picture)
    # Tags are the tagger's guesses; LION looks for itself.
    asked = lion.ask([look] * len(look.tags), [f"is there {with_article(tag)} in the image?" for tag in look.tags])
    thing = next((f"the {tag}" for tag, seen in zip(look.tags, asked, strict=True) if seen.text == "yes"), "the object")
    question = f"What color is {thing}?"
    caption, answer, box = lion.caption(look), lion.ask(look, question), lion.locate(look, thing)
    save_picture(annotate(look.image, box.boxes, caption.text), options.out)

    print(f"picture  {options.picture}")
    print(f"tags     {', '.join(look.tags)}")
    print(f"caption  {caption.text}")
    print(f"answer   {question} {answer.text}")
    print(f"box      {thing}: {box.text if box.ok else f'none ({box.reason})'}")
    print(f"saved    {options.out}")


if __name__ == "__main__":
    try:
        main()
    except (LionError, OSError) as error:
        sys.exit(f"demo: {error}")
