"""Boxes stand where people see the thing, whichever way the picture is stored; or the record is refused."""

import json

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from lion.boxes import Box, parse_boxes
from lion.data.orientation import as_shown
from lion.data.record_source import Augment, RecordSource
from lion.data.sample import Record
from lion.data.sources import read
from lion.data.sources.jsonl import read as read_own
from lion.errors import LionError
from lion.prompts import Task

PATCH = (150, 10, 40, 30)
"""x, y, width, height of a red patch in the stored bitmap."""


def picture(path, orientation, size=(200, 100)):
    """A white picture with the patch; returns its size and the patch (in pixels) as people see them."""
    image = Image.new("RGB", size, "white")
    x, y, width, height = PATCH
    image.paste((255, 0, 0), (x, y, x + width, y + height))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(path, exif=exif, quality=95)
    with Image.open(path) as opened:
        shown = ImageOps.exif_transpose(opened).convert("RGB")
    return shown.size, red(shown)


def red(image):
    """Where a picture is red, in pixels."""
    pixels = np.asarray(image).astype(int)
    rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 80))
    return Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, "pixel")


def coco(folder, size, bbox):
    width, height = size
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "patch"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": bbox, "iscrowd": 0}],
    }
    (folder / "own.json").write_text(json.dumps(data))
    return read("coco-detection", folder, "own")


def refcoco(folder, size, bbox):
    coco(folder, size, bbox)
    (folder / "own.json").rename(folder / "instances.json")
    ref = {"ref_id": 1, "ann_id": 1, "image_id": 1, "category_id": 1, "split": "val"}
    ref["sentences"] = [{"sent_id": 1, "sent": "patch"}]
    (folder / "refs(unc).json").write_text(json.dumps([ref]))
    folder.rename(folder.parent / "refcoco")
    return read("refcoco", folder.parent / "refcoco", "val")


def visual_genome(folder, size, bbox):
    (folder / "a.jpg").rename(folder / "1.jpg")
    x, y, width, height = bbox
    region = {"region_id": 1, "image_id": 1, "phrase": "patch", "x": x, "y": y, "width": width, "height": height}
    (folder / "region_descriptions.json").write_text(json.dumps([{"id": 1, "regions": [region]}]))
    image = {"image_id": 1, "width": size[0], "height": size[1]}
    (folder / "image_data.json").write_text(json.dumps([image]))
    return read("visual-genome", folder, "train")


FORMATS = [coco, refcoco, visual_genome]


def target(dataset, **settings):
    """The sample's picture, and the box that the model is to write, in its pixels."""
    sample = RecordSource(dataset, **settings).sample(0, Task.REC, np.random.default_rng(0))
    return sample.image, parse_boxes(sample.answer).boxes[0].to_pixel(*sample.image.size)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_of_the_stored_bitmap_turns_with_it_or_is_refused(folder, orientation, write):
    picture(folder / "a.jpg", orientation)
    dataset = write(folder, (200, 100), PATCH)
    if orientation in (2, 3, 4):  # the same size before and after
        with pytest.raises(LionError, match=f"EXIF orientation {orientation}.* 200 x 100 does not tell"):
            target(dataset)
    else:
        image, box = target(dataset)
        assert box.iou(red(image)) > 0.9


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_a_box_of_the_picture_as_shown_stays(folder, orientation, write):
    size, patch = picture(folder / "a.jpg", orientation)
    image, box = target(write(folder, size, patch.xywh()))
    assert image.size == size and box.iou(red(image)) > 0.9


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_size_of_a_square_tells_nothing(folder, orientation):
    picture(folder / "a.jpg", orientation, (200, 200))
    with pytest.raises(LionError, match="save the picture as it is to be seen"):
        target(coco(folder, (200, 200), PATCH))


def test_flips_and_crops_come_after_the_turn(folder):
    picture(folder / "a.jpg", 6)
    image, box = target(coco(folder, (200, 100), PATCH), augment=Augment(flip=1, crop=0.3))
    assert box.iou(red(image)) > 0.9


def test_a_picture_made_smaller_keeps_its_boxes(folder):
    picture(folder / "a.jpg", 1)
    image, box = target(coco(folder, (401, 200), [2 * value for value in PATCH]))
    assert image.size == (200, 100) and box.iou(red(image)) > 0.9


def test_a_turned_picture_made_smaller_keeps_its_boxes(folder):
    picture(folder / "a.jpg", 6)
    image, box = target(coco(folder, (400, 200), [2 * value for value in PATCH]))
    assert image.size == (100, 200) and box.iou(red(image)) > 0.9


def test_nearly_square_pictures_are_told_apart_by_their_exact_size(folder):
    picture(folder / "a.jpg", 6, (201, 200))
    image, box = target(coco(folder, (201, 200), PATCH))
    assert image.size == (200, 201) and box.iou(red(image)) > 0.9


@pytest.mark.parametrize(("orientation", "size"), [(1, (200, 120)), (1, (100, 200)), (6, (200, 150)), (3, (100, 200))])
@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_a_picture_of_another_shape_is_another_picture(folder, orientation, size, write):
    picture(folder / "a.jpg", orientation)
    with pytest.raises(LionError, match=f"pixels, and the annotation file says {size[0]} x {size[1]}"):
        target(write(folder, size, (10, 10, 40, 30)))


def test_an_own_line_has_its_box_in_the_picture_as_shown(folder):
    size, patch = picture(folder / "a.jpg", 6)
    line = {"image": "a.jpg", "expression": "patch", "box": patch.to_unit(*size).xyxy()}
    (folder / "own.jsonl").write_text(json.dumps(line))
    image, box = target(read_own(folder / "own.jsonl"))
    assert box.iou(red(image)) > 0.9


def test_a_picture_that_cannot_be_read_is_left_to_its_opening(folder):
    (folder / "a.jpg").write_bytes(b"")
    record = Record("1", folder / "a.jpg", Task.REC, box=Box(0, 0, 1, 1), meta={"size": (2, 1)})
    assert as_shown(record) is record
