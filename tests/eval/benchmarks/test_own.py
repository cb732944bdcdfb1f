"""A file of one's own: a benchmark for each task in it; truth in, perfect scores out; bad lines are named."""

import json

import pytest
from PIL import Image

from lion.errors import LionError
from lion.eval import DatasetBenchmark, Evaluation, benchmark_of, is_file, rescore
from lion.pipeline import Verb
from lion.prompts import Task
from tests.eval.drawn import Knowing

BOX, OTHER = [0.1, 0.2, 0.5, 0.9], [0.5, 0.5, 1.0, 1.0]
LINES = [
    {"image": "a.png", "caption": "a red cat on a mat"},
    {"image": "./a.png", "caption": "one cat that is red"},
    {"image": "b.png", "caption": "two blue dogs in a park"},
    {"image": "a.png", "question": "what is it?", "answer": "the cat"},
    {"image": "b.png", "question": "how many?", "answer": "Two"},
    {"image": "b.png", "question": "how many?", "answer": "2"},
    {"image": "a.png", "question": "is it red?", "answer": "yes", "history": [["what is it?", "a cat"]]},
    {"image": "a.png", "expression": "the cat", "box": BOX},
    {"image": "a.png", "expression": "the red cat", "box": BOX},
    {"image": "b.png", "expression": "the right dog", "box": OTHER, "tags": ["dog"]},
    {"image": "b.png", "expression": "a blue dog", "box": BOX, "task": "rec"},
]


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, shade in (("a.png", 40), ("b.png", 200)):
        Image.new("RGB", (40, 30), (shade, 0, 0)).save(folder / name)
    path = folder / "my.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def ask(parts, benchmark, folder, spoil=lambda record, text: text, **settings):
    run = Evaluation(Knowing(parts, benchmark, spoil, **settings), benchmark, folder)
    run.predict()
    return run.finish()


def test_a_benchmark_for_each_task(file):
    found = {one.name: one for one in DatasetBenchmark.of_file(file)}
    ids = {name: [record.id for record in one.selection.records] for name, one in found.items()}
    assert ids == {
        "my-caption": ["1", "3"], "my-vqa": ["4", "5"], "my-dialog": ["7"], "my-rec": ["8", "9", "10", "11"],
        "my-reg": ["8", "10"],
    }  # fmt: skip
    answers = {name: [record.answers for record in one.selection.records] for name, one in found.items()}
    assert answers["my-caption"] == [("a red cat on a mat", "one cat that is red"), ("two blue dogs in a park",)]
    assert answers["my-vqa"] == [("the cat",), ("Two", "2")]
    assert answers["my-reg"] == [("the cat", "the red cat"), ("the right dog",)]
    assert DatasetBenchmark.of_file(str(file), limit=1)[3].selection.samples == ["8"]


def test_what_the_model_is_asked(file):
    """As `lion ask` and the others ask, with the line's tags where it has some."""
    asked = {}
    for benchmark in DatasetBenchmark.of_file(file):
        request = benchmark._request(benchmark.selection.records[0], 2, 512)
        words = request.instruction
        asked[benchmark.row.task] = words(request.history) if callable(words) else words
    assert asked == {
        Task.CAPTION: "Please describe the image using a single short sentence.",
        Task.VQA: "Based on the image, respond to this question with a short answer: what is it?",
        Task.DIALOG: "Dialog history: Question: what is it? Answer: a cat Question: is it red? Short answer:",
        Task.REC: "In the image, can you locate the cat and let me know its coordinates?",
        Task.REG: "Please describe the region [0.10,0.20,0.50,0.90] of the image using a short phrase.",
    }
    locate = next(one for one in DatasetBenchmark.of_file(file) if one.name == "my-rec")
    tags = [locate._request(record, 2, 512).tags for record in locate.selection.records]
    assert (
        tags == [None, None, ("dog",), None]
        and locate._request(locate.selection.records[0], 2, 512).verb == Verb.LOCATE
    )
    (off,) = {one.tags for one in map(lambda r: DatasetBenchmark.of_file(file, tagged=False)[3]._request(r, 2, 512),
                                      locate.selection.records)}  # fmt: skip
    assert off == ()


