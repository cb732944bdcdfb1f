"""Every benchmark of the paper from files to scores: truth in, perfect scores out; known mistakes, known scores."""

import ast
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from lion.data.sample import Record
from lion.data.sources import READERS
from lion.data.writers import FORMATS
from lion.errors import LionError
from lion.eval import PAPER, Evaluation, named, rescore
from lion.eval.benchmarks import paper as table
from lion.eval.benchmarks.paper import ROWS, groups
from lion.eval.benchmarks.results import AnsweredRecord, mmbench
from lion.pipeline.request import DECODING
from lion.prompts import BENCHMARK_PROMPTS, Task
from tests.eval import drawn
from tests.eval.drawn import Knowing, on

DRAWN = [
    row.name for row in ROWS if row.dataset in FORMATS and row.split in FORMATS[row.dataset][1]["test"].split(", ")
]
LIMIT = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.data(tmp_path_factory.mktemp("drawn"))


def ask(pipeline, benchmark, folder):
    run = Evaluation(pipeline, benchmark, folder)
    run.predict()
    return run.finish()


def values(record):
    return {name: score["value"] for name, score in record["scores"].items()}


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_table_holds_together():
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.dataset in READERS and row.decoding in DECODING, row.name
        assert row.prompts and set(row.prompts) <= set(BENCHMARK_PROMPTS), row.name
        assert not row.paper or row.headline[0] in row.paper, row.name
        assert row.tuned_prompt in row.prompts, row.name
        assert row.candidates or row.tuned_prompt == row.prompts[0], row.name
    assert {row.name for row in named(groups())} == set(PAPER)


def test_groups():
    assert [row.name for row in named(["refcoco"])] == ["refcoco-val", "refcoco-testA", "refcoco-testB"]
    assert [row.name for row in named(["refcocog", "refcocog-val"])] == ["refcocog-val", "refcocog-test"]
    assert [row.split for row in named(["pope"])] == ["random", "popular", "adversarial"]
    assert [row.name for row in named(["aokvqa", "reg"])] == ["aokvqa", "reg-val", "reg-test"]
    with pytest.raises(LionError, match="no benchmark 'moon'; there are flickr30k, "):
        named(["okvqa", "moon"])


def test_the_papers_numbers():
    """Its averages are those of its parts."""
    split = [row.paper["accuracy@0.5"] for row in ROWS if row.table == "Referring expressions"]
    assert len(split) == 8
    means = {"LION-4B": 85.98, "LION-12B": 86.36, "LION-4B zero-shot": 54.98, "LION-12B zero-shot": 55.58}
    for model, mean in means.items():
        assert sum(paper[model] for paper in split) / 8 == pytest.approx(mean, abs=0.02), model
    random = PAPER["pope-random-2910"].paper
    precision, recall, f1 = (random[name]["LION"] for name in ("precision", "recall", "f1"))
    assert 2 * precision * recall / (precision + recall) == pytest.approx(f1, abs=0.01)


def test_the_papers_benchmarks_do_not_import_the_worlds():
    files = sorted(Path(table.__file__).parent.glob("*.py"))
    imported = [
        node.module
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]
    assert len(files) > 4 and "lion.eval.questions" in imported
    assert not [name for name in imported if name and name.startswith(("lion.eval.world", "lion.world"))]


# -- asking and scoring -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_truth_scores_perfectly(parts, data, tmp_path, name):
    benchmark = on(name, data, limit=LIMIT)
    record = ask(Knowing(parts, benchmark), benchmark, tmp_path)
    scores = values(record)
    row = PAPER[name]
    assert record["samples"] == len(benchmark.selection.samples) == record["scores"][row.headline[0]]["n"]
    assert 3 < record["samples"] <= LIMIT
    assert record["official"] == (row.official or benchmark.selection.dataset.expected)
    for score in row.headline:
        if score == "cider":
            assert scores["cider"] > 1 and scores["bleu1"] > 0.99
        elif score == "yes_ratio":
            assert scores[score] == 0.5
        elif score in ("CP", "LR", "AR", "RR", "FP-S", "FP-C"):
            assert scores.get(score, 1) == 1
        elif score == "vqa-accuracy":
            assert scores[score] >= 0.5  # of unanimous number words, none can be matched
        else:
            assert scores[score] == 1, score
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == {one.id for one in benchmark.selection.records}
    assert lines[0].keys() == {"id", "prompt", "text", "answer", "score"}
    assert rescore(tmp_path) == record


