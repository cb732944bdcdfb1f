"""A stopwatch beside `lion bench`: the same pictures and questions through the methods that users call, taking turns.

    python -m tools.stopwatch                   # on a quiet machine

Prints pictures a second by the stopwatch and by the bench for each verb at each batch size, and their ratio: medians of
seven turns, with the lowest and the highest ratio.
"""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

from lion.bench.limits import Limits
from lion.bench.stages import BATCHES, Drawn, answers, drawn
from lion.pipeline import Answer, LionPipeline
from lion.world.language import describe

TURNS, SECONDS = 7, 1.0
UNUSED = Limits(0, 0.0, 0.0)
"""Whole answers are compared with no limit."""


def caption(lion: LionPipeline, asked: Sequence[Drawn]) -> Sequence[Answer]:
    return lion.caption([each.image for each in asked])


def locate(lion: LionPipeline, asked: Sequence[Drawn]) -> Sequence[Answer]:
    return lion.locate([each.image for each in asked], [f"the {describe(each.scene, 0)}" for each in asked])


def ask(lion: LionPipeline, asked: Sequence[Drawn]) -> Sequence[Answer]:
    questions = [f"what color is the {each.scene.objects[0].category}?" for each in asked]
    return lion.ask([each.image for each in asked], questions)


def rate(lion: LionPipeline, verb: Callable[..., Sequence[Answer]], pictures: Sequence[Drawn], batch: int) -> float:
    """Pictures a second, each new to the pipeline."""
    lion.cache.clear()
    begin = perf_counter()
    for start in range(0, len(pictures), batch):
        verb(lion, pictures[start : start + batch])
    return len(pictures) / (perf_counter() - begin)


def main() -> None:
    lion, pictures = LionPipeline.from_pretrained(), drawn(max(BATCHES))
    rate(lion, ask, pictures, max(BATCHES))  # the first call loads and compiles
    for verb in (caption, locate, ask):
        for batch in BATCHES:
            lion.batch_size = batch
            watch, bench = [], []
            for _ in range(TURNS):
                watch.append(rate(lion, verb, pictures, batch))
                [stage] = answers(lion, pictures, UNUSED, SECONDS, verb.__name__)
                bench.append(stage.rate.median)
            ratios = [one / other for one, other in zip(watch, bench, strict=True)]
            print(
                f"{verb.__name__:8} {batch:3} {median(watch):6.1f} {median(bench):6.1f}  "
                f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
