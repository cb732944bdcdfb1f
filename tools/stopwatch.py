"""A stopwatch beside `lion bench`: the same pictures and questions through the methods that users call.

    python -m tools.stopwatch                   # once `lion bench` has run, on the same quiet machine

Prints pictures a second for each verb at each batch size: the median of seven turns, the lowest and the highest.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

from lion.bench.stages import BATCHES, Drawn, drawn
from lion.pipeline import Answer, LionPipeline
from lion.world.language import describe

TURNS = 7


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
    rates = defaultdict(list)
    for _ in range(TURNS):
        for verb in (caption, locate, ask):
            for batch in BATCHES:
                rates[verb.__name__, batch].append(rate(lion, verb, pictures, batch))
    for (name, batch), found in rates.items():
        print(f"{name:8} {batch:3} {median(found):6.1f} ({min(found):.1f} - {max(found):.1f})")


if __name__ == "__main__":
    main()
