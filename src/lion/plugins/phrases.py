"""What the plugins share: labels with the phrases behind them, their boxes, and the model's name as users see it."""

import logging
from collections.abc import Mapping, Sequence

from lion.boxes import LabelledBox
from lion.errors import LionError
from lion.pipeline import LionPipeline
from lion.pipeline.evidence import Picture

LOG = logging.getLogger("lion.plugins")


def read_phrases(text: str) -> dict[str, str]:
    """Labels and the phrase to locate for each, of ``kite=the blue kite; boat``: a label without
    ``=`` is its own phrase.

    Raises: LionError if there is none, one is empty, or a label comes twice.
    """
    phrases: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        label, _, phrase = map(str.strip, part.partition("="))
        if not label or ("=" in part and not phrase) or label in phrases:
            raise LionError(f"labels are 'kite=the blue kite; boat', each once, not '{part}'")
        phrases[label] = phrase or label
    if not phrases:
        raise LionError("name what to look for: labels such as 'kite=the blue kite; boat'")
    return phrases


def locate(
    pipeline: LionPipeline, pictures: Sequence[Picture], phrases: Mapping[str, str], threshold: float = 0.0
) -> list[list[LabelledBox]]:
    """For each picture the boxes of the labels whose phrase names something there, as far as the model finds; LION
    gives a phrase one box at most.

    Args:
        pipeline: of any model.
        pictures: answered in batches.
        phrases: by label.
        threshold: the least score of a box, in [0, 1].

    Raises: LionError if a picture cannot be read, or a phrase is too long.
    """
    labels, texts = list(phrases), list(phrases.values())
    looks = [pipeline.cache.open(picture) for picture in pictures]
    found: list[list[LabelledBox]] = [[] for _ in looks]
    answers = pipeline.locate([look for look in looks for _ in texts], texts * len(looks), if_there=True)
    for number, answer in enumerate(answers):
        place, label = number // len(labels), labels[number % len(labels)]
        if not answer.ok:
            LOG.info("picture %d of %d: no box for '%s': %s", place + 1, len(looks), label, answer.reason)
        boxes = [box for box in answer.boxes if (box.score or 0.0) >= threshold]
        found[place] += [LabelledBox(label, box.unit, box.pixel, box.score) for box in boxes]
    return found


def shown_name(pipeline: LionPipeline) -> str:
    """A model's name where a user picks it, or sees what it made: lion-mini is called the toy that it is."""
    return f"{pipeline.name} (a toy: drawn scenes only)" if pipeline.about else pipeline.name
