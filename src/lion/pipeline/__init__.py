"""The high-level interface: :class:`LionPipeline`, its four steps, its requests and answers.

*Evidence* of a request's picture is gathered (opened, tagged, encoded, and cached), the request is *prepared* (words,
tags, token ids), the answer is *decoded* and *read*. Each step is a module that can be used without the others.
"""

from lion.boxes import LabelledBox
from lion.errors import DrawnScenesWarning
from lion.pipeline.answering import OnError, open_pictures
from lion.pipeline.continuous import ContinuousBatch, Result
from lion.pipeline.decode import BatchDecoder, Decoder, EngineDecoder, TransformersDecoder
from lion.pipeline.drawing import annotate, save_picture
from lion.pipeline.evidence import Evidence, EvidenceCache, Look
from lion.pipeline.explanation import Explanation, check_explanation_plot, save_explanation
from lion.pipeline.export import export
from lion.pipeline.pipeline import LionPipeline
from lion.pipeline.prepare import Prompt, prepare
from lion.pipeline.read import Answer, Candidate, detections, read, read_ranking
from lion.pipeline.request import DECODING, DecodingPreset, Request, Verb

__all__ = [
    "DECODING",
    "Answer",
    "BatchDecoder",
    "Candidate",
    "ContinuousBatch",
    "Decoder",
    "DecodingPreset",
    "DrawnScenesWarning",
    "EngineDecoder",
    "Evidence",
    "EvidenceCache",
    "Explanation",
    "LabelledBox",
    "LionPipeline",
    "Look",
    "OnError",
    "Prompt",
    "Request",
    "Result",
    "TransformersDecoder",
    "Verb",
    "annotate",
    "check_explanation_plot",
    "detections",
    "export",
    "open_pictures",
    "prepare",
    "read",
    "read_ranking",
    "save_explanation",
    "save_picture",
]
