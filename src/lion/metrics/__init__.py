"""Metrics: pure functions from predictions (texts, rankings or arrays) and references to scores.

Training's validation and evaluation both use them, so the two cannot differ. Every score is an
:class:`~lion.metrics.statistics.Estimate`: value, standard error and number of samples.
"""

from lion.metrics.aokvqa import AokvqaQuestion, aokvqa_direct_answer, aokvqa_multiple_choice
from lion.metrics.average_precision import average_precision, mean_average_precision
from lion.metrics.captions import captions, captions_by_image
from lion.metrics.exact_match import exact_match
from lion.metrics.gqa import gqa
from lion.metrics.iconqa import iconqa
from lion.metrics.mentions import caption_objects, reg
from lion.metrics.mmbench import MmbenchRow, mmbench
from lion.metrics.pope import pope, pope_strict
from lion.metrics.rec import rec
from lion.metrics.statistics import Estimate
from lion.metrics.visdial import VisdialRound, visdial
from lion.metrics.vqa import VqaQuestion, vqa
from lion.metrics.vsr import vsr

__all__ = [
    "AokvqaQuestion", "Estimate", "MmbenchRow", "VisdialRound", "VqaQuestion", "aokvqa_direct_answer",
    "aokvqa_multiple_choice", "average_precision", "caption_objects", "captions", "captions_by_image", "exact_match",
    "gqa", "iconqa", "mean_average_precision", "mmbench", "pope", "pope_strict", "rec", "reg", "visdial", "vqa", "vsr",
]  # fmt: skip
