"""The mark of drawn data is found in the folder, and in the pictures where files were copied without it."""

import json
import shutil

import pytest
from PIL import Image

from lion.data.drawn import FILE, mark_of, mark_of_picture
from lion.data.sources import read
from lion.data.writers import FORMATS, write_as
from lion.errors import LionError


@pytest.mark.parametrize("name", FORMATS)
def test_folder_and_pictures_are_marked(tmp_path, name):
    folder = write_as(name, tmp_path, 3, split="test", seed=7, pixels=64)
    dataset = read(name, tmp_path, FORMATS[name][1]["test"].split(", ")[0])
    found = mark_of(dataset, tmp_path)
    assert (found["dataset"], found["seed"], found["splits"]) == (name, 7, {"test": 3})
    (folder / FILE).unlink()
    assert mark_of(dataset, tmp_path) == {"world_version": "1", "seed": 7, "split": "test"}


def test_the_folder_itself_may_be_named(tmp_path):
    folder = write_as("pope", tmp_path, 2, pixels=64)
    assert mark_of(read("pope", folder, "random"), folder)["dataset"] == "pope"


def test_files_copied_apart_are_known_by_their_pictures(tmp_path):
    folder = write_as("coco-caption", tmp_path / "lab", 2, split="test", pixels=64)
    copy = tmp_path / "copy"
    shutil.copytree(folder / "val2014", copy / "coco" / "val2014")
    (copy / "annotations").mkdir()
    shutil.copy(folder / "dataset_coco.json", copy / "annotations")
    assert mark_of(read("coco-caption", copy, "test"), copy)["split"] == "test"


def test_pictures_saved_anew_are_known_by_their_folder(tmp_path):
    folder = write_as("pope", tmp_path, 2, pixels=64)
    for path in folder.rglob("*.jpg"):
        Image.open(path).convert("RGB").copy().save(path, comment=b"")
    assert mark_of(read("pope", tmp_path, "random"), tmp_path)["dataset"] == "pope"


def test_what_is_not_drawn_has_no_mark(tmp_path):
    """Neither what lies beside drawn data nor a picture with another comment."""
    folder = write_as("okvqa", tmp_path, 2, split="test", pixels=64)
    for path in folder.rglob("*.jpg"):
        Image.new("RGB", (64, 64)).save(path, comment=b"taken in Rome")
    (folder / FILE).rename(tmp_path / FILE)
    mark = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(mark | {"dataset": "pope"}))
    assert mark_of(read("okvqa", tmp_path, "val"), tmp_path) is None
    assert mark_of_picture(b"no picture") is mark_of_picture(tmp_path / "nowhere.png") is None


def test_a_damaged_mark_is_an_error(tmp_path):
    folder = write_as("pope", tmp_path, 2, pixels=64)
    (folder / FILE).write_text("{")
    with pytest.raises(LionError, match=r"lion-world\.json is damaged; draw the folder again"):
        mark_of(read("pope", tmp_path, "random"), tmp_path)