@pytest.mark.parametrize(
    ("name", "spoil", "score", "value"),
    [
        ("refcocog-test", lambda place, text: "[0.1,0.2" if place == 0 else text, "accuracy@0.5", 5 / 6),
        ("refcocog-test", lambda place, text: "nowhere" if place < 2 else text, "unparsed", 2 / 6),
        ("gqa", lambda place, text: f"The {text}" if place == 0 else text, "exact", 5 / 6),
        ("gqa", lambda place, text: f"The {text}" if place == 0 else text, "vqa_normalised", 1),
        ("aokvqa", lambda place, text: text.upper() if place == 0 else text, "direct_answer", 5 / 6),
        ("pope-random", lambda place, text: "I see", "recall", 1),
        ("pope-random", lambda place, text: "I see", "precision", 0.5),
        ("pope-random", lambda place, text: "I see", "strict/unparsed", 1),
        ("vsr", lambda place, text: {"true": "no", "false": "yes"}[text], "accuracy", 0),
        ("vsr", lambda place, text: {"true": "yes", "false": "no"}[text], "accuracy", 1),
    ],
)
def test_known_mistakes_give_known_scores(parts, data, tmp_path, name, spoil, score, value):
    benchmark = on(name, data, limit=LIMIT)
    places = {record.id: place for place, record in enumerate(benchmark.selection.records)}
    pipeline = Knowing(parts, benchmark, lambda record, text: spoil(places[record.id], text))
    assert values(ask(pipeline, benchmark, tmp_path))[score] == pytest.approx(value)


def test_one_wrong_rotation_spoils_a_question(parts, data, tmp_path):
    benchmark = on("mmbench", data, limit=LIMIT)
    last = benchmark.selection.records[-1]

    def spoil(record, text):
        return record.choices[(record.correct + 1) % len(record.choices)] if record is last else text

    scores = values(ask(Knowing(parts, benchmark, spoil), benchmark, tmp_path))
    assert scores["accuracy"] == pytest.approx(5 / 6) and scores["vanilla"] == 1
    assert len(benchmark.selection.records) > LIMIT and len(benchmark.selection.samples) == LIMIT


def test_what_the_model_reads(parts, data):
    """Prompts of every kind, to the letter."""

    def asked(name, place=0, **settings):
        benchmark = on(name, data, **settings)
        request = benchmark._request(benchmark.selection.records[place], 2, 512)
        words = request.instruction
        return benchmark.selection.records[place], words(request.history) if callable(words) else words, request

    record, words, request = asked("aokvqa-mc")
    options = " ".join(f"({letter}) {choice}" for letter, choice in zip("abcd", record.choices, strict=True))
    assert words == f"Question: {record.question} Options: {options}. Short answer:"
    assert tuple(request.candidates) == record.choices and request.verb.task == Task.VQA
    record, words, request = asked("vsr")
    assert words == f'Based on the image, is this statement true or false? "{record.question}" Answer:'
    assert tuple(request.candidates) == ("false", "true", "no", "yes")
    record, words, request = asked("visdial", 1)
    (before,) = record.history
    assert words == (
        f'This image has the caption "{record.meta["caption"]}". Dialog history: Question: {before[0]} '
        f"Answer: {before[1]} Question: {record.question} Short answer:"
    )
    assert len(request.candidates) == 100 and request.verb.task == Task.DIALOG
    record, words, request = asked("refcoco-testA")
    assert words == f"In the image, can you locate {record.expression} and let me know its coordinates?"
    assert request.candidates is None and request.tags is None
    record, words, request = asked("reg-test", tagged=False)
    x1, y1, x2, y2 = record.box.xyxy()
    assert words == (
        f"Please describe the region [{x1:.2f},{y1:.2f},{x2:.2f},{y2:.2f}] of the image using a short phrase."
    )
    assert request.tags == () and request.verb.task == Task.REG
    assert asked("flickr30k", prompt="caption-instructblip")[1] == "A short image description:"


def test_a_hint_stands_before_the_question(data):
    benchmark = on("mmbench", data)
    hinted = replace(benchmark.selection.records[0], hint="Cats are small.", question="Is it\nlarge?")
    words = benchmark._request(hinted, 2, 512).instruction
    assert words.startswith("Question: Cats are small. Is it large? Options: (a) ")


