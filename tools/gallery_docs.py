"""Write docs/gallery.md and its pictures: ``python -m tools.gallery_docs [MODEL]``, from the root of the clone.

MODEL, lion-mini by default, answers QUESTIONS frozen questions of each set of the drawn world: a minute on two cores.
"""

import sys
import tempfile
from pathlib import Path

from lion import LionPipeline
from lion.atomic import atomic_write
from lion.eval import Evaluation, WorldBenchmark
from lion.eval.gallery import Gallery

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
QUESTIONS, SHOWN = 200, 50

HEAD = """# Gallery

What [lion-mini](../src/lion/bundled/lion-mini/README.md) answers in [the drawn world](explanation/world.md), right and
wrong. Wrong answers are shown more often here than they occur: how many of all are right stands above each set. A
caption is right if all that it says is there, a box if its IoU with the true one is at least 0.5.

This page is generated (`python -m tools.gallery_docs`).

"""
PHOTOGRAPHS = """
## Photographs

lion-mini knows drawn scenes alone; on photographs it is of no use. LION's released weights are made for them, and
[`lion convert official`](how-to/convert.md) reads those. **Nothing in this section has been run:** we had neither the
weights nor the datasets at hand. With both, these commands answer, score, and draw a page like this one:

```console
$ lion convert official --lion lion_flant5xl.pth --ram ram_swin_large_14m.pth lion-xl
$ lion locate photo.jpg "the dog on the left" --model lion-xl --save located.png
$ lion eval coco-caption vqav2 refcocog-test pope-adversarial --data DIR --model lion-xl --limit 200 --out photographs
$ lion gallery photographs --out photographs.md
```

Expect captions of one sentence, answers of a word or two, one box for each expression, and yes or no for what may not
be there. The scores to expect are [the paper's](how-to/evaluation.md#benchmarks).
"""


def main(model: str) -> None:
    """Answer, draw, and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        run = Evaluation(LionPipeline.from_pretrained(model), WorldBenchmark(limit=QUESTIONS), folder)
        run.predict()
        run.finish()
        panels = Gallery.read([Path(folder)], SHOWN).page(PAGE.with_suffix(""))
    atomic_write(PAGE, HEAD + panels + PHOTOGRAPHS)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["lion-mini"])
