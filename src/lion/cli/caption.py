"""``lion caption``: a sentence about each picture."""

from __future__ import annotations

from lion.cli.answering import answer_pictures
from lion.cli.options import BatchSize, Debug, Device, Images, Json, Model, NoTags, Options, Save, Tags, tag_list


def caption(
    images: Images,
    model: Model = None,
    json: Json = False,
    save: Save = None,
    tags: Tags = None,
    no_tags: NoTags = False,
    device: Device = None,
    batch_size: BatchSize = 8,
    debug: Debug = False,
) -> None:
    """Describe each picture in a sentence."""
    options = Options(model, json, save, tag_list(tags, no_tags), device, batch_size, debug)
    answer_pictures(images, "caption", options)