def test_a_region_is_described_once(data):
    benchmark = on("reg-test", data)
    refs = [one.meta["ref_id"] for one in benchmark.selection.records]
    assert len(refs) == len(set(refs)) and benchmark.official == 5_023
    first, second = benchmark.selection.records[:2]
    again = [replace(first, id=name, expression=name) for name in ("a", "b")]
    assert benchmark.row.choose([first, again[0], second, again[1]]) == [first, second]


def test_requests_carry_decoding_and_prompt_limit(parts, data):
    benchmark = on("okvqa", data, limit=4)
    pipeline = Knowing(parts, benchmark)
    (questions,) = benchmark.question_sets(pipeline, blind=False)
    questions.answer(pipeline, [0, 1])
    positions = pipeline.model.config.qformer_config.max_position_embeddings
    assert benchmark.max_prompt_tokens(pipeline) == positions != pipeline.processor.max_text_tokens
    assert benchmark.decoding(pipeline) == {Task.VQA: DECODING["short"][Task.VQA]}
    for request in pipeline.asked:
        assert (request.decoding, request.max_prompt_tokens) == (DECODING["short"][Task.VQA], positions)
    assert on("iconqa", data).decoding(pipeline) == {}  # ranked


# -- official result files --------------------------------------------------------------------------------------------


def results(parts, data, folder, name):
    benchmark = on(name, data, limit=LIMIT)
    ask(Knowing(parts, benchmark), benchmark, folder)
    (path,) = (folder / "results").iterdir()
    return benchmark.selection.records, path, path.read_text()


@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [
        (
            "coco-caption",
            "captions_test_results.json",
            lambda r: {"image_id": r.meta["image_id"], "caption": r.answers[0]},
        ),
        (
            "okvqa",
            "vqa_OpenEnded_mscoco_val2014_results.json",
            lambda r: {"question_id": int(r.id), "answer": r.answers[0]},
        ),
        ("gqa", "testdev_predictions.json", lambda r: {"questionId": r.id, "prediction": r.answers[0]}),
    ],
)
def test_lists_of_results(parts, data, tmp_path, name, file, rows):
    records, path, text = results(parts, data, tmp_path, name)
    assert path.name == file and json.loads(text) == [rows(one) for one in records]


def test_results_by_id(parts, data, tmp_path):
    records, path, text = results(parts, data, tmp_path / "direct", "aokvqa")
    assert path.name == "predictions_val.json"
    assert json.loads(text) == {one.id: {"direct_answer": one.answers[0]} for one in records}
    records, _, text = results(parts, data, tmp_path / "choice", "aokvqa-mc")
    assert json.loads(text) == {one.id: {"multiple_choice": one.answers[0]} for one in records}
    records, _, text = results(parts, data, tmp_path / "icon", "iconqa")
    assert json.loads(text) == {"results": {one.id: one.correct for one in records}}


def test_visdial_ranks(parts, data, tmp_path):
    records, path, text = results(parts, data, tmp_path, "visdial")
    rows = json.loads(text)
    assert path.name == "ranks_val.json" and len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        assert (row["image_id"], row["round_id"]) == (record.meta["image_id"], record.meta["round_id"])
        assert sorted(row["ranks"]) == list(range(1, 101)) and row["ranks"][record.correct] == 1


def test_pope_answers_in_the_order_of_the_labels(parts, data, tmp_path):
    records, _, text = results(parts, data, tmp_path, "pope-popular")
    rows = [json.loads(line) for line in text.splitlines()]
    assert rows == [{"question": one.question, "answer": one.answers[0]} for one in records]


def test_mmbench_predictions(parts, data, tmp_path):
    records, _, text = results(parts, data, tmp_path, "mmbench")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
    assert [int(row["index"]) for row in rows] == [one.meta["index"] for one in records]
    assert all(row["prediction"] == row["answer"] for row in rows)
    assert all(row[row["answer"]] == one.answers[0] for row, one in zip(rows, records, strict=True))


def test_mmbench_predictions_with_more_options_than_usual():
    asked = Record(
        "1",
        Path("x.png"),
        Task.VQA,
        "which?",
        choices=tuple("vwxyz"),
        correct=4,
        meta={"index": 1, "category": "ocr", "l2_category": "coarse"},
    )
    _, text = mmbench([AnsweredRecord(asked, "which?", "z", "E", 1.0)], "dev")
    (row,) = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")
    assert (row["E"], row["answer"], row["prediction"]) == ("z", "E", "E")


# -- what is missing or bad -------------------------------------------------------------------------------------------


