"""Boxes of a bulk run as COCO."""

import json

from lion.annotate.coco import write_coco


def test_pictures_of_one_name_stay_two_and_boxes_are_not_rounded_to_pixels(tmp_path):
    box = {"label": "a bird", "unit": [0.18, 0.58, 0.54, 0.92], "pixel": [11.5, 37.1, 34.6, 58.9], "score": 0.5}
    one = {"key": "x.tar::a.png", "width": 64, "height": 64, "answers": [{"boxes": [box]}]}
    several = [one, {**one, "width": 32, "height": 32}, {**one, "key": "x.tar::b.png"}]
    write_coco(several, "m", "it knows little", tmp_path / "x.coco.json")
    found = json.loads((tmp_path / "x.coco.json").read_text())
    assert found["info"]["description"] == "boxes by m; it knows little"
    assert [image["width"] for image in found["images"]] == [64, 32, 64]
    assert len({image["file_name"] for image in found["images"]}) == 3
    assert [row["image_id"] for row in found["annotations"]] == [image["id"] for image in found["images"]]
    first = found["annotations"][0]
    assert [round(x, 2) for x in first["bbox"]] == [11.52, 37.12, 23.04, 21.76]
    assert round(first["area"], 2) == round(23.04 * 21.76, 2)
