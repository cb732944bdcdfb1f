"""A stopwatch beside `lion bench`: the same pictures and questions through the methods that users call, taking turns.

    python -m tools.stopwatch                   # on a quiet machine

Prints pictures a second by the stopwatch and by the bench for each verb at each batch size, and their ratio: medians of
seven turns, with the lowest and the highest ratio.
"""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

from lion.bench.limits import Limits
from lion.bench.stages import BATCHES, Drawn, answers, drawn
from lion.pipeline import LionPipeline

TURNS, SECONDS = 7, 1.0
UNUSED = Limits(0, 0.0, 0.0)
"""Whole answers are compared with no limit."""


def rate(lion: LionPipeline, verb: str, pictures: Sequence[Drawn], batch: int) -> float:
    """Pictures a second, each new to the pipeline."""
    images, texts = [each.image for each in pictures], [each.request(verb).text for each in pictures]
    method = getattr(lion, verb)
    lion.cache.clear()
    begin = perf_counter()
    for start in range(0, len(images), batch):
        some = slice(start, start + batch)
        method(images[some], *([] if verb == "caption" else [texts[some]]))
    return len(images) / (perf_counter() - begin)


def main() -> None:
    lion, pictures = LionPipeline.from_pretrained(), drawn(max(BATCHES))
    rate(lion, "ask", pictures, max(BATCHES))  # the first call makes what later ones find
    for verb in ("caption", "locate", "ask"):
        for batch in BATCHES:
            lion.batch_size = batch
            watch, bench = [], []
            for _ in range(TURNS):
                watch.append(rate(lion, verb, pictures, batch))
                [stage] = answers(lion, pictures, UNUSED, SECONDS, verb)
                bench.append(stage.rate.median)
            ratios = [one / other for one, other in zip(watch, bench, strict=True)]
            print(
                f"{verb:8} {batch:3} {median(watch):6.1f} {median(bench):6.1f}  "
                f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
