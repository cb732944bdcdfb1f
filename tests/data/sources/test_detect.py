"""Every form that a user may give is found out by its content, said aloud, and read by its own rule of boxes."""

import json

import pytest
from PIL import Image

from lion.data.sources.detect import read_any
from lion.errors import LionError
from lion.prompts import Task

SIZE = (200, 100)
UNIT = (0.1, 0.2, 0.5, 0.8)
PIXELS = [20, 20, 100, 80]
XYWH = [20, 20, 80, 60]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", SIZE, "red").save(tmp_path / name)
    return tmp_path


def written(path, *rows, whole=False):
    path.write_text(json.dumps(list(rows)) if whole else "\n".join(map(json.dumps, rows)))
    return str(path)


def boxes(found):
    return [tuple(round(edge, 3) for edge in record.box.xyxy()) for record in found.dataset.records if record.box]


def chat(asked, answer, **more):
    return {
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}],
        "images": ["a.png"],
        **more,
    }


def test_lions_own(folder):
    found = read_any(written(folder / "own.jsonl", {"image": "a.png", "caption": "a dog"}, {"image": "x.png"}))
    assert (found.words, found.name) == ("LION's own JSONL, 1 records", "own")
    assert [ident for ident, _ in found.dataset.skipped] == ["2"]


def test_llava(folder):
    turns = [{"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "a dog"}]
    rows = [
        {"id": 1, "image": "a.png", "conversations": turns * 2},
        {"id": 2, "image": "gone.png", "conversations": turns},
    ]
    for file in (written(folder / "l.json", *rows, whole=True), written(folder / "m.jsonl", *rows)):
        found = read_any(file)
        assert found.words == "LLaVA JSON, 2 turns"
        assert [record.task for record in found.dataset.records] == [Task.VQA, Task.DIALOG]
        assert [ident for ident, _ in found.dataset.skipped] == ["2"]


def test_coco_detection(folder):
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": SIZE[0], "height": SIZE[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": XYWH}],
        "categories": [{"id": 3, "name": "dog"}],
    }
    (folder / "instances.json").write_text(json.dumps(data))
    found = read_any(str(folder / "instances.json"))
    assert boxes(found) == [UNIT] and "boxes x, y, width, height in pixels" in found.words
    (folder / "instances.json").write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(LionError, match="COCO captions; for lion train they are the dataset coco-caption"):
        read_any(str(folder / "instances.json"))


def test_trl_messages(folder):
    parts = [{"type": "image"}, {"type": "text", "text": "what is it?"}]
    rows = [
        {**chat(parts, [{"type": "text", "text": "a dog"}]), "image": None},
        chat("what is it?", "a dog", images=["a.png", "b.png"]),
        {"messages": [{"role": "user", "content": "hi"}], "images": ["a.png"]},
    ]
    found = read_any(written(folder / "trl.jsonl", *rows))
    (record,) = found.dataset.records
    assert (found.words, record.question, record.answers) == ("TRL messages, 1 turns", "what is it?", ("a dog",))
    reasons = [reason for _, reason in found.dataset.skipped]
    assert reasons == [
        "it has 2 pictures, and LION reads one",
        "its messages are not those of user and assistant by turns",
    ]


def test_later_turns_have_a_history_and_system_messages_are_no_turns(folder):
    row = chat("is it day?", "yes")
    row["messages"] = [{"role": "system", "content": "be kind"}, *row["messages"], *row["messages"]]
    first, second = read_any(written(folder / "chat.jsonl", row)).dataset.records
    assert (first.task, second.task, second.history) == (Task.VQA, Task.DIALOG, (("is it day?", "yes"),))


@pytest.mark.parametrize(
    ("kind", "box"), [({}, PIXELS), ({"bbox_type": "real"}, PIXELS), ({"bbox_type": "norm1"}, UNIT)]
)
def test_swift_grounding(folder, kind, box):
    objects = {"ref": ["the dog"], "bbox": [list(box)], **kind}
    rows = [
        chat("<image>Find <ref-object>", "<bbox>", objects=objects),
        chat("<image>What is at <bbox>?", "<ref-object>", objects=objects),
        chat("<image>Is there <ref-object>?", "yes", objects={"ref": ["the dog"], "bbox": []}),
    ]
    found = read_any(written(folder / "swift.jsonl", *rows))
    rec, reg, vqa = found.dataset.records
    assert found.words.startswith("ms-swift grounding") and boxes(found) == [UNIT, UNIT]
    assert (rec.task, rec.expression, reg.task, reg.expression) == (Task.REC, "the dog", Task.REG, "the dog")
    assert vqa.question == "Is there the dog?"


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ({"ref": ["a dog"], "bbox": [PIXELS, PIXELS]}, "1 boxes for 0 phrases"),
        ({"ref": [], "bbox": [PIXELS]}, "more <ref-object> than objects"),
        ({"ref": ["a dog"], "bbox": [[0, 0, 300, 10]]}, "reaches outside the picture"),
        ({"ref": ["a dog"], "bbox": [PIXELS], "bbox_type": "norm1000"}, "neither real .pixels. nor norm1"),
        ({"ref": ["a dog"], "bbox": [[20, 20, 20, 80]]}, "has no area"),
        ({"ref": ["a dog"], "bbox": [PIXELS, PIXELS, PIXELS]}, "2 more than there are <bbox>"),
        ({"ref": ["a dog", "a cat"], "bbox": [PIXELS]}, "1 more than there are <ref-object>"),
        ({"ref": ["a dog"], "bbox": [PIXELS], "width": [400]}, "objects have width, which is not read"),
    ],
)
def test_grounding_that_lion_cannot_learn_is_named(folder, objects, says):
    asked = "Find it" if "phrases" in says else "Find <ref-object>"
    rows = [chat(asked, "<bbox>", objects=objects), chat("what is it?", "a dog")]
    found = read_any(written(folder / "swift.jsonl", *rows))
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(found.dataset.skipped[0][1])


