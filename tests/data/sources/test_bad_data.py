"""Bad data is one line that names file and record, or, with skip_bad, counted and listed; missing files are fatal."""

import base64
import copy
import csv
import io
import json

import pytest

from lion.data.pickled import dumps
from lion.data.sources import READERS, read
from lion.errors import LionError

OPTIONS = list(range(100))


def image(number, name):
    return {"id": number, "file_name": name, "width": 100, "height": 50}


def sentence(number):
    return {"sent_id": number, "sent": f"cat {number}", "raw": f"Cat {number}", "tokens": ["cat", str(number)]}


def ref(number):
    return {
        "ref_id": number,
        "ann_id": number,
        "image_id": number,
        "category_id": 1,
        "split": "val",
        "file_name": f"x_{number}.jpg",
        "sentences": [sentence(10 * number), sentence(10 * number + 1)],
        "sent_ids": [10 * number, 10 * number + 1],
    }


def dialog(number):
    rounds = [{"question": 0, "answer": place, "gt_index": place, "answer_options": OPTIONS} for place in range(2)]
    return {"image_id": number, "caption": "a cat", "dialog": rounds}


def mmbench(rows):
    columns = ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "l2-category"]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, delimiter="\t", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def mmbench_row(number):
    picture = base64.b64encode(b"x" * 100).decode()
    row = {"index": number, "question": "which\none?", "A": "x", "B": "y", "answer": "B", "category": "ocr"}
    return {**row, "image": picture, "l2-category": "coarse_perception"}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


class Case:
    """A dataset of two good rows, and where its rows lie.

    Args:
        files: content by name.
        rows: (file, path of keys to the list of rows), as changes are made to the first row.
        pictures: what has to be there.
        write: how a file with rows is written.
    """

    def __init__(self, name, split, files, rows, pictures, count=2, write=json.dumps):
        self.name, self.split, self.files, self.rows = name, split, files, rows
        self.pictures, self.count, self.write = pictures, count, write

    def changed(self, change):
        """The files after `change(list of rows)`."""
        file, keys = self.rows
        files = copy.deepcopy(self.files)
        value = files[file]
        for key in keys:
            value = value[key]
        change(value)
        return files

    def put(self, folder, files=None, pictures=True):
        for name, value in (files or self.files).items():
            folder.put(name, self.write(value) if name == self.rows[0] else value)
        if pictures:
            folder.pictures(*self.pictures)

    def read(self, folder, **settings):
        return read(self.name, folder.path, self.split, **settings)


