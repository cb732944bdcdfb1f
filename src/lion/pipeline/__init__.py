"""LION for people: :class:`LionPipeline` and what it takes and gives."""

from lion.pipeline.answer import Answer, Candidate, LabelledBox, Verb
from lion.pipeline.decoding import DECODING, DecodingPreset
from lion.pipeline.drawing import annotate, save_picture
from lion.pipeline.look import Look
from lion.pipeline.pipeline import LionPipeline
from lion.pipeline.request import Request

__all__ = [
    "DECODING",
    "Answer",
    "Candidate",
    "DecodingPreset",
    "LabelledBox",
    "LionPipeline",
    "Look",
    "Request",
    "Verb",
    "annotate",
    "save_picture",
]
