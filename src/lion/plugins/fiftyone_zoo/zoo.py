"""What FiftyOne calls: one model of its Model Zoo does one thing, whose labels go into one field of the samples.

model = foz.load_zoo_model("lion", model="path/to/model", labels="kite=the blue kite; boat")
dataset.apply_model(model, label_field="lion", confidence_thresh=0.5)
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.models as fom

from lion.errors import LionError
from lion.pipeline import Answer, LionPipeline
from lion.pipeline.evidence import Picture
from lion.plugins.phrases import locate, read_phrases

TOY = "lion-mini"
"""The model of the zoo that comes with this package, and knows drawn scenes only."""


def register() -> None:
    """Let FiftyOne on this machine know the models: a copy of this folder in its ``model_zoo_dir``."""
    # FiftyOne imports it under the folder's name there, which must not be this package's.
    target = Path(fo.config.model_zoo_dir) / "lion-zoo"
    shutil.copytree(Path(__file__).parent, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def download_model(model_name: str, model_path: str) -> None:
    """Nothing to download; FiftyOne asks for a file of each model."""
    Path(model_path).write_text(f"{model_name} is loaded by lion-vlm\n", encoding="utf-8")


def load_model(model_name: str, model_path: str | None = None, **settings: Any) -> "LionModel":
    """A model of the zoo; the settings are those of :class:`LionModel`.

    Raises: LionError as that, and where ``lion`` comes without ``model=``.
    """
    if model_name.partition("@")[0] == TOY:
        settings.setdefault("model", TOY)
    if "model" not in settings:
        raise LionError(f"name the checkpoint: load_zoo_model('lion', model='path/to/model'); or load '{TOY}', a toy")
    return LionModel(**settings)


class LionModel(fom.Model):
    """See `fiftyone.core.models.Model`. Detections where there are labels to find, else what ``do`` says.

    Args:
        model: a checkpoint folder, a Hub id, or ``lion-mini``, a toy that knows drawn scenes only.
        labels: to find, with the phrase for each, as ``kite=the blue kite; boat``.
        question: to answer, as a Classification.
        do: without either: ``caption``, as a Classification, or ``tags``, as Classifications.
        device: as `LionPipeline.from_pretrained`.
        decoding: a preset of :mod:`lion.pipeline.request`.
        batch_size: prompts that go through the model together.

    Raises: LionError as `LionPipeline.from_pretrained`, and for settings that contradict each other.
    """

    config = None  # of eta, which needs none to load it; FiftyOne looks for thresholds there
    media_type = "image"
    ragged_batches = False  # pictures of any sizes make a batch
    transforms = None
    preprocess = False

    def __init__(
        self,
        model: str,
        labels: str | None = None,
        question: str | None = None,
        do: str | None = None,
        device: str | None = None,
        decoding: str = "lion",
        batch_size: int = 8,
    ) -> None:
        if [labels, question, do].count(None) != 2 or do not in (None, "caption", "tags"):
            raise LionError("a model does one thing: give labels='kite; boat', question='...', do='caption' or 'tags'")
        self.phrases, self.question, self.do = read_phrases(labels) if labels is not None else None, question, do
        self.pipeline = LionPipeline.from_pretrained(model, device=device, decoding=decoding, batch_size=batch_size)

    def predict(self, arg: Any) -> Any:
        """The labels of one picture, (height, width, 3) uint8."""
        return self.predict_all([arg])[0]

    def predict_all(self, args: Iterable[Any]) -> list[Any]:
        """The labels of each picture; None where the model gave no usable answer."""
        pictures: list[Picture] = list(args)
        if self.phrases is not None:
            return [
                fo.Detections(
                    detections=[
                        fo.Detection(label=box.label, bounding_box=list(box.unit.xywh()), confidence=box.score)
                        for box in boxes
                    ]
                )
                for boxes in locate(self.pipeline, pictures, self.phrases)
            ]
        if self.do == "tags":
            return [
                fo.Classifications(classifications=[fo.Classification(label=tag) for tag in answer.tags])
                for answer in self.pipeline.tags(pictures)
            ]
        asked = self.question is not None
        answers = self.pipeline.ask(pictures, str(self.question)) if asked else self.pipeline.caption(pictures)
        return [_classification(answer) for answer in answers]


def _classification(answer: Answer) -> Any:
    return fo.Classification(label=answer.text, confidence=answer.confidence) if answer.ok else None
