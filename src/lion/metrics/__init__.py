"""Scores as pure functions: texts (or arrays) and references in, named estimates out.

Used by training's validation and by evaluation alike, so the two can never disagree. Every score comes as an
:class:`~lion.metrics.statistics.Estimate`, its standard error beside it.
"""

from lion.metrics.aokvqa import AokvqaQuestion, aokvqa_direct_answer, aokvqa_multiple_choice
from lion.metrics.average_precision import average_precision, mean_average_precision
from lion.metrics.candidate_ranking import rank_candidates
from lion.metrics.caption_objects import caption_objects
from lion.metrics.captions import captions, captions_by_image
from lion.metrics.choice_extraction import strict_choice, vlmevalkit_choice
from lion.metrics.exact_match import exact_match
from lion.metrics.gqa import gqa
from lion.metrics.iconqa import iconqa
from lion.metrics.mmbench import MmbenchRow, mmbench
from lion.metrics.pairing import align, align_partial
from lion.metrics.pope import pope, pope_strict
from lion.metrics.rec import rec
from lion.metrics.reg import reg
from lion.metrics.statistics import Estimate
from lion.metrics.visdial import VisdialRound, visdial
from lion.metrics.vqa import VqaQuestion, vqa
from lion.metrics.vsr import vsr

__all__ = [
    "AokvqaQuestion",
    "Estimate",
    "MmbenchRow",
    "VisdialRound",
    "VqaQuestion",
    "align",
    "align_partial",
    "aokvqa_direct_answer",
    "aokvqa_multiple_choice",
    "average_precision",
    "caption_objects",
    "captions",
    "captions_by_image",
    "exact_match",
    "gqa",
    "iconqa",
    "mean_average_precision",
    "mmbench",
    "pope",
    "pope_strict",
    "rank_candidates",
    "rec",
    "reg",
    "strict_choice",
    "visdial",
    "vlmevalkit_choice",
    "vqa",
    "vsr",
]
