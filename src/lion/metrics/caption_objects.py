"""Captions against what is really in the picture: objects invented, objects left out (in the spirit of CHAIR)."""

from collections.abc import Collection, Mapping, Sequence

from lion.metrics.mentions import mentions
from lion.metrics.statistics import Estimate, ratio


def caption_objects(
    captions: Sequence[str], present: Sequence[Collection[str]], forms: Mapping[str, str]
) -> dict[str, Estimate]:
    """``precision``: of the kinds of object that captions mention, the share that is there. ``recall``: of the kinds
    that are there, the share that is mentioned. Both over all captions together; a kind counts once a caption.

    ``present``: the names in each picture. ``forms``: as in :func:`lion.metrics.mentions.mentions`; words outside it
    are no objects. Raises: LionError without samples; ValueError for unequal lengths.
    """
    mentioned = [set(mentions(caption, forms)) for caption in captions]
    there = [set(names) for names in present]
    right = [len(said & true) for said, true in zip(mentioned, there, strict=True)]
    return {
        "precision": ratio(right, [len(said) for said in mentioned]),
        "recall": ratio(right, [len(true) for true in there]),
    }