@pytest.mark.parametrize(
    ("name", "perfect"),
    [
        ("my-caption", {"bleu1": 1, "rouge_l": 1}),
        ("my-vqa", {"exact_match": 1, "vqa_normalised": 1}),
        ("my-dialog", {"exact_match": 1}),
        ("my-rec", {"accuracy@0.5": 1, "mean_iou": 1}),
        ("my-reg", {"bleu1": 1, "rouge_l": 1}),
    ],
)
def test_truth_scores_perfectly(parts, file, tmp_path, name, perfect):
    benchmark = next(one for one in DatasetBenchmark.of_file(file) if one.name == name)
    record = ask(parts, benchmark, tmp_path / "run")
    assert {score: record["scores"][score]["value"] for score in perfect} == pytest.approx(perfect, abs=1e-4)
    assert (record["official"], record["drawn"], record["samples"]) == (None, False, len(benchmark.selection.records))
    assert rescore(tmp_path / "run") == record
    assert "accuracy" not in record["scores"]  # of VQA's evaluation: no question has ten answers


def test_answers_are_compared_by_two_rules(parts, file, tmp_path):
    said = {"4": "A cat.", "5": "two"}
    vqa = DatasetBenchmark.of_file(file)[1]
    scores = ask(parts, vqa, tmp_path / "a", lambda record, text: said[record.id])["scores"]
    assert scores["exact_match"]["value"] == 1 and scores["vqa_normalised"]["value"] == 1
    said = {"4": "cat on a mat", "5": "2 dogs"}
    scores = ask(parts, vqa, tmp_path / "b", lambda record, text: said[record.id])["scores"]
    assert scores["exact_match"]["value"] == scores["vqa_normalised"]["value"] == 0


def test_ten_answers_give_the_official_accuracy(parts, file, tmp_path):
    lines = [{"image": "a.png", "question": "what?", "answer": one} for one in ["cat"] * 2 + ["dog"] * 8]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (vqa,) = DatasetBenchmark.of_file(file)
    scores = ask(parts, vqa, tmp_path / "run")["scores"]
    assert scores["accuracy"]["value"] == pytest.approx(0.6) == scores["accuracy-2021"]["value"]
    assert scores["exact_match"]["value"] == 1 and scores["exact_match"]["n"] == 1


def test_csv_and_a_moved_file(parts, file, tmp_path):
    table = file.with_suffix(".csv")
    table.write_text("image,question,answer\na.png,what is it?,cat\nb.png,and this?,dog\n")
    (vqa,) = DatasetBenchmark.of_file(table)
    record = ask(parts, vqa, tmp_path / "run")
    assert record["scores"]["exact_match"]["value"] == 1 and benchmark_of(record).settings == vqa.settings
    moved = tmp_path / "moved"
    file.parent.rename(moved)
    with pytest.raises(LionError, match=r"there is no file .*my\.csv; .*--data DIR"):
        rescore(tmp_path / "run")
    assert rescore(tmp_path / "run", moved)["scores"] == record["scores"]
    (moved / "my.csv").write_text("image,question,answer\na.png,what is it?,dog\n")
    with pytest.raises(LionError, match="questions have changed"):
        rescore(tmp_path / "run", moved)


def test_bad_lines_are_an_error_or_listed(parts, file, tmp_path):
    file.write_text(file.read_text() + '{"image": "nowhere.png", "caption": "x"}\n{"image": "a.png"}\n')
    with pytest.raises(LionError, match=r"my\.jsonl line 12: its picture .* is not there"):
        _ = DatasetBenchmark.of_file(file)[0].selection
    caption = DatasetBenchmark.of_file(file, skip_bad=True)[0]
    record = ask(parts, caption, tmp_path / "run")
    assert [one["id"] for one in record["skipped"]] == ["12", "13"] and record["samples"] == 2
    assert rescore(tmp_path / "run") == record


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("okvqa", False),
        ("refcoco+-val", False),
        ("my.jsonl", True),
        ("my.csv", True),
        ("a/b", True),
        ("~/x.jsonl", True),
    ],
)
def test_names_of_files(name, file):
    assert is_file(name) == file