VAL14 = ["val2014/COCO_val2014_000000000001.jpg", "val2014/COCO_val2014_000000000002.jpg"]
ANSWERS = [{"answer": "cat", "answer_id": place} for place in range(1, 11)]
CASES = [
    Case(
        "coco-caption",
        "test",
        {
            "dataset_coco.json": {
                "images": [
                    {
                        "filepath": "val2014",
                        "filename": name[8:],
                        "cocoid": number,
                        "split": "test",
                        "sentences": [{"raw": "a cat"}],
                    }
                    for number, name in enumerate(VAL14, start=1)
                ]
            }
        },
        ("dataset_coco.json", ["images"]),
        VAL14,
    ),
    Case(
        "flickr30k",
        "test",
        {
            "dataset_flickr30k.json": {
                "images": [
                    {"filename": f"{number}.jpg", "split": "test", "sentences": [{"raw": "a cat"}]} for number in (1, 2)
                ]
            }
        },
        ("dataset_flickr30k.json", ["images"]),
        ["flickr30k-images/1.jpg", "flickr30k-images/2.jpg"],
    ),
    Case(
        "okvqa",
        "val",
        {
            "OpenEnded_mscoco_val2014_questions.json": {
                "questions": [{"question_id": n, "image_id": n, "question": "what?"} for n in (1, 2)]
            },
            "mscoco_val2014_annotations.json": {
                "annotations": [{"question_id": n, "image_id": n, "answers": ANSWERS} for n in (1, 2)]
            },
        },
        ("OpenEnded_mscoco_val2014_questions.json", ["questions"]),
        VAL14,
    ),
    Case(
        "aokvqa",
        "val",
        {
            "aokvqa_v1p0_val.json": [
                {
                    "question_id": f"q{number}",
                    "image_id": number,
                    "question": "what?",
                    "choices": ["a", "b"],
                    "correct_choice_idx": 1,
                    "direct_answers": ["b"],
                    "difficult_direct_answer": False,
                }
                for number in (1, 2)
            ]
        },
        ("aokvqa_v1p0_val.json", []),
        ["val2017/000000000001.jpg", "val2017/000000000002.jpg"],
    ),
    Case(
        "vsr",
        "test",
        {
            "zeroshot/test.jsonl": [
                {
                    "image": f"{number}.jpg",
                    "image_link": f"http://x/val2017/{number}.jpg",
                    "caption": "it is so.",
                    "label": 1,
                    "relation": "so",
                }
                for number in (1, 2)
            ]
        },
        ("zeroshot/test.jsonl", []),
        ["images/1.jpg", "images/2.jpg"],
        write=lines,
    ),
    Case(
        "pope",
        "popular",
        {
            "coco_pope_popular.json": [
                {"question_id": number, "image": VAL14[number - 1][8:], "text": "is it?", "label": "no"}
                for number in (1, 2)
            ]
        },
        ("coco_pope_popular.json", []),
        VAL14,
        write=lines,
    ),
    Case(
        "visdial",
        "val",
        {
            "visdial_1.0_val.json": {
                "data": {
                    "dialogs": [dialog(1), dialog(2)],
                    "questions": ["what?"],
                    "answers": [f"answer {place}" for place in OPTIONS],
                }
            }
        },
        ("visdial_1.0_val.json", ["data", "dialogs"]),
        [f"VisualDialog_val2018/VisualDialog_val2018_00000000000{number}.jpg" for number in (1, 2)],
        count=4,
    ),
    *(
        Case(
            name,
            "val",
            {
                f"{name}/{file}": [ref(1), ref(2)],
                f"{name}/instances.json": {
                    "images": [image(number, f"{number}.jpg") for number in (1, 2)],
                    "annotations": [{"id": n, "image_id": n, "bbox": [1, 2, 30, 40]} for n in (1, 2)],
                    "categories": [{"id": 1, "name": "cat"}],
                },
            },
            (f"{name}/{file}", []),
            ["train2014/1.jpg", "train2014/2.jpg"],
            count=4,
            write=write,
        )
        for name, file, write in (
            ("refcoco", "refs(unc).p", dumps),
            ("refcoco+", "refs(unc).json", json.dumps),
            ("refcocog", "refs(umd).p", dumps),
        )
    ),
    Case(
        "mmbench",
        "dev",
        {"MMBench_DEV_EN.tsv": [mmbench_row(1), mmbench_row(2)]},
        ("MMBench_DEV_EN.tsv", []),
        [],
        write=mmbench,
    ),
    Case(
        "textcaps",
        "val",
        {
            "TextCaps_0.1_val.json": {
                "data": [
                    {
                        "image_id": f"a{number}",
                        "caption_id": number,
                        "image_path": f"train/a{number}.jpg",
                        "image_width": 1,
                        "image_height": 1,
                        "reference_strs": ["a sign"],
                    }
                    for number in (1, 2)
                ]
            }
        },
        ("TextCaps_0.1_val.json", ["data"]),
        ["train_images/a1.jpg", "train_images/a2.jpg"],
    ),
    Case(
        "llava",
        "own",
        {
            "own.json": [
                {
                    "id": "x",
                    "image": f"{number}.jpg",
                    "conversations": [
                        {"from": "human", "value": "<image>\nwhat?"},
                        {"from": "gpt", "value": "a cat"},
                    ],
                }
                for number in (1, 2)
            ]
        },
        ("own.json", []),
        ["train2017/1.jpg", "images/2.jpg"],
    ),
    Case(
        "coco-detection",
        "boxes",
        {
            "annotations/boxes.json": {
                "images": [image(number, f"{number}.jpg") for number in (1, 2)],
                "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 30, 40]} for n in (1, 2)],
                "categories": [{"id": 1, "name": "cat"}],
            }
        },
        ("annotations/boxes.json", ["annotations"]),
        ["1.jpg", "images/2.jpg"],
    ),
]
by_name = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def fails(case, folder, *parts, skip=0):
    """Reading stops with one line that holds these parts; with skip_bad it goes on without `skip` records."""
    with pytest.raises(LionError) as error:
        case.read(folder)
    message = str(error.value)
    assert "\n" not in message and all(each in message for each in parts), message
    if skip:
        loaded = case.read(folder, skip_bad=True)
        assert len(loaded.records) == case.count - skip and loaded.skipped
        assert all(ident and reason for ident, reason in loaded.skipped)


