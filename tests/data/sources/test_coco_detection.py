"""COCO's detection format as exporters write it: what a name denotes, which picture is meant, what a crowd is."""

import pytest

from lion.data.sources import read
from lion.errors import LionError
from lion.prompts import Task


def image(number, name="a.jpg", **changes):
    return {"id": number, "file_name": name, "width": 200, "height": 100, **changes}


def annotation(number, **changes):
    return {"id": number, "image_id": 1, "category_id": 1, "bbox": [10 * number, 0, 9, 9], "iscrowd": 0, **changes}


def own(folder, annotations, categories=("cup", "dog"), images=None, split="own"):
    names = [{"id": n, "name": name} for n, name in enumerate(categories, start=1)]
    folder.put(f"{split}.json", {"images": images or [image(1)], "categories": names, "annotations": annotations})
    return lambda **settings: read("coco-detection", folder.path, split, **settings)


@pytest.fixture
def one(folder):
    folder.pictures("a.jpg")
    return folder


def served(dataset):
    return {record.id: (record.expression, record.task) for record in dataset.records}


@pytest.mark.parametrize("crowd", [True, 1, 1.0, "1", "true"])
def test_a_crowd_makes_no_record_and_its_name_denotes_no_single_thing(one, crowd):
    rows = [annotation(1, iscrowd=crowd), annotation(2), annotation(3, category_id=2, iscrowd=False)]
    assert served(own(one, rows)()) == {"2": ("cup", Task.REG), "3": ("dog", Task.REC)}


@pytest.mark.parametrize("crowd", [None, 2, "yes", []])
def test_a_crowd_that_is_neither_is_a_bad_record(one, crowd):
    load = own(one, [annotation(1, iscrowd=crowd), annotation(2)])
    with pytest.raises(LionError, match=r"annotation 1: its iscrowd .* is neither 0 nor 1"):
        load()
    assert len(load(skip_bad=True).records) == 1


def test_without_iscrowd_nothing_is_a_crowd(one):
    row = annotation(1)
    del row["iscrowd"]
    assert served(own(one, [row])()) == {"1": ("cup", Task.REC)}


@pytest.mark.parametrize("key", ["isCrowd", "is_crowd", "IsCrowd", "ISCROWD", "iscrowd_"])
@pytest.mark.parametrize("value", [0, 1, True])
def test_another_spelling_of_iscrowd_is_named(one, key, value):
    load = own(one, [annotation(1, **{key: value}), annotation(2)])
    with pytest.raises(LionError, match=f"annotation 1: its key {key} is called iscrowd in COCO's format; rename it"):
        load()
    assert len(load(skip_bad=True).records) == 1


def test_a_file_of_crowds_says_so(one):
    with pytest.raises(LionError, match=r"own\.json holds crowds alone.* mark single ones iscrowd: 0"):
        own(one, [annotation(1, iscrowd=1), annotation(2, iscrowd=True)])()


@pytest.mark.parametrize(
    "other",
    [
        "kite", "Kite", "KITE", " kite", "kite\n", "ki\u200bte", "\ufeffkite", "kite\u2060", "kit\u00ade",
        "\uff4b\uff49\uff54\uff45", "kite\u00a0", "\u3000kite",
    ],
)  # fmt: skip
def test_two_categories_of_one_name_denote_no_single_thing(one, other):
    rows = [annotation(1), annotation(2, category_id=2)]
    assert {task for _, task in served(own(one, rows, ("kite", other))()).values()} == {Task.REG}
    assert set(served(own(one, rows, ("kite", "kites"))()).values()) == {("kite", Task.REC), ("kites", Task.REC)}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("traffic light", "traffic\u00a0 light"),
        ("1 \u00b2", "1 2"),
    ],
)
def test_names_are_compared_as_people_read_them(one, name, other):
    rows = [annotation(1), annotation(2, category_id=2)]
    assert {task for _, task in served(own(one, rows, (name, other))()).values()} == {Task.REG}


@pytest.mark.parametrize("mixed", [1.0, "1"])
def test_ids_of_mixed_types_are_the_same(one, mixed):
    rows = [annotation(1), annotation(2, category_id=mixed), annotation(3, image_id=mixed, category_id=2)]
    assert served(own(one, rows)()) == {"1": ("cup", Task.REG), "2": ("cup", Task.REG), "3": ("dog", Task.REC)}
    with pytest.raises(LionError, match=f"image {mixed}: it is there twice"):
        own(one, rows, images=[image(1), image(mixed)])()


