"""``lion tag``: the tagger's words for each picture."""

from __future__ import annotations

from lion.cli.answering import answer_pictures
from lion.cli.options import BatchSize, Debug, Device, Images, Json, Model, Options, Save


def tag(
    images: Images,
    model: Model = None,
    json: Json = False,
    save: Save = None,
    device: Device = None,
    batch_size: BatchSize = 8,
    debug: Debug = False,
) -> None:
    """Name what is in each picture, with the tagger alone."""
    answer_pictures(images, "tag", Options(model, json, save, None, device, batch_size, debug))
