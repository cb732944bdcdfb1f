"""What the world writes in other datasets' files, their readers read back: questions, answers, boxes, pictures."""

import base64
import csv
import json
import pickletools

import pytest

from lion.boxes import Box
from lion.data.sources import read
from lion.data.writers import FORMATS, write_as
from lion.errors import LionError
from lion.images import open_image
from lion.prompts import Task
from lion.world import render, scene, tags, test_questions
from lion.world.vocabulary import NUMBERS
from tests.test_locks import holder

SIZE = 8


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder and datasets by part of a format and a split of the world; each is written once."""
    done = {}

    def written(name, split="test"):
        if (name, split) not in done:
            out = tmp_path_factory.mktemp("world")
            write_as(name, out, SIZE, split=split, pixels=64)
            parts = FORMATS[name][1][split].split(", ")
            done[name, split] = out, {part: read(name, out, part) for part in parts}
        return done[name, split]

    return written


def records(loaded):
    return [record for dataset in loaded[1].values() for record in dataset.records]


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_back_with_pictures(written, name, split):
    folder, parts = written(name, split)
    assert [path.name for path in folder.iterdir()] == [name]
    for dataset in parts.values():
        assert dataset.records and not dataset.skipped and dataset.expected
        assert all(record.answers for record in dataset.records)
        assert open_image(dataset.records[0].image).size == (64, 64)
    assert sum(dataset.counted for dataset in parts.values()) >= SIZE


@pytest.mark.parametrize("name", ["okvqa", "vqav2", "gqa", "aokvqa", "iconqa"])
def test_questions_of_the_test_split_are_the_frozen_ones(written, name):
    frozen = test_questions("vqa", SIZE)
    found = records(written(name))
    assert [record.question for record in found] == [one.question for one in frozen]
    assert all(one.answer in record.answers for record, one in zip(found, frozen, strict=True))
    if name in ("aokvqa", "iconqa"):
        assert [record.choices[record.correct] for record in found] == [one.answer for one in frozen]
        assert all(len(set(record.choices)) == len(record.choices) >= 2 for record in found)


@pytest.mark.parametrize("name", ["okvqa", "vqav2"])
def test_numbers_are_typed_as_people_do(written, name):
    for record in records(written(name)):
        assert len(record.answers) == len(record.meta["answers"]) == 10
        words = [answer for answer in record.answers if answer in NUMBERS]
        assert not words or record.answers == (str(NUMBERS.index(words[0])),) * 6 + (words[0],) * 4
    assert any(answer in NUMBERS for record in records(written(name)) for answer in record.answers)


@pytest.mark.parametrize("name", ["refcoco", "refcoco+", "refcocog"])
def test_expressions_are_the_frozen_ones_and_boxes_exact(written, name):
    kinds = ("unique", "attribute") if name == "refcoco+" else ("unique", "attribute", "relation", "ordinal")
    frozen = [one for one in test_questions("rec", 4 * SIZE) if one.kind in kinds][:SIZE]
    found = {record.expression: record for record in records(written(name))}
    assert set(found) == {one.expression for one in frozen}
    for one in frozen:
        assert found[one.expression].box == one.box
        assert found[one.expression].meta["category"] in tags(one.scene)
    folder = written(name)[0]
    pickle = next((folder / name).glob("*.p")).read_bytes()
    assert {code.proto for code, *_ in pickletools.genops(pickle)} == {0}


def test_living_things_are_test_a_and_the_others_test_b(written):
    parts = written("refcoco")[1]
    categories = {part: {record.meta["category"] for record in dataset.records} for part, dataset in parts.items()}
    assert set(categories) == {"testA", "testB"} and not categories["testA"] & categories["testB"]
    assert categories["testA"] <= {"bird", "butterfly", "cat", "crab", "dog", "fish"}


def test_sentences_for_one_thing_share_a_ref(written):
    found = records(written("refcoco", "train"))
    by_ref = {}
    for record in found:
        by_ref.setdefault(record.meta["ref_id"], []).append(record)
    assert any(len(group) > 1 for group in by_ref.values())
    for group in by_ref.values():
        assert len({record.box for record in group}) == 1
        assert all(record.answers == tuple(each.expression for each in group) for record in group)


def test_captions_are_five_a_picture(written):
    frozen = test_questions("caption", SIZE)
    for name in ("coco-caption", "flickr30k", "textcaps"):
        found = records(written(name))
        assert [record.answers[0] for record in found] == [one.answer for one in frozen]
        assert all(len(record.answers) == 5 for record in found)


def test_dialogs_are_the_frozen_ones_among_100_options(written):
    frozen = test_questions("dialog", 5 * SIZE)
    found = records(written("visdial"))
    for record, one in zip(found, frozen, strict=False):
        assert (record.question, record.answers, record.history) == (one.question, (one.answer,), one.history)
        assert len(set(record.choices)) == 100 and record.choices[record.correct] == one.answer
    relevant = [record for record in found if "gt_relevance" in record.meta]
    assert len(relevant) == len({record.meta["image_id"] for record in found}) == SIZE
    assert all(record.meta["gt_relevance"].index(1.0) == record.correct for record in relevant)


def test_pope_is_balanced_and_the_frozen_one(written):
    for flavour, dataset in written("pope")[1].items():
        frozen = test_questions(f"pope-{flavour}", SIZE)
        assert [(record.question, record.answers) for record in dataset.records] == [
            (one.question, (one.answer,)) for one in frozen
        ]
        assert [record.answers[0] for record in dataset.records].count("yes") == SIZE / 2


def test_statements_are_true_when_they_say_so(written):
    sides = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "higher": (1, -1), "below": (1, 1), "lower": (1, 1)}
    for record in records(written("vsr")):
        shown = scene("test", int(record.image.stem))
        statement = record.question.removesuffix(".")
        axis, sign = next(where for word, where in sides.items() if word in record.meta["relation"].split())
        subject, anchor = (
            [obj for obj in shown.objects if set(name.split()) <= {obj.size, obj.colour, obj.category, "the"}]
            for name in statement.replace("is " + record.meta["relation"], "|").split("|")
        )
        assert len(subject) == len(anchor) == 1
        gap = (subject[0].box.center[axis] - anchor[0].box.center[axis]) * sign
        assert (gap > 0) == (record.answers == ("true",))
    assert {record.answers[0] for record in records(written("vsr"))} == {"true", "false"}


def test_mmbench_turns_its_options_and_keeps_the_answer(written):
    folder, parts = written("mmbench")
    frozen = {one.scene_index: one for one in test_questions("vqa", SIZE)}
    by_question = {}
    for record in parts["dev"].records:
        by_question.setdefault(record.meta["question_index"], []).append(record)
    assert parts["dev"].counted == len(by_question) == SIZE
    for number, turns in by_question.items():
        first = turns[0].choices
        assert len(turns) == len(first)
        for k, record in enumerate(turns):
            assert record.choices == first[k:] + first[:k]
            assert record.choices[record.correct] == frozen[number].answer
    rows = list(csv.DictReader((folder / "mmbench" / "MMBench_DEV_EN.tsv").open(newline=""), delimiter="\t"))
    assert len(rows[-1]["image"]) < 10 < len(base64.b64decode(rows[0]["image"]))


def test_pictures_are_the_scenes(written):
    for record in records(written("iconqa")):
        shown = scene("test", int(record.id))
        assert open_image(record.image).tobytes() == render(shown, 64).tobytes()


def test_the_same_arguments_write_the_same_bytes_and_another_seed_others(tmp_path):
    def files(name, **settings):
        folder = write_as("refcoco+", tmp_path / name, 3, pixels=64, **settings)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}

    assert files("a") == files("b") != files("c", seed=1)
    assert files("d", split="val") != files("e", split="val", seed=1)


def test_what_is_there_is_not_touched_and_mistakes_write_nothing(tmp_path):
    write_as("pope", tmp_path, 2, pixels=64)
    with pytest.raises(LionError, match="is there already"):
        write_as("pope", tmp_path, 2, pixels=64)
    for name, settings in (("cifar", {}), ("gqa", {"split": "dev"}), ("gqa", {"size": 0}), ("gqa", {"pixels": 3})):
        with pytest.raises(LionError):
            write_as(name, tmp_path, **{"size": 2, **settings})
    assert [path.name for path in tmp_path.iterdir()] == ["pope"]


def test_originals_keep_their_names_and_nesting(tmp_path):
    """Keys of the originals, spelled out once more."""
    for name in ("okvqa", "visdial", "textcaps"):
        write_as(name, tmp_path, 1, split="val", pixels=64)
    truth = json.loads((tmp_path / "okvqa" / "mscoco_val2014_annotations.json").read_text())
    assert set(truth) == {"info", "license", "data_subtype", "data_type", "question_types", "annotations"}
    one = truth["annotations"][0]
    assert set(one) == {"image_id", "answer_type", "question_type", "question_id", "answers", "confidence"}
    assert set(one["answers"][0]) == {"answer_id", "raw_answer", "answer_confidence", "answer"}
    dialogs = json.loads((tmp_path / "visdial" / "visdial_1.0_val.json").read_text())
    assert set(dialogs) == {"version", "data", "split"} and dialogs["split"] == "val2018"
    assert set(dialogs["data"]) == {"dialogs", "answers", "questions"}
    assert set(dialogs["data"]["dialogs"][0]["dialog"][0]) == {"answer", "gt_index", "question", "answer_options"}
    rows = json.loads((tmp_path / "textcaps" / "TextCaps_0.1_val.json").read_text())["data"]
    assert len(rows) == 5 and rows[0]["reference_strs"] == rows[4]["reference_strs"]


def test_a_box_is_where_the_readers_say(tmp_path):
    write_as("refcocog", tmp_path, 1, pixels=64)
    record = read("refcocog", tmp_path, "train").records[0]
    assert isinstance(record.box, Box) and record.also == (Task.REG,)
    x, y, width, height = record.meta["bbox"]
    assert record.box == Box.from_xywh(x, y, width, height, "pixel").to_unit(64, 64)


_MERGED = [
    (name, first, second)
    for name, (_, names) in FORMATS.items()
    for first, second in (("train", "test"), ("test", "val"))
    if names[first] != names[second]
]


@pytest.mark.parametrize(("name", "first", "second"), _MERGED)
def test_a_second_split_joins_the_first(written, tmp_path, name, first, second):
    """Read back, each split is what it is alone, but for the ids, and nothing of the first has changed."""
    for split in (first, second):
        write_as(name, tmp_path, SIZE, split=split, pixels=64)
    ids = {}
    for split in (first, second):
        for part, alone in written(name, split)[1].items():
            joined = read(name, tmp_path, part)
            for one, other in zip(joined.records, alone.records, strict=True):
                same = ("task", "question", "expression", "box", "history", "answers", "choices", "correct")
                assert [getattr(one, key) for key in same] == [getattr(other, key) for key in same]
                assert open_image(one.image).tobytes() == open_image(other.image).tobytes()
                assert split == second or one.id == other.id
                ids.setdefault((split, str(one.image)[:200]), one)
    pictures = [{image for at, image in ids if at == split} for split in (first, second)]
    assert pictures[0] and pictures[1] and not pictures[0] & pictures[1]


def test_three_splits_in_one_folder(tmp_path):
    for split in ("test", "train", "val"):
        folder = write_as("refcoco", tmp_path, 6, split=split, pixels=64)
    mark = json.loads((folder / "lion-world.json").read_text())
    assert mark == {
        "dataset": "refcoco", "world_version": "1", "seed": 0, "pixels": 64,
        "splits": {"test": 6, "train": 6, "val": 6},
    }  # fmt: skip
    parts = [read("refcoco", tmp_path, part) for part in ("train", "val", "testA", "testB")]
    everything = [record for part in parts for record in part.records]
    assert len({record.id for record in everything}) == len(everything)
    boxes = {record.meta["ref_id"]: (record.image, record.box) for record in everything}
    assert all(boxes[record.meta["ref_id"]] == (record.image, record.box) for record in everything)
    data = json.loads((folder / "instances.json").read_text())
    assert len({one["id"] for one in data["annotations"]}) == len(data["annotations"])
    assert len(data["categories"]) == len({one["id"] for one in data["categories"]}) == 24


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("refcoco", {"split": "test"}, "the test split is there already"),
        ("refcoco", {"split": "train", "seed": 1}, r"another seed \(0, not 1\)"),
        ("refcoco", {"split": "train", "pixels": 32}, r"another pixels \(64, not 32\)"),
        ("okvqa", {"split": "val"}, r"test split and val split in the same files \(val\)"),
        ("pope", {"split": "train"}, "in the same files"),
    ],
)
def test_a_split_that_cannot_join_changes_nothing(tmp_path, name, settings, says):
    folder = write_as(name, tmp_path, 2, split="test", pixels=64)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(LionError, match=says) as error:
        write_as(name, tmp_path, 2, **{"pixels": 64, **settings})
    assert "\n" not in str(error.value) and "choose another OUT" in str(error.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", [None, "{", "5", '{"dataset": "refcoco"}'])
def test_a_folder_without_a_readable_mark_is_not_joined(tmp_path, content):
    """A real dataset, or one drawn before there were marks."""
    (tmp_path / "refcoco").mkdir()
    if content is not None:
        (tmp_path / "refcoco" / "lion-world.json").write_text(content)
    with pytest.raises(LionError, match="is there already" if content is None else "is damaged"):
        write_as("refcoco", tmp_path, 2, pixels=64)


def test_one_writer_a_dataset(tmp_path):
    with holder(tmp_path, ".vsr.lock") as other:
        with pytest.raises(LionError, match=f"is being written by process {other.pid} on"):
            write_as("vsr", tmp_path, 1, pixels=64)
        write_as("gqa", tmp_path, 1, pixels=64)
        other.stdin.close()
    assert [path.name for path in tmp_path.iterdir()] == ["gqa"]