@by_name
def test_good_data_loads(case, folder):
    case.put(folder)
    loaded = case.read(folder)
    assert len(loaded.records) == case.count and not loaded.skipped
    assert all(isinstance(record.image, bytes) or record.image.is_file() for record in loaded.records)


@by_name
def test_a_folder_below_serves_as_well(case, folder, tmp_path):
    case.put(folder)
    below = tmp_path / "elsewhere" / case.name
    below.parent.mkdir()
    for path in sorted(tmp_path.iterdir()):
        if path.name != "elsewhere":
            below.mkdir(exist_ok=True)
            path.rename(below / path.name)
    if case.name.startswith("refcoco"):
        for path in (below / case.name).iterdir():
            path.rename(below / path.name)
    assert len(read(case.name, tmp_path / "elsewhere", case.split).records) == case.count


def origin(case, own):
    """What a message about a missing file holds: a page, but of a format that users write themselves."""
    return "http" if READERS[case.name].info.splits else own


@by_name
def test_a_missing_file_names_file_origin_and_flag(case, folder):
    for name in case.files:
        case.put(folder)
        (folder.path / name).unlink()
        fails(case, folder, name.rsplit("/", 1)[-1].rsplit(".", 1)[0], origin(case, "name its folder"), "--data")
    with pytest.raises(LionError, match=r"there is no folder .* --data DIR"):
        read(case.name, folder.path / "gone", case.split)


@by_name
def test_a_truncated_file_is_named(case, folder):
    for name in case.files:
        case.put(folder)
        path = folder.path / name
        path.write_bytes(path.read_bytes()[:-9])
        fails(case, folder, str(path))


@by_name
def test_a_missing_picture_names_the_record(case, folder):
    if not case.pictures:
        return
    case.put(folder)
    (folder.path / case.pictures[0]).unlink()
    skip = case.count // 2
    fails(
        case,
        folder,
        case.rows[0],
        case.pictures[0].rsplit("/", 1)[-1],
        origin(case, "put it there"),
        "skip_bad",
        skip=skip,
    )


@by_name
def test_no_usable_record_is_an_error_even_when_bad_ones_are_skipped(case, folder):
    case.put(folder, case.changed(lambda rows: [row.clear() for row in rows]))
    if case.name == "mmbench":
        return
    with pytest.raises(LionError, match="no usable record"):
        case.read(folder, skip_bad=True)


@by_name
def test_the_same_id_twice_is_named(case, folder):
    if case.name in ("vsr", "llava"):  # lines and rows have no ids of their own
        return
    case.put(folder, case.changed(lambda rows: rows.append(copy.deepcopy(rows[0]))))
    fails(case, folder, case.rows[0], "twice")
    assert len(case.read(folder, skip_bad=True).records) == case.count


