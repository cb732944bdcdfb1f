"""Metrics of the drawn world that look for names of a known vocabulary in a text: objects of captions, and REG.

In all of them ``forms`` maps lower-case surface forms to names: ``{"bus": "bus", "buses": "bus"}``.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from lion.metrics.statistics import Estimate, mean, ratio


def mentions(text: str, forms: Mapping[str, str]) -> list[str]:
    """The names in a text, in order, with repeats.

    Only whole words match, and the longest form wins (``traffic light`` before ``light``).
    """
    if not forms:
        return []
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
    return [forms[found] for found in re.findall(pattern, text.lower())]


def caption_objects(
    captions: Sequence[str], present: Sequence[Sequence[str]], forms: Mapping[str, str]
) -> dict[str, Estimate]:
    """Hallucinated and missed objects of captions (in the spirit of CHAIR): ``precision``, the share of mentioned
    categories that are present, and ``recall``, the share of present ones that are mentioned; and ``no_repeats``, the
    share of captions that mention no present category more often than the image holds it.

    The first two are over all captions together; a category counts once a caption. ``present``: the category of each
    object of each image. Raises: LionError without samples; ValueError for unequal lengths.
    """
    counted = [Counter(mentions(caption, forms)) for caption in captions]
    within = [
        all(times <= there[name] for name, times in found.items() if name in there)
        for found, there in zip(counted, map(Counter, present), strict=True)
    ]
    mentioned = [set(found) for found in counted]
    hits = [len(found.intersection(true)) for found, true in zip(mentioned, present, strict=True)]
    return {
        "precision": ratio(hits, [len(found) for found in mentioned]),
        "recall": ratio(hits, [len(set(true)) for true in present]),
        "no_repeats": mean(within),
    }


def reg(
    descriptions: Sequence[str],
    categories: Sequence[str],
    colours: Sequence[str],
    *,
    category_forms: Mapping[str, str],
    colour_forms: Mapping[str, str],
) -> dict[str, Estimate]:
    """Whether descriptions of a box (REG) name the object in it: shares with the correct ``category``, the correct
    ``colour``, and ``both``.

    A description may go on to other objects ("the red apple left of the blue car"), so only the first category and the
    first colour count. Raises: LionError without samples; ValueError for unequal lengths.
    """

    def hits(names: Sequence[str], forms: Mapping[str, str]) -> list[bool]:
        return [mentions(text, forms)[:1] == [name] for text, name in zip(descriptions, names, strict=True)]

    category, colour = hits(categories, category_forms), hits(colours, colour_forms)
    both = [one and other for one, other in zip(category, colour, strict=True)]
    return {"category": mean(category), "colour": mean(colour), "both": mean(both)}