def test_a_turned_picture_is_not_guessed_at(folder):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", SIZE).save(folder / "turned.jpg", exif=exif)
    row = chat("Find <ref-object>", "<bbox>", objects={"ref": ["a dog"], "bbox": [PIXELS]}, images=["turned.jpg"])
    found = read_any(written(folder / "swift.jsonl", row, chat("what is it?", "a dog")))
    assert "stored turned (EXIF orientation 6)" in found.dataset.skipped[0][1]


def test_an_imagefolder(folder):
    (folder / "train").mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).rename(folder / "train" / name)
    objects = {"bbox": [XYWH, XYWH, [0, 0, 9, 9]], "category": ["dog", "cat", "cat"]}
    rows = [
        {"file_name": "a.png", "text": "a dog", "weather": 3},
        {"file_name": "b.png", "objects": objects, "question": "is it day?", "answer": "yes"},
        {"file_name": "gone.png", "text": "nothing"},
        {"file_name": "a.png"},
    ]
    written(folder / "train" / "metadata.jsonl", *rows)
    found = read_any(str(folder))
    assert found.words == "an imagefolder (metadata.jsonl), 5 records; columns left alone: weather"
    tasks = [record.task for record in found.dataset.records]
    assert tasks == [Task.CAPTION, Task.REC, Task.REG, Task.REG, Task.VQA] and boxes(found)[0] == UNIT
    assert [ident for ident, _ in found.dataset.skipped] == ["line 3", "line 4"]


def test_a_part_of_a_message_that_lion_cannot_read_is_named(folder):
    parts = [{"type": "text", "text": "what is it?"}, {"type": "audio", "audio": "a.wav"}]
    found = read_any(written(folder / "trl.jsonl", chat(parts, "a dog"), chat("what is it?", "a dog")))
    assert "a part of the type audio" in found.dataset.skipped[0][1]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("metadata.jsonl", '{"file_name": "a.png", "text": "one", "text": "two"}', "key 'text' is there twice"),
        ("metadata.jsonl", '[["file_name", "a.png"], ["text", "one"]]', "a list is no JSON Lines"),
        ("metadata.jsonl", '"a.png"', "it is no object"),
        ("metadata.csv", "file_name,text\na.png,a dog, on a beach", "more cells than the first line has columns"),
    ],
)
def test_a_line_of_an_imagefolder_that_says_two_things_is_left_out_by_name(folder, name, content, says):
    more = "\nb.png,fine\n" if name.endswith("csv") else '\n{"file_name": "b.png", "text": "fine"}\n'
    (folder / name).write_text(content + more)
    dataset = read_any(str(folder)).dataset
    assert [record.answers for record in dataset.records] == [("fine",)]
    assert dataset.skipped[0][0].startswith("line ") and says in dataset.skipped[0][1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"file_name,text,text\na.png,one,two\n", "the column text is there twice"),
        (b'file_name,text\na.png,"one\nb.png,two\n', "is a quotation mark missing"),
        (b"file_name,text\na.png,caf\xe9\n", "is not UTF-8 text"),
    ],
)
def test_a_table_of_an_imagefolder_that_cannot_be_read_is_refused(folder, content, says):
    (folder / "metadata.csv").write_bytes(content)
    with pytest.raises(LionError, match=says):
        read_any(str(folder))


def test_what_an_imagefolder_says_twice_is_said_to_be_left_alone(folder):
    row = {"file_name": "a.png", "caption": "a dog", "text": "a hound"}
    written(folder / "metadata.jsonl", row)
    (folder / "test").mkdir()
    written(folder / "test" / "metadata.jsonl", row)
    found = read_any(str(folder))
    assert found.words.endswith("; columns left alone: text; files left alone: test/metadata.jsonl")
    (folder / "metadata.csv").write_text("file_name,text\na.png,a dog\n")
    with pytest.raises(LionError, match=r"holds metadata\.jsonl and metadata\.csv; keep the one"):
        read_any(str(folder))


