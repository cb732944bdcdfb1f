"""Scores as pure functions: texts (or arrays) and references in, named estimates out.

Used by training's validation and by evaluation alike, so the two can never disagree. Every score comes as an
:class:`~lion.metrics.statistics.Estimate`, its standard error beside it.
"""

from lion.metrics.average_precision import average_precision, mean_average_precision
from lion.metrics.caption_objects import caption_objects
from lion.metrics.captions import captions, captions_by_image
from lion.metrics.exact_match import exact_match
from lion.metrics.pope import pope
from lion.metrics.rec import rec
from lion.metrics.reg import reg
from lion.metrics.statistics import Estimate

__all__ = [
    "Estimate",
    "average_precision",
    "caption_objects",
    "captions",
    "captions_by_image",
    "exact_match",
    "mean_average_precision",
    "pope",
    "rec",
    "reg",
]