@by_name
def test_any_missing_key_is_named_with_the_record(case, folder):
    optional = {"file_name", "sent_ids", "hint", "C", "D", "index", "tokens", "split"}
    for key in next(iter(rows_of(case))):
        if key in optional or (key == "image_id" and case.name == "okvqa"):
            continue
        case.put(folder, case.changed(lambda rows, key=key: rows[0].pop(key)))
        if case.name == "mmbench" and key != "answer":
            continue
        try:
            case.read(folder)
        except LionError as error:
            assert case.rows[0] in str(error) and "\n" not in str(error)
        else:
            assert key in ("id", "ref_id", "caption") or case.name in ("textcaps",), key


def rows_of(case):
    value = case.files[case.rows[0]]
    for key in case.rows[1]:
        value = value[key]
    return value


@by_name
@pytest.mark.parametrize("odd", [None, 3, "text", [], {}])
def test_rows_of_another_build_are_bad_records(case, folder, odd):
    if case.name == "mmbench":
        return
    case.put(folder, case.changed(lambda rows: rows.__setitem__(0, odd)))
    fails(case, folder, case.rows[0], skip=case.count // 2)


@by_name
@pytest.mark.parametrize("odd", [None, 3, "text", [], {}])
def test_files_of_another_build_are_named(case, folder, odd):
    if case.write not in (json.dumps, dumps):
        return
    case.put(folder, {**case.files, case.rows[0]: odd})
    fails(case, folder)


GONE = object()
QUESTIONS, BOXES = "mscoco_val2014_annotations.json", "refcoco/instances.json"
DIALOG, TABLE = "visdial_1.0_val.json", "MMBench_DEV_EN.tsv"
ROUND = ["data", "dialogs", 0, "dialog", 1]
CHANGES = {
    "no references": ("okvqa", QUESTIONS, ["annotations", 0, "answers"], []),
    "no annotation": ("okvqa", QUESTIONS, ["annotations", 0], GONE),
    "box outside": ("refcoco", BOXES, ["annotations", 0, "bbox"], [90, 0, 20, 9]),
    "no area": ("refcoco", BOXES, ["annotations", 0, "bbox"], [9, 0, 0, 9]),
    "negative": ("refcoco", BOXES, ["annotations", 0, "bbox"], [-9, 0, 20, 9]),
    "three numbers": ("refcoco", BOXES, ["annotations", 0, "bbox"], [9, 0, 9]),
    "a picture of no size": ("refcoco", BOXES, ["images", 0, "width"], 0),
    "one pixel outside": ("refcoco", BOXES, ["annotations", 0, "bbox"], [0, 0, 101, 9]),
    "no size": ("refcoco", BOXES, ["images", 0, "width"], GONE),
    "another picture's box": ("refcoco", BOXES, ["annotations", 0, "image_id"], 2),
    "a number that is none": ("refcoco", BOXES, ["annotations", 0, "bbox"], [True, 2, 30, 40]),
    "a size that is none": ("coco-detection", "annotations/boxes.json", ["images", 0, "width"], True),
    "a size in words": ("coco-detection", "annotations/boxes.json", ["images", 0, "width"], "100"),
    "an id that is none": ("aokvqa", "aokvqa_v1p0_val.json", [0, "image_id"], True),
    "a question's id": ("pope", "coco_pope_popular.json", [0, "question_id"], True),
    "a question's picture": ("okvqa", "OpenEnded_mscoco_val2014_questions.json", ["questions", 0, "image_id"], True),
    "a label that is none": ("vsr", "zeroshot/test.jsonl", [0, "label"], True),
    "neither difficult nor not": ("aokvqa", "aokvqa_v1p0_val.json", [0, "difficult_direct_answer"], "perhaps"),
    "detected outside": ("coco-detection", "annotations/boxes.json", ["annotations", 0, "bbox"], [0, 0, 9, 99]),
    "not of the choices": ("aokvqa", "aokvqa_v1p0_val.json", [0, "correct_choice_idx"], 2),
    "no captions": ("coco-caption", "dataset_coco.json", ["images", 0, "sentences"], []),
    "an empty caption": ("coco-caption", "dataset_coco.json", ["images", 0, "sentences"], [{"raw": " "}]),
    "99 options": ("visdial", DIALOG, [*ROUND, "answer_options"], OPTIONS[1:]),
    "gt_index": ("visdial", DIALOG, [*ROUND, "gt_index"], 100),
    "a label": ("pope", "coco_pope_popular.json", [0, "label"], "maybe"),
    "a label of 2": ("vsr", "zeroshot/test.jsonl", [0, "label"], 2),
    "answer E": ("mmbench", TABLE, [0, "answer"], "E"),
    "a gap in the options": ("mmbench", TABLE, [0, "D"], "z"),
    "no base64": ("mmbench", TABLE, [0, "image"], "!" * 100),
    "a picture that is not there": ("mmbench", TABLE, [0, "image"], "77"),
    "an unknown ability": ("mmbench", TABLE, [0, "l2-category"], "x"),
    "no index": ("mmbench", TABLE, [0, "index"], "x"),
    "a turn too many": ("llava", "own.json", [0, "conversations"], [{"from": "human", "value": "and?"}]),
    "no picture": ("llava", "own.json", [0, "image"], GONE),
}


@pytest.mark.parametrize("change", CHANGES)
def test_odd_values_are_bad_records(folder, change):
    name, file, (*keys, last), odd = CHANGES[change]
    case = next(case for case in CASES if case.name == name)
    files = copy.deepcopy(case.files)
    place = files[file]
    for key in keys:
        place = place[key]
    if odd is GONE:
        del place[last]
    else:
        place[last] = odd
    case.put(folder, files)
    fails(case, folder, str(folder.path), "skip_bad", skip=2 if name == "refcoco" else 1)


def test_keyed_by_id_the_same_key_twice_is_told_and_the_first_one_kept(folder):
    row = '{"question": "%s", "imageId": "n1", "answer": "no"}'
    folder.put("testdev_balanced_questions.json", f'{{"7": {row % "first?"}, "8": {row % "x?"}, "7": {row % "last?"}}}')
    folder.pictures("images/n1.jpg")
    with pytest.raises(LionError, match=r"testdev_balanced_questions\.json key 7: it is there twice"):
        read("gqa", folder.path, "testdev")
    loaded = read("gqa", folder.path, "testdev", skip_bad=True)
    assert [record.question for record in loaded.records] == ["first?", "x?"]
    assert loaded.skipped == [("7", "it is there twice")]


def test_blanks_among_the_answers_are_as_in_the_original(folder):
    case = next(case for case in CASES if case.name == "okvqa")
    files = copy.deepcopy(case.files)
    files[QUESTIONS]["annotations"][0]["answers"][3] = {"answer": "", "answer_id": 4}
    case.put(folder, files)
    assert case.read(folder).records[0].answers == ("cat",) * 3 + ("",) + ("cat",) * 6


def test_an_empty_sentence_is_bad_and_its_neighbours_are_good(folder):
    case = next(case for case in CASES if case.name == "refcoco")
    case.put(folder, case.changed(lambda rows: rows[0]["sentences"][0].update(sent="")))
    fails(case, folder, "sentence 10", skip=1)


def test_a_box_rounded_outwards_is_kept_as_it_is(folder):
    case = next(case for case in CASES if case.name == "refcoco")
    files = copy.deepcopy(case.files)
    files[BOXES]["annotations"][0]["bbox"] = [0, 0, 100.25, 50]
    case.put(folder, files)
    assert case.read(folder).records[0].box.xyxy() == (0, 0, 1.0025, 1)


def test_a_ref_with_a_sentence_that_is_no_text_takes_no_other_refs_sentences(folder):
    case = next(case for case in CASES if case.name == "refcoco")
    for number in (0, 1):
        files = case.changed(lambda rows, number=number: rows[number]["sentences"][0].update(sent=None))
        case.put(folder, files)
        loaded = case.read(folder, skip_bad=True)
        assert len(loaded.records) == 2 and len({record.meta["ref_id"] for record in loaded.records}) == 1
        assert len(loaded.skipped) == 1


def test_a_round_that_cannot_be_read_makes_those_after_it_bad_too(folder):
    case = next(case for case in CASES if case.name == "visdial")
    files = case.changed(lambda rows: rows[0]["dialog"][0].update(answer=1000))
    case.put(folder, files)
    loaded = case.read(folder, skip_bad=True)
    assert [record.id for record in loaded.records] == ["2_1", "2_2"]
    assert [ident for ident, _ in loaded.skipped] == ["1_1", "1_2"]


def test_refcoco_files_are_not_taken_for_those_of_another_of_the_three(folder):
    case = next(case for case in CASES if case.name == "refcoco")
    case.put(folder)
    with pytest.raises(LionError, match=r"there is no refs\(unc\)"):
        read("refcoco+", folder.path, "val")
    with pytest.raises(LionError, match=r"there is no refs\(unc\)"):
        read("refcoco+", folder.path / "refcoco", "val")


@pytest.mark.parametrize(
    "place", ["images/mscoco/images/train2014", "coco/train2014", "coco/images/train2014", "images"]
)
def test_pictures_may_lie_in_the_usual_places(folder, place):
    case = next(case for case in CASES if case.name == "refcoco")
    case.put(folder, pictures=False)
    folder.pictures(f"{place}/1.jpg", f"{place}/2.jpg")
    assert len(case.read(folder).records) == 4


def test_a_line_of_flickr_that_is_there_twice(folder):
    folder.put("results_20130124.token", "1.jpg#0\ta cat\n1.jpg#0\ta dog\n")
    folder.put("karpathy_test_images.txt", "1.jpg\n")
    folder.pictures("flickr30k_images/1.jpg")
    with pytest.raises(LionError, match=r"results_20130124\.token line 2: 1\.jpg#0 is there twice"):
        read("flickr30k", folder.path, "test")
    assert read("flickr30k", folder.path, "test", skip_bad=True).records[0].answers == ("a cat",)


def test_plain_captions_twice_or_for_no_picture(folder):
    images = [{"id": 1, "file_name": "1.jpg"}]
    captions = [{"id": 1, "image_id": 1, "caption": "a"}, {"id": 1, "image_id": 1, "caption": "b"}]
    folder.put("annotations/captions_val2017.json", {"images": images, "annotations": captions})
    folder.pictures("val2017/1.jpg")
    with pytest.raises(LionError, match=r"captions_val2017\.json caption 1: it is there twice"):
        read("coco-caption", folder.path, "val2017")
    captions[1] = {"id": 2, "image_id": 7, "caption": "b"}
    folder.put("annotations/captions_val2017.json", {"images": images, "annotations": captions})
    with pytest.raises(LionError, match="caption 2: it refers to the image 7, which is not there"):
        read("coco-caption", folder.path, "val2017")
    assert read("coco-caption", folder.path, "val2017", skip_bad=True).records[0].answers == ("a",)


@pytest.mark.parametrize("blank", ["", " ", "\n"])
@pytest.mark.parametrize(
    ("name", "split", "file", "content"),
    [
        (
            "coco-caption",
            "test",
            "dataset_coco.json",
            lambda *raw: {
                "images": [
                    {
                        "filepath": "val2017",
                        "filename": "1.jpg",
                        "cocoid": 1,
                        "split": "test",
                        "sentences": [{"raw": one} for one in raw],
                    }
                ]
            },
        ),
        (
            "coco-caption",
            "val2017",
            "captions_val2017.json",
            lambda *raw: {
                "images": [{"id": 1, "file_name": "1.jpg"}],
                "annotations": [{"id": n, "image_id": 1, "caption": one} for n, one in enumerate(raw)],
            },
        ),
        (
            "textcaps",
            "val",
            "TextCaps_0.1_val.json",
            lambda *raw: {
                "data": [
                    {
                        "image_id": "1",
                        "caption_id": 1,
                        "image_path": "val2017/1.jpg",
                        "image_width": 9,
                        "image_height": 9,
                        "reference_strs": list(raw),
                    }
                ]
            },
        ),
        ("flickr30k", "test", "flickr30k_test.json", lambda *raw: [{"image": "1.jpg", "caption": list(raw)}]),
    ],
)
def test_a_blank_caption_is_no_reference(folder, name, split, file, content, blank):
    folder.put(file, content("a cat", blank, "a dog"))
    folder.pictures("val2017/1.jpg", "flickr30k-images/1.jpg")
    with pytest.raises(
        LionError, match=r"image 1(\.jpg)?: its reference caption is missing or empty \(fix it"
    ) as error:
        read(name, folder.path, split)
    assert str(error.value).count("fix it") == 1
    loaded = read(name, folder.path, split, skip_bad=True)
    assert loaded.records[0].answers == ("a cat", "a dog") and len(loaded.skipped) == 1


def test_a_blank_expression_is_no_reference_of_the_others(folder):
    case = next(case for case in CASES if case.name == "refcoco")
    case.put(folder, case.changed(lambda rows: rows[0]["sentences"][0].update(sent=" ")))
    records = case.read(folder, skip_bad=True).records
    assert records[0].answers == ("cat 11",)


@pytest.mark.parametrize("name", ["okvqa"])
def test_an_annotation_of_another_picture_is_bad(folder, name):
    case = next(case for case in CASES if case.name == name)
    case.put(folder, case.changed(lambda rows: rows[0].update(image_id=2)))
    fails(case, folder, "question 1: its annotation belongs to another image, 1", skip=1)


@pytest.mark.parametrize("again", ["the cat", "The  Cat", "the\u200b cat"])
def test_a_phrase_of_two_boxes_denotes_neither(folder, again):
    def region(number, phrase, x, image=1):
        box = {"x": x, "y": 0, "width": 9, "height": 9}
        return {"region_id": number, "image_id": image, "phrase": phrase, **box}

    one = [region(1, "the cat", 0), region(2, again, 20), region(3, "a mat", 0), region(4, "a mat ", 0)]
    regions = [{"id": 1, "regions": one}, {"id": 2, "regions": [region(5, "the cat", 20, image=2)]}]
    folder.put("region_descriptions.json", regions)
    folder.put("image_data.json", [{"image_id": n, "width": 100, "height": 50} for n in (1, 2)])
    folder.pictures("VG_100K/1.jpg", "VG_100K/2.jpg")
    found = {record.id: record.task for record in read("visual-genome", folder.path, "train").records}
    assert found == {"1": "reg", "2": "reg", "3": "rec", "4": "rec", "5": "rec"}


def test_an_evil_pickle_is_refused_and_does_nothing(folder, tmp_path):
    case = next(case for case in CASES if case.name == "refcoco")
    case.put(folder)
    marker = tmp_path / "evil"
    folder.put("refcoco/refs(unc).p", f"cos\nmkdir\n(V{marker}\ntR.".encode())
    fails(case, folder, "refs(unc).p: it holds something other than lists, dicts, texts and numbers")
    assert not marker.exists()


def test_unknown_names_and_splits_are_told_what_there_is(tmp_path):
    with pytest.raises(LionError, match="no dataset 'refcocos'; choose one of aokvqa, "):
        read("refcocos", tmp_path, "val")
    with pytest.raises(LionError, match="refcoco has no split 'test'; its splits are train, val, testA, testB"):
        read("refcoco", tmp_path, "test")


def test_every_dataset_reads_one_split_by_the_same_call():
    assert set(READERS) >= {case.name for case in CASES}


def test_questions_that_are_no_list_are_a_bad_image(folder):
    question = {"image_id": 2, "qa_id": 7, "question": "what?", "answer": "a cat"}
    folder.put("question_answers.json", [{"id": 1, "qas": True}, {"id": 2, "qas": [question]}])
    folder.pictures("VG_100K/2.jpg")
    dataset = read("visual-genome", folder.path, "questions", skip_bad=True)
    assert [name for name, _ in dataset.skipped] == ["1"] and [record.id for record in dataset.records] == ["7"]
    with pytest.raises(LionError, match="image 1: it is not built as in the original"):
        read("visual-genome", folder.path, "questions")


@pytest.mark.parametrize(("split", "taken"), [(1, True), ("1", True), (1.0, True), (2, False)])
def test_a_book_is_in_the_split_that_its_number_names(folder, split, taken):
    book = {"imageURL": "x.jpg", "questions": ["who?"], "answers": ["me"]}
    folder.put("dataset.json", {"a": {**book, "split": split}, "b": {**book, "split": 1}})
    folder.pictures("images/a.jpg", "images/b.jpg")
    assert len(read("ocrvqa", folder.path, "train").records) == 1 + taken
    folder.put("dataset.json", {"a": {**book, "split": True}})
    with pytest.raises(LionError, match="book a: its id True is neither a text nor a whole number"):
        read("ocrvqa", folder.path, "train")


def test_a_dialog_of_no_number_is_bad(folder):
    case = next(case for case in CASES if case.name == "visdial")
    case.put(folder, case.changed(lambda rows: rows[0].update(image_id=True)))
    fails(case, folder, "its image_id True is no whole number", skip=2)


@pytest.mark.parametrize("name", ["pope", "vsr"])
def test_a_key_twice_in_a_line_is_a_bad_record(folder, name):
    case = next(case for case in CASES if case.name == name)
    case.put(folder)
    path = folder.path / case.rows[0]
    path.write_text(path.read_text().replace('"label"', '"label": 0, "label"', 1))
    fails(case, folder, "line 1: the key 'label' is there twice", skip=1)


def test_a_column_twice_and_a_cell_too_many(folder):
    case = next(case for case in CASES if case.name == "mmbench")
    case.put(folder)
    path = folder.path / case.rows[0]
    table = path.read_bytes().decode()
    path.write_bytes(table.replace("hint", "A", 1).encode())
    fails(case, folder, "the column A is there twice")
    path.write_bytes(table.replace("coarse_perception", "coarse_perception\tmore", 1).encode())
    fails(case, folder, "more cells than the first line has columns", skip=1)


@pytest.mark.parametrize("key", ["image_id", "round_id"])
@pytest.mark.parametrize("odd", ["1", True])
def test_a_relevance_that_belongs_to_no_round_is_bad(folder, key, odd):
    """Otherwise its round would be left out of the score in silence."""
    case = next(case for case in CASES if case.name == "visdial")
    case.put(folder)
    row = {"image_id": 1, "round_id": 1, "gt_relevance": [1] * 100}
    folder.put("visdial_1.0_val_dense_annotations.json", [row])
    assert case.read(folder).records[0].meta["gt_relevance"] == [1] * 100
    folder.put("visdial_1.0_val_dense_annotations.json", [{**row, key: odd}])
    fails(case, folder, f"its {key} {odd!r} is no whole number")


def test_truth_may_be_said_as_text(folder):
    case = next(case for case in CASES if case.name == "aokvqa")
    case.put(folder, case.changed(lambda rows: rows[0].update(difficult_direct_answer="false")))
    assert case.read(folder).records[0].meta["difficult_direct_answer"] is False
