"""Referring expression generation (REG) in the drawn world: does the description name the object in the box?

A description may go on to other objects ("the red apple left of the blue car"), so only the first category and the
first colour count.
"""

from collections.abc import Mapping, Sequence

from lion.metrics.mentions import mentions
from lion.metrics.statistics import Estimate, mean


def reg(
    descriptions: Sequence[str],
    categories: Sequence[str],
    colours: Sequence[str],
    *,
    category_forms: Mapping[str, str],
    colour_forms: Mapping[str, str],
) -> dict[str, Estimate]:
    """Score descriptions against the targets' ``categories`` and ``colours``: shares with the correct ``category``,
    the correct ``colour``, and ``both``. The forms are those of :func:`lion.metrics.mentions.mentions`.

    Raises: LionError without samples; ValueError for unequal lengths.
    """
    category = [
        mentions(text, category_forms)[:1] == [name] for text, name in zip(descriptions, categories, strict=True)
    ]
    colour = [mentions(text, colour_forms)[:1] == [name] for text, name in zip(descriptions, colours, strict=True)]
    both = [one and other for one, other in zip(category, colour, strict=True)]
    return {"category": mean(category), "colour": mean(colour), "both": mean(both)}