def bad(data, folder, *broken):
    """The drawn okvqa with some of its pictures broken."""
    for path in (data / "okvqa").rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    pictures = sorted((folder / "okvqa").rglob("*.jpg"))
    for place in broken:
        pictures[place].write_bytes(b"no picture")
    return folder


def test_a_bad_picture_is_named(parts, data, tmp_path):
    benchmark = on("okvqa", bad(data, tmp_path, 2), limit=4)
    record = benchmark.selection.records[2]
    pipeline = drawn_pipeline(parts)
    with pytest.raises(LionError, match=rf"^okvqa record {record.id}: .*{record.image.name}.*--skip-bad\)$"):
        ask(pipeline, benchmark, tmp_path / "run")


def test_skipped_pictures_are_counted_and_listed(parts, data, tmp_path):
    benchmark = on("okvqa", bad(data, tmp_path, 2), limit=4, skip_bad=True)
    record = ask(drawn_pipeline(parts), benchmark, tmp_path / "run")
    assert record["samples"] == 3 and record["scores"]["accuracy"]["n"] == 3
    (skipped,) = record["skipped"]
    assert skipped["id"] == benchmark.selection.records[2].id and "COCO_val2014" in skipped["reason"]
    assert len(json.loads(next((tmp_path / "run" / "results").iterdir()).read_text())) == 3
    assert rescore(tmp_path / "run") == record


def test_who_meets_a_bad_picture_skips_it_and_asks_it_again_when_it_is_mended(parts, data, tmp_path):
    folder, run = bad(data, tmp_path / "data", 2), tmp_path / "run"
    pipeline = drawn_pipeline(parts)
    with pytest.raises(LionError, match="--skip-bad"):
        ask(pipeline, on("okvqa", folder, limit=4), run)
    assert ask(pipeline, on("okvqa", folder, limit=4, skip_bad=True), run)["samples"] == 3
    broken = sorted((folder / "okvqa").rglob("*.jpg"))[2]
    broken.write_bytes((data / broken.relative_to(folder)).read_bytes())
    record = ask(pipeline, on("okvqa", folder, limit=4, skip_bad=True), run)
    assert record["samples"] == 4 and record["skipped"] == []
    assert rescore(run) == record


def test_a_question_that_is_no_text_is_skipped_like_any_other(parts, data, tmp_path):
    folder = bad(data, tmp_path / "d\udcffata")
    (file,) = (folder / "okvqa").rglob("*_questions.json")
    questions = json.loads(file.read_text())
    questions["questions"][1]["question"] += "\ud83d"
    file.write_text(json.dumps(questions))
    record = ask(drawn_pipeline(parts), on("okvqa", folder, limit=4, skip_bad=True), tmp_path / "run")
    assert record["samples"] == 3 and "not readable text" in record["skipped"][0]["reason"]
    assert rescore(tmp_path / "run") == record


def test_missing_pictures_are_skipped_when_the_data_is_read(parts, data, tmp_path):
    folder = bad(data, tmp_path)
    sorted((folder / "okvqa").rglob("*.jpg"))[0].unlink()
    with pytest.raises(LionError, match=r"question 0: its picture .* is not in"):
        _ = on("okvqa", folder).selection.records
    benchmark = on("okvqa", folder, skip_bad=True)
    selection = benchmark.selection
    assert [name for name, _ in selection.skipped] == ["0"] and len(selection.samples) == drawn.SIZE - 1


def test_too_few_are_told(data):
    with pytest.raises(LionError, match=r"^okvqa: 24 of the official 5046 samples in .*_questions.json, .*--strict"):
        on("okvqa", data).check_complete()
    with pytest.raises(LionError, match=r"is drawn, not the official one; leave --strict out"):
        on("okvqa", data, drawn=True).check_complete()


