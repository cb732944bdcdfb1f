"""LION as a CVAT auto-annotation function, which CVAT's own command line runs on this machine:

    cvat-cli task auto-annotate 42 --function-module lion.plugins.cvat -p model=str:path/to/model -p labels=str:kite

Rectangles with scores, one for each label that the model finds in a frame; ``--conf-threshold`` drops those below it.
"""

from collections.abc import Sequence
from typing import Any

import cvat_sdk.auto_annotation as cvataa
from PIL import Image

from lion.pipeline import LionPipeline
from lion.plugins.phrases import locate, read_phrases


class LionDetection:
    """See `cvat_sdk.auto_annotation.DetectionFunction`.

    Args:
        model: a checkpoint folder, a Hub id, or ``lion-mini``, a toy that knows drawn scenes only.
        labels: of the task, with the phrase to find for each, as ``kite=the blue kite; boat``.
        device: as `LionPipeline.from_pretrained`; empty for a GPU if there is one.
        decoding: a preset of :mod:`lion.pipeline.request`.

    Raises: LionError as `LionPipeline.from_pretrained`, and for labels that cannot be read.
    """

    def __init__(self, model: str, labels: str, device: str = "", decoding: str = "lion") -> None:
        self.phrases = read_phrases(labels)
        self._ids = {label: number for number, label in enumerate(self.phrases)}
        self._pipeline = LionPipeline.from_pretrained(model, device=device or None, decoding=decoding)

    @property
    def spec(self) -> Any:
        """The labels, which the task must have under the same names."""
        labels = [cvataa.label_spec(label, number, type="rectangle") for label, number in self._ids.items()]
        return cvataa.DetectionFunctionSpec(labels=labels)

    def detect(self, context: Any, image: Image.Image) -> Sequence[Any]:
        """Rectangles, in pixels, of one frame."""
        (boxes,) = locate(self._pipeline, [image], self.phrases, context.conf_threshold or 0.0)
        return [
            cvataa.rectangle(
                self._ids[box.label], list(box.pixel.xyxy()), score=1.0 if box.score is None else box.score
            )
            for box in boxes
        ]


create = LionDetection
