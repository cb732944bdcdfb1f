"""Object precision and recall of captions: which are hallucinated, which are missed (in the spirit of CHAIR)."""

from collections.abc import Collection, Mapping, Sequence

from lion.metrics.mentions import mentions
from lion.metrics.statistics import Estimate, ratio


def caption_objects(
    captions: Sequence[str], present: Sequence[Collection[str]], forms: Mapping[str, str]
) -> dict[str, Estimate]:
    """``precision``, the share of mentioned categories that are present, and ``recall``, the share of present ones that
    are mentioned, both over all captions together; a category counts once a caption.

    ``present``: the categories in each image. ``forms``: as in :func:`lion.metrics.mentions.mentions`; other words are
    no objects. Raises: LionError without samples; ValueError for unequal lengths.
    """
    mentioned = [set(mentions(caption, forms)) for caption in captions]
    hits = [len(found.intersection(true)) for found, true in zip(mentioned, present, strict=True)]
    return {
        "precision": ratio(hits, [len(found) for found in mentioned]),
        "recall": ratio(hits, [len(set(true)) for true in present]),
    }
