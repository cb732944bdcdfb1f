"""Every annotation file of the format samples loads with the right content.

Those that may be redistributed lie in tests/golden/formats (NOTICE names their sources); the others are read from
../shared/formats where that folder is. Pictures are not part of the samples, so where they would be is taken as given
here; `test_bad_data.py` and the writers' tests look for real ones.
"""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lion.data.dataset import AnnotationReader
from lion.data.sources import read
from lion.errors import LionError
from lion.prompts import Task

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "formats"
SHARED = ROOT.parent / "shared" / "formats"
COCO14 = "val2014/COCO_val2014_{:012d}.jpg"

# files, dataset, split, number of records, official number, and of the first record: picture and facts.
CASES = [
    ("coco_caption/dataset_coco.json", "coco-caption", "train", 30, 113_287, COCO14.format(724), {"id": "724"}),
    ("coco_caption/dataset_coco.json", "coco-caption", "test", 15, 5_000, None, {"task": Task.CAPTION}),
    (
        "coco_caption/coco_karpathy_test.json",
        "coco-caption",
        "test",
        50,
        5_000,
        COCO14.format(152686),
        {"id": "152686"},
    ),
    ("coco_caption/coco_karpathy_test_gt.json", "coco-caption", "test", 50, 5_000, COCO14.format(152686), {}),
    ("coco_caption/coco_karpathy_train.json", "coco-caption", "train", 20, 113_287, COCO14.format(289059), {}),
    ("coco_caption/captions_val2014.json", "coco-caption", "val2014", 200, None, COCO14.format(724), {"id": "724"}),
    ("coco_caption/captions_val2017.json", "coco-caption", "val2017", 200, None, "val2017/000000000724.jpg", {}),
    ("coco_caption/instances_val2017.json", "coco-detection", "instances_val2017", 189, None, None, {}),
    ("flickr30k/dataset_flickr30k.json", "flickr30k", "test", 100, 1_000, None, {}),
    ("flickr30k/dataset_flickr30k.json", "flickr30k", "train", 40, 29_000, "flickr30k-images/1000092795.jpg", {}),
    ("flickr30k/flickr30k_test.json", "flickr30k", "test", 100, 1_000, "flickr30k-images/1007129816.jpg", {}),
    ("textcaps/TextCaps_0.1_train.json", "textcaps", "train", 2, 21_953, None, {"id": "011e7e629fb9ae7b"}),
    ("textcaps/TextCaps_0.1_val.json", "textcaps", "val", 8, 3_166, "train_images/852010116895cea8.jpg", {}),
    ("textcaps/TextCaps_0.1_test.json", "textcaps", "test", 8, 3_289, None, {"answers": ()}),
    (
        "vqav2/original_excerpt/v2_*",
        "vqav2",
        "train",
        3,
        443_757,
        "train2014/COCO_train2014_000000458752.jpg",
        {"id": "458752000", "question": "What is this photo taken looking through?"},
    ),
    ("vqav2/v2_*", "vqav2", "val", 120, 214_354, COCO14.format(376625), {"id": "376625000"}),
    ("okvqa/*train*", "okvqa", "train", 21, 9_009, "train2014/COCO_train2014_000000051606.jpg", {}),
    (
        "okvqa/*val*",
        "okvqa",
        "val",
        41,
        5_046,
        COCO14.format(297147),
        {"answers": ("race",) * 6 + ("motocross",) * 2 + ("ride",) * 2},
    ),
    ("aokvqa/aokvqa_v1p0_train.json", "aokvqa", "train", 21, 17_056, None, {}),
    (
        "aokvqa/aokvqa_v1p0_val.json",
        "aokvqa",
        "val",
        41,
        1_145,
        "val2017/000000461751.jpg",
        {"id": "22jbM6gDxdaMaunuzgrsBB", "correct": 3, "answers": ("cigarette",) * 10},
    ),
    ("aokvqa/aokvqa_v1p0_test.json", "aokvqa", "test", 10, 6_702, None, {"answers": (), "correct": None}),
    ("gqa/testdev_balanced_questions.json", "gqa", "testdev", 61, 12_578, "images/n250821.jpg", {"id": "20644644"}),
    ("gqa/train_balanced_questions.json", "gqa", "train", 20, 943_000, None, {}),
    ("gqa/val_balanced_questions.json", "gqa", "val", 20, 132_062, "images/n146269.jpg", {"answers": ("blue",)}),
    (
        "iconqa/iconqa_data/*.json",
        "iconqa",
        "test",
        60,
        6_316,
        "iconqa/test/choose_txt/7/image.png",
        {"id": "7", "correct": 1, "answers": ("unlikely",)},
    ),
    ("iconqa/iconqa_data/iconqa", "iconqa", "val", 1, 6_316, "iconqa/val/choose_txt/0/image.png", {"correct": 2}),
    ("iconqa/iconqa_data/iconqa", "iconqa", "test", 3, 6_316, "iconqa/test/choose_txt/7/image.png", {"correct": 1}),
    ("vsr/zeroshot/test.jsonl", "vsr", "test", 200, 1_222, "000000017697.jpg", {"answers": ("true",), "correct": 1}),
    ("vsr/zeroshot/dev.jsonl", "vsr", "dev", 60, 340, None, {}),
    ("vsr/zeroshot/train.jsonl", "vsr", "train", 60, 3_489, None, {}),
    ("vsr/random/test.jsonl", "vsr", "random-test", 40, 2_195, "000000451431.jpg", {}),
    ("vsr/random/dev.jsonl", "vsr", "random-dev", 40, 1_097, None, {}),
    ("vsr/random/train.jsonl", "vsr", "random-train", 40, 7_680, None, {}),
    (
        "visdial/visdial_1.0_val*",
        "visdial",
        "val",
        500,
        20_640,
        "VisualDialog_val2018/VisualDialog_val2018_000000185565.jpg",
        {"id": "185565_1", "question": "is the photo in color", "answers": ("yes",), "correct": 0, "history": ()},
    ),
    ("visdial/visdial_1.0_test.json", "visdial", "test", 10, 8_000, None, {"id": "568676_4", "answers": ()}),
    ("refcoco/refcoco", "refcoco", "train", 74, 120_624, "train2014/COCO_train2014_000000581857.jpg", {"id": "0"}),
    ("refcoco/refcoco", "refcoco", "val", 54, 10_834, None, {"also": (Task.REG,)}),
    ("refcoco/refcoco", "refcoco", "testA", 40, 5_657, None, {}),
    ("refcoco/refcoco", "refcoco", "testB", 44, 5_095, None, {}),
    ("refcoco/refcoco+", "refcoco+", "train", 70, 120_191, None, {"id": "30000", "expression": "smaller person"}),
    ("refcoco/refcocog", "refcocog", "test", 33, 9_602, None, {}),
    ("refcoco/refcocog", "refcocog", "val", 16, 4_896, None, {"task": Task.REC}),
    (
        "pope/coco_pope_random.json",
        "pope",
        "random",
        3_000,
        3_000,
        COCO14.format(310196),
        {"id": "1", "question": "Is there a snowboard in the image?", "answers": ("yes",)},
    ),
    ("pope/coco_pope_popular.json", "pope", "popular", 3_000, 3_000, None, {}),
    ("pope/coco_pope_adversarial.json", "pope", "adversarial", 3_000, 3_000, None, {}),
    ("pope/coco_pope_random_2910.json", "pope", "random-2910", 2_910, 2_910, None, {}),
    ("mmbench/MMBench_DEV_EN.tsv", "mmbench", "dev", 78, 1_164, None, {"id": "1", "correct": 3, "hint": None}),
    ("mmbench/mmbench_dev_20230712.tsv", "mmbench", "dev", 46, 1_164, None, {"id": "1", "correct": 3}),
    ("mmbench/MMBench_TEST_EN.tsv", "mmbench", "test", 23, 1_784, None, {"answers": (), "correct": None}),
    ("ocrvqa/dataset.json", "ocrvqa", "train", 79, None, "images/761183272.jpg", {"answers": ("Sandra Boynton",)}),
    (
        "llava_instruct/llava_instruct_150k.json",
        "llava",
        "llava_instruct_150k",
        64,
        None,
        "000000033471.jpg",
        {"question": "What are the colors of the bus in the image?", "task": Task.VQA},
    ),
    (
        "llava_instruct/original_excerpt/coco2014_val_gpt4_qa_30x3.jsonl",
        "llava",
        "coco2014_val_gpt4_qa_30x3",
        30,
        None,
        "COCO_val2014_000000525439.jpg",
        {"question": "What is the position of the skateboard in the image?"},
    ),
    (
        "visual_genome/original_excerpt/question_answers.json",
        "visual-genome",
        "questions",
        8,
        None,
        "VG_100K/4.jpg",
        {"id": "987278", "question": "What is on the curtains?", "answers": ("Sailboats.",)},
    ),
    (
        "visual_genome/*.json",
        "visual-genome",
        "train",
        111,
        None,
        "VG_100K/1.jpg",
        {"id": "1382", "expression": "the clock is green in colour"},
    ),
]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Copies the files alone into an empty folder and reads it."""
    monkeypatch.setattr(AnnotationReader, "image", lambda self, *names, flat=True: names[0])

    def load(pattern, name, split, skip_bad=False):
        root = next((root for root in (GOLDEN, SHARED) if list(root.glob(pattern))), None)
        if root is None:
            pytest.skip(f"{pattern} may not be redistributed and there is no {SHARED}")
        for path in root.glob(pattern):
            target = tmp_path / str(path.relative_to(root)).replace("original_excerpt/", "")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)
        return read(name, tmp_path, split, skip_bad=skip_bad)

    return load


@pytest.mark.parametrize(
    ("pattern", "name", "split", "count", "official", "picture", "first"),
    CASES,
    ids=[f"{case[1]}-{case[2]}-{Path(case[0]).stem}" for case in CASES],
)
def test_a_file_loads_and_says_what_it_says(load, pattern, name, split, count, official, picture, first):
    loaded = load(pattern, name, split, skip_bad=name == "visual-genome")
    assert (loaded.name, loaded.split, len(loaded.records), loaded.expected) == (name, split, count, official)
    assert all(len(digest) == 64 for digest in loaded.hashes.values()) and loaded.hashes
    record = loaded.records[0]
    assert picture is None or str(record.image) == picture
    assert {key: getattr(record, key) for key in first} == first
    answered = split != "test" or name not in ("textcaps", "aokvqa", "visdial", "mmbench")
    assert all(bool(each.answers) == answered for each in loaded.records)


def test_boxes_of_refcoco_are_exact_fractions_of_the_picture(load):
    record = load("refcoco/refcoco", "refcoco", "train").records[0]
    assert record.expression == "the lady with the blue shirt" and record.meta["raw"] == "THE LADY WITH THE BLUE SHIRT"
    assert record.answers == ("the lady with the blue shirt", "lady with back to us", "blue shirt")
    x, y, width, height = record.meta["bbox"]
    assert record.box.xyxy() == (x / 640, y / 427, (x + width) / 640, (y + height) / 427)


def test_visdial_has_ten_rounds_with_history_and_one_dense_round_a_dialog(load):
    records = load("visdial/visdial_1.0_val*", "visdial", "val").records
    dialog = records[:10]
    assert [record.meta["round_id"] for record in dialog] == list(range(1, 11))
    assert [len(record.history) for record in dialog] == list(range(10))
    assert dialog[9].history[0] == ("is the photo in color", "yes")
    assert all(record.choices[record.correct] == record.answers[0] for record in records)
    assert sum("gt_relevance" in record.meta for record in records) == 50
    assert dialog[0].meta["gt_relevance"][0] == 1.0
    assert dialog[0].choices[:5] == ("yes", "can't tell", "brown", "1", "daytime")


@pytest.mark.parametrize("name", ["MMBench_DEV_EN.tsv", "mmbench_dev_20230712.tsv"])
def test_mmbench_rotations_share_their_picture_and_their_right_answer(load, name):
    loaded = load(f"mmbench/{name}", "mmbench", "dev")
    assert loaded.counted == len({record.meta["question_index"] for record in loaded.records}) < len(loaded.records)
    for record in loaded.records:
        base = next(each for each in loaded.records if each.meta["index"] == record.meta["question_index"])
        assert record.image is base.image and record.image[:2] == b"\xff\xd8"
        assert record.answers == base.answers and sorted(record.choices) == sorted(base.choices)
    assert "\n" in loaded.records[0].choices[0]
    assert {record.meta["ability"] for record in loaded.records} == {"CP", "FP-S", "FP-C", "LR", "RR", "AR"}


def test_regions_outside_their_pictures_are_listed(load):
    loaded = load("visual_genome/*.json", "visual-genome", "train", skip_bad=True)
    assert len(loaded.skipped) == 2 and all("outside the picture" in reason for _, reason in loaded.skipped)


def test_llava_turns_become_a_question_and_rounds_with_history(load):
    records = load("llava_instruct/llava_instruct_150k.json", "llava", "llava_instruct_150k").records
    assert [record.task for record in records[:3]] == [Task.VQA, Task.DIALOG, Task.DIALOG]
    assert [len(record.history) for record in records[:3]] == [0, 1, 2]
    assert not any("<image>" in record.question for record in records)


def test_flickrs_token_file_needs_the_split(load, tmp_path):
    with pytest.raises(LionError, match=r"karpathy_test_images\.txt"):
        load("flickr30k/results_20130124.token", "flickr30k", "test")
    tokens = (tmp_path / "flickr30k" / "results_20130124.token").read_text().splitlines()
    names = list(dict.fromkeys(line.split("#")[0] for line in tokens))[:7]
    (tmp_path / "karpathy_test_images.txt").write_text("\n".join(names))
    loaded = read("flickr30k", tmp_path, "test")
    assert [f"{record.id}.jpg" for record in loaded.records] == names
    assert all(len(record.answers) == 5 for record in loaded.records)


def test_crowds_are_left_out_and_ambiguous_categories_serve_reg_alone(load):
    records = load("coco_caption/instances_val2017.json", "coco-detection", "instances_val2017").records
    by_name = {}
    for record in records:
        by_name.setdefault((record.meta["image_id"], record.expression), []).append(record)
    assert any(len(group) > 1 for group in by_name.values())
    for group in by_name.values():
        assert {record.task for record in group} == {Task.REC if len(group) == 1 else Task.REG}


def test_a_thing_beside_a_crowd_of_its_kind_is_not_the_only_one(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg")
    boxes = [{"id": n, "image_id": 1, "category_id": n, "bbox": [0, 0, 9, 9], "iscrowd": 0} for n in (1, 2)]
    crowd = {"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 10], "iscrowd": 1}
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
        "annotations": [*boxes, crowd],
    }
    (tmp_path / "own.json").write_text(json.dumps(data))
    records = read("coco-detection", tmp_path, "own").records
    assert [(one.expression, one.task) for one in records] == [("person", Task.REG), ("dog", Task.REC)]