def test_boxes_of_an_imagefolder_belong_to_the_size_that_it_says(folder):
    from lion.data.orientation import as_shown

    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", SIZE).save(folder / "turned.jpg", exif=exif)
    objects = {"bbox": [[40, 40, 160, 120]], "category": ["dog"]}
    twice = {"width": 2 * SIZE[0], "height": 2 * SIZE[1], "objects": objects}
    rows = [{"file_name": name, **twice} for name in ("a.png", "turned.jpg")]
    crowd = {"bbox": [XYWH, XYWH], "category": ["dog", "dog"], "iscrowd": ["false", True]}
    rows += [{"file_name": "b.png", "width": 300, "height": 310, "objects": objects}]
    rows += [{"file_name": "b.png", "objects": crowd}]
    written(folder / "metadata.jsonl", *rows)
    plain, turned, other, beside_a_crowd = read_any(str(folder)).dataset.records
    assert as_shown(plain).box.xyxy() == pytest.approx(UNIT)
    assert as_shown(turned).box.xyxy() == pytest.approx((0.2, 0.1, 0.8, 0.5))
    with pytest.raises(LionError, match="the annotation file says 300 x 310"):
        as_shown(other)
    assert (beside_a_crowd.task, beside_a_crowd.also) == (Task.REG, ())


@pytest.mark.parametrize("form", ["imagefolder", "llava", "messages", "coco"])
def test_pictures_are_found_by_their_home_and_as_urls(folder, form, monkeypatch):
    (folder / "home").mkdir()
    Image.new("RGB", SIZE, "red").save(folder / "home" / "h.png")
    monkeypatch.setenv("HOME", str(folder / "home"))
    turns = [{"from": "human", "value": "what?"}, {"from": "gpt", "value": "a dog"}]
    for number, name in enumerate(("~/h.png", (folder / "home" / "h.png").as_uri())):
        place = folder / str(number)
        place.mkdir()
        given = str(place / "x.json")
        if form == "imagefolder":
            written(place / "metadata.jsonl", {"file_name": name, "text": "x"})
            given = str(place)
        elif form == "llava":
            written(place / "x.json", {"image": name, "conversations": turns}, whole=True)
        elif form == "messages":
            given = written(place / "x.jsonl", chat("what?", "a dog", images=[name]))
        else:
            coco = {
                "images": [{"id": 1, "file_name": name, "width": SIZE[0], "height": SIZE[1]}],
                "categories": [{"id": 1, "name": "dog"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": XYWH}],
            }
            (place / "x.json").write_text(json.dumps(coco))
        (record,) = read_any(given).dataset.records
        assert record.image == folder / "home" / "h.png"


def test_the_drawn_world_as_it_is_written(tmp_path):
    from lion.world.writer import write

    found = read_any(str(write(tmp_path / "scenes", 2, pixels=64)))
    assert {record.task for record in found.dataset.records} >= {Task.CAPTION, Task.REC}


def test_saved_and_parquet_datasets(folder):
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    picture = {"bytes": (folder / "a.png").read_bytes(), "path": "a.png"}
    rows = [
        {"image": picture, "objects": {"bbox": [XYWH], "category": [1]}},
        {"image": picture, "objects": {"bbox": [XYWH], "category": [7]}},
    ]
    kind = {"feature": {"_type": "ClassLabel", "names": ["cat", "dog"]}, "_type": "List"}
    features = {"info": {"features": {"image": {"_type": "Image"}, "objects": {"category": kind}}}}
    table = pyarrow.Table.from_pylist(rows).replace_schema_metadata({"huggingface": json.dumps(features)})
    for place in ("parquet", "saved"):
        (folder / place).mkdir()
    parquet.write_table(table, folder / "parquet" / "train-00000-of-00001.parquet")
    with pyarrow.ipc.new_stream(str(folder / "saved" / "data-00000-of-00001.arrow"), table.schema) as stream:
        stream.write_table(table)
    for place, words in (("parquet", "parquet files"), ("saved", "a dataset that datasets saved")):
        found = read_any(str(folder / place))
        (record,) = found.dataset.records
        assert found.words == f"{words}, 1 records" and record.expression == "dog" and boxes(found) == [UNIT]
        assert "category 7 is a number without a name" in found.dataset.skipped[0][1]


def test_what_is_in_no_known_form(folder):
    (folder / "x.json").write_text('{"a": 1}')
    with pytest.raises(LionError, match="in no form that is known; give LION's own JSONL"):
        read_any(str(folder / "x.json"))
    with pytest.raises(LionError, match="there is no file or folder"):
        read_any(str(folder / "gone.jsonl"))
    with pytest.raises(LionError, match="cannot be read as JSON"):
        (folder / "x.json").write_text("{")
        read_any(str(folder / "x.json"))
    with pytest.raises(LionError, match="no Hub dataset of that name"):
        read_any("nobody/nothing-of-this-name")