@pytest.mark.parametrize("key", ["image_id", "category_id"])
def test_a_boolean_is_no_id(one, key):
    with pytest.raises(LionError, match="annotation 1: its id True is neither"):
        own(one, [annotation(1, **{key: True})])()


def test_entries_of_one_file_are_one_picture(one):
    rows = [annotation(1), annotation(2, image_id=2)]
    records = own(one, rows, images=[image(1), image(2)])()
    assert {task for _, task in served(records).values()} == {Task.REG}


def test_errors_of_an_own_file_send_nobody_to_cocos_page(folder):
    row = annotation(1)
    with pytest.raises(LionError, match=r"its picture own/a\.jpg is not in .*; put it there, or correct its name"):
        own(folder, [row])()
    for value, says in (
        ([], "holds a list where a dict should be: it is no file in the format of coco-detection"),
        ({"images": []}, "has no 'categories': it is no file in the format of coco-detection"),
        ('{"images": [', r"is not JSON \(.*\): it may be cut off, mend it or get it again"),
        ('{"images": "\u00e9"}'.encode("latin-1"), "is not UTF-8 text .*: save it as UTF-8"),
    ):
        folder.put("own.json", value)
        with pytest.raises(LionError, match=says) as error:
            read("coco-detection", folder.path, "own")
        assert "cocodataset" not in str(error.value)
    for path, split in ((folder.path, "other"), (folder.path / "none", "own")):
        with pytest.raises(LionError, match="name its folder with --data DIR") as error:
            read("coco-detection", path, split)
        assert "cocodataset" not in str(error.value)


# -- which picture is meant --------------------------------------------------------------------------------------------


def cameras(folder, names, **settings):
    images = [image(number, name) for number, name in enumerate(names, start=1)]
    return own(folder, [annotation(number, image_id=number) for number in range(1, len(names) + 1)], images=images)


@pytest.mark.parametrize("place", ["", "images/", "own/", "coco/"])
def test_a_folder_in_a_name_is_part_of_it(folder, place):
    folder.pictures(f"{place}cam1/0001.jpg", f"{place}cam2/0001.jpg", "0001.jpg", "images/0001.jpg")
    records = cameras(folder, ["cam1/0001.jpg", "cam2/0001.jpg"])().records
    assert [record.image for record in records] == [folder.path / place / f"cam{n}/0001.jpg" for n in (1, 2)]


@pytest.mark.parametrize("names", [["cam1/0001.jpg", "cam2/0001.jpg"], ["cam2/0001.jpg"], ["/data/cam1/0001.jpg"]])
def test_a_picture_of_the_same_name_elsewhere_is_another(folder, names):
    folder.pictures("0001.jpg", "images/0001.jpg", "own/0001.jpg")
    with pytest.raises(LionError, match=rf"annotation 1: its picture .*{names[0]} is not in"):
        cameras(folder, names)()


def test_other_formats_keep_folders_too(folder):
    folder.pictures("0001.jpg", "images/0001.jpg", "train2017/0001.jpg", "train2014/0001.jpg")
    turns = [{"from": "human", "value": "what?"}, {"from": "gpt", "value": "a cup"}]
    karpathy = {"split": "test", "sentences": [{"raw": "a cup"}]}
    files = {
        ("llava", "own"): ("own.json", [{"id": 1, "image": "cam1/0001.jpg", "conversations": turns}]),
        ("coco-caption", "test"): (
            "dataset_coco.json",
            {"images": [{"filepath": "cam1", "filename": "0001.jpg", "cocoid": 1, **karpathy}]},
        ),
        ("flickr30k", "test"): ("dataset_flickr30k.json", {"images": [{"filename": "cam1/0001.jpg", **karpathy}]}),
        ("coco-caption", "val2017"): (
            "captions_val2017.json",
            {
                "images": [{"id": 1, "file_name": "cam1/0001.jpg"}],
                "annotations": [{"id": 1, "image_id": 1, "caption": "a cup"}],
            },
        ),
    }
    for (name, split), (file, value) in files.items():
        folder.put(file, value)
        with pytest.raises(LionError, match=r"its picture .*cam1/0001\.jpg is not in"):
            read(name, folder.path, split)
        folder.pictures("cam1/0001.jpg")
        (record,) = read(name, folder.path, split).records
        assert record.image == folder.path / "cam1/0001.jpg"
        (folder.path / "cam1/0001.jpg").unlink()


def test_the_home_folder_as_a_tilde(one, monkeypatch):
    monkeypatch.setenv("HOME", str(one.path.parent))
    own(one, [annotation(1)])
    loaded = read("coco-detection", type(one.path)("~") / one.path.name, "own")
    assert loaded.records[0].image == one.path / "a.jpg"