def test_a_question_without_all_its_rotations(parts, data, tmp_path):
    lines = (data / "mmbench" / "MMBench_DEV_EN.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "MMBench_DEV_EN.tsv").write_text("".join(lines[:-1]))
    with pytest.raises(LionError, match=r"^mmbench \d+: only \d of its \d records are there .*--skip-bad"):
        _ = on("mmbench", tmp_path).selection.records
    benchmark = on("mmbench", tmp_path, skip_bad=True)
    assert len(benchmark.selection.skipped) == 1 and len(benchmark.selection.samples) == drawn.SIZE - 1


def test_no_pope_file_that_would_be_misread(parts, data, tmp_path):
    """Its answers are matched by line, so that none may be missing."""
    benchmark = on("pope-random", data, limit=4, skip_bad=True)
    records = benchmark.selection.records
    records[1] = replace(records[1], image=b"no picture")
    record = ask(drawn_pipeline(parts), benchmark, tmp_path)
    assert record["samples"] == 3 and not (tmp_path / "results").exists()


def test_changed_data_is_not_scored(parts, data, tmp_path):
    folder = bad(data, tmp_path)
    benchmark = on("okvqa", folder, limit=4)
    ask(Knowing(parts, benchmark), benchmark, tmp_path / "run")
    moved = tmp_path / "elsewhere"
    (folder / "okvqa").rename(moved)
    with pytest.raises(LionError, match="there is no OpenEnded"):
        rescore(tmp_path / "run")
    assert rescore(tmp_path / "run", moved)["samples"] == 4
    (path,) = moved.glob("*annotations.json")
    path.write_text(path.read_text() + " ")
    with pytest.raises(LionError, match="questions have changed"):
        rescore(tmp_path / "run", moved)


def test_settings_are_not_mixed(parts, data, tmp_path):
    first = on("okvqa", data, limit=4)
    ask(Knowing(parts, first), first, tmp_path)
    for other, words in (
        (on("okvqa", data, limit=4, prompt="short-answer"), r"another prompt \(question, not short-answer\)"),
        (on("okvqa", data, limit=4, preset="official"), r"another decoding \(short, not official\)"),
        (on("okvqa", data, limit=4, tagged=False), r"another tags \(True, not False\)"),
        (on("vqav2", data, limit=4), r"another benchmark \(okvqa, not vqav2\)"),
    ):
        with pytest.raises(LionError, match=words):
            Evaluation(Knowing(parts, other), other, tmp_path)
    more = on("okvqa", data, limit=6)
    assert ask(Knowing(parts, more), more, tmp_path)["samples"] == 6


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limit": 0}, "at least 1"),
        ({"prompt": "statement"}, "no prompt 'statement'; there are question, short-answer"),
        ({"preset": "fast"}, "no decoding 'fast'"),
    ],
)
def test_mistakes(data, settings, says):
    with pytest.raises(LionError, match=says):
        on("okvqa", data, **settings)


def drawn_pipeline(parts):
    """The tiny model itself: it opens its pictures."""
    from tests.eval import tiny_world

    return tiny_world.pipeline(parts)


def turned(data, folder, orientation):
    """The drawn RefCOCO, the first picture of its test split stored turned, its boxes as they were."""
    (folder / "refcoco").mkdir(parents=True)
    for path in (data / "refcoco").rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    first = on("refcoco-testA", folder).selection.records[0]
    image = Image.open(first.image).convert("RGB")
    image = image.resize((image.width, image.height // 2))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(first.image, exif=exif)
    instances = folder / "refcoco" / "instances.json"
    value = json.loads(instances.read_text())
    for row in value["images"]:
        if row["id"] == first.meta["image_id"]:
            row["height"] = image.height
    for row in value["annotations"]:
        if row["image_id"] == first.meta["image_id"]:
            x, y, width, height = row["bbox"]
            row["bbox"] = [x, y / 2, width, height / 2]
    instances.write_text(json.dumps(value))
    return first


def test_boxes_of_a_picture_that_is_stored_turned_are_scored_as_people_see_them(data, tmp_path):
    first = turned(data, tmp_path, 6)
    record = on("refcoco-testA", tmp_path).selection.records[0]
    assert record.id == first.id and record.box.xyxy() == pytest.approx(first.box.turn(6).xyxy())


def test_what_cannot_be_turned_is_an_error_or_skipped(data, tmp_path):
    first = turned(data, tmp_path, 3)
    with pytest.raises(
        LionError, match=rf"^refcoco-testA record {first.id}: .*orientation 3.* with lion eval --skip-bad\)$"
    ):
        _ = on("refcoco-testA", tmp_path).selection
    whole, left = on("refcoco-testA", data).selection, on("refcoco-testA", tmp_path, skip_bad=True).selection
    gone = [one.id for one in whole.records if one.meta["image_id"] == first.meta["image_id"]]
    assert len(left.records) == len(whole.records) - len(gone) == len(left.samples)
    assert [ident for ident, _ in left.skipped] == gone


def test_a_bad_record_names_the_option_of_lion_eval(data, tmp_path):
    first = turned(data, tmp_path, 1)
    Path(first.image).unlink()
    with pytest.raises(LionError, match=r"skip bad records with lion eval --skip-bad\)$"):
        _ = on("refcoco-testA", tmp_path).selection
