"""Asking goes on where it stopped, answers of two models never mix, and scoring needs no model."""

import json

import pytest
import torch

from lion.errors import LionError
from lion.eval import DatasetBenchmark, Evaluation, WorldBenchmark, benchmark_of, rescore
from lion.eval.predictions import Predictions
from lion.eval.world.benchmark import SETS
from lion.eval.world.report import TABLE
from lion.pipeline import LionPipeline
from lion.pipeline.fingerprint import model_fingerprint
from tests.eval import drawn, tiny_world
from tests.eval.tiny_world import Oracle
from tests.test_locks import holder

N = 6
ALL = N * (len(SETS) + 1)


@pytest.fixture
def tiny(parts):
    return tiny_world.pipeline(parts)


def evaluate(pipeline, folder, limit=N, **settings):
    run = Evaluation(pipeline, WorldBenchmark(limit=limit), folder, **settings)
    counts = []
    run.predict(counts.append)
    assert run.pending == 0
    return sum(counts), run.finish()


def said(folder):
    """Every answer in a folder, without its time."""
    files = sorted((folder / "predictions").rglob("*.jsonl"))
    rows = [(file.name, json.loads(line)) for file in files for line in file.read_text().splitlines()]
    return [(name, {key: value for key, value in row.items() if key != "seconds"}) for name, row in rows]


@pytest.fixture(scope="module")
def whole(parts, tmp_path_factory):
    """A finished run of the tiny model."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    asked, record = evaluate(tiny_world.pipeline(parts), folder)
    assert asked == ALL
    return folder, record


def test_scores_and_report_are_written(whole):
    folder, record = whole
    stable = {key: value for key, value in record.items() if key not in ("date", "hardware", "seconds", "tags_from")}
    assert json.loads((folder / "scores.json").read_text()) == stable
    assert record.keys() == {
        "benchmark", "model", "model_fingerprint", "settings", "limit", "blind_run", "tagger", "tags_from", "decoding",
        "commit", "date", "hardware", "versions", "seconds", "scores",
    }  # fmt: skip
    assert record["settings"].keys() == {"split", "tags", "world_version", "world_fingerprint"}
    assert record["scores"]["rec/mean_iou"].keys() == {
        "value", "standard_error", "n", "blind", "random", "blind_run", "above_blind", "bar", "met",
    }  # fmt: skip
    assert record["seconds"] > 0 and record["scores"]["rec/mean_iou"]["n"] == N
    report = (folder / "report.md").read_text()
    for name in TABLE:
        assert f"| {name} | {record['scores'][name]['n']} | {100 * record['scores'][name]['value']:.1f} |" in report
    assert "grey picture" not in report.split("*n*")[0] and "## Slices" in report
    assert len({line.count("|") for line in report.splitlines() if line.startswith("|")}) == 1
    assert all(row["text"] is not None for name, row in said(folder) if name != "tagger.jsonl")


def test_two_runs_never_write_to_one_folder(whole, tiny):
    before = {path: path.read_bytes() for path in whole[0].rglob("*") if path.is_file()}
    with holder(whole[0]) as other:
        for limit in (N, N + 1):
            with pytest.raises(LionError, match=f"out is being written by process {other.pid} on"):
                Evaluation(tiny, WorldBenchmark(limit=limit), whole[0])
        other.stdin.close()
    Evaluation(tiny, WorldBenchmark(limit=N), whole[0])  # and nobody goes on with it
    assert evaluate(tiny, whole[0])[0] == 0
    assert before.keys() == {path for path in whole[0].rglob("*") if path.is_file()}


def test_a_finished_run_asks_nothing(whole, tiny, monkeypatch):
    monkeypatch.setattr(tiny, "answer", None)
    assert evaluate(tiny, whole[0]) == (0, whole[1])


@pytest.mark.parametrize("cut", [1, 40, 0])
def test_a_killed_run_goes_on(whole, tiny, tmp_path, cut, monkeypatch):
    answer, left = tiny.answer, [5]

    def dies(requests, **settings):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return answer(requests, **settings)

    monkeypatch.setattr(tiny, "answer", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny, tmp_path)
    monkeypatch.setattr(tiny, "answer", answer)
    with pytest.raises(LionError, match="not answered yet"):
        rescore(tmp_path)
    # Nothing is asked before the tagger, so that no run is scored as if it had none.
    assert len(said(tmp_path)) == N + 4 + 2 + 4 + 2 + 4
    path = tmp_path / "predictions" / "dialog.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - cut])
    lost = 1 if cut else 0
    asked, record = evaluate(tiny, tmp_path)
    assert asked == ALL - (N + 4 + 2 + 4 + 2 + 4 - lost)
    assert sorted(map(str, said(tmp_path))) == sorted(map(str, said(whole[0])))
    assert record["scores"] == whole[1]["scores"]


def test_more_questions_and_a_blind_run_join_what_is_there(parts, tmp_path):
    oracle = Oracle(parts, N)
    assert evaluate(oracle, tmp_path, limit=4)[0] == 4 * (len(SETS) + 1)
    asked, record = evaluate(oracle, tmp_path, blind=True)
    assert asked == ALL - 4 * (len(SETS) + 1) + N * len(SETS)
    assert record["limit"] == N and record["scores"]["vqa/accuracy"]["blind_run"]["value"] == 0
    asked, record = evaluate(oracle, tmp_path, limit=3)
    assert asked == 0 and record["limit"] == 3 and record["blind_run"]
    assert "grey picture" in (tmp_path / "report.md").read_text().split("*n*")[0]


def test_scoring_again_needs_no_model(whole, monkeypatch):
    monkeypatch.setattr(LionPipeline, "__init__", None)
    monkeypatch.setattr(LionPipeline, "answer", None)
    assert rescore(whole[0]) == whole[1]


def test_another_model_is_an_error(whole, parts):
    _, processor, tagger = parts
    other = tiny_world.parts()[0]
    with torch.no_grad():
        next(iter(other.parameters())).add_(1)
    with pytest.raises(LionError, match=r"answers of another tiny \(its weights have changed since\); .*--out"):
        evaluate(tiny_world.pipeline((other, processor, tagger)), whole[0])
    with pytest.raises(LionError, match="another model \\(tiny, not big\\)"):
        evaluate(tiny_world.pipeline((other, processor, tagger), name="big"), whole[0])
    assert evaluate(tiny_world.pipeline(parts, name="renamed"), whole[0])[0] == 0


def test_another_setting_is_an_error(whole, tiny):
    for benchmark, words in (
        (WorldBenchmark("val", N), r"another split \(test, not val\)"),
        (WorldBenchmark("test", N, tagged=False), r"another tags \(True, not False\)"),
    ):
        with pytest.raises(LionError, match=words):
            Evaluation(tiny, benchmark, whole[0])
    tiny.decoding = {}
    with pytest.raises(LionError, match="answers with another caption"):
        Evaluation(tiny, WorldBenchmark(limit=N), whole[0])


def test_folders_that_will_not_do(whole, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    for name, words in (("file", "is a file"), ("full", "is not empty")):
        with pytest.raises(LionError, match=words):
            evaluate(tiny, tmp_path / name)
    with pytest.raises(LionError, match=r"no run\.json"):
        rescore(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"benchmark": "moon"}, "no benchmark 'moon'; there are world, flickr30k, "),
        ({"settings": {"split": "test", "tags": True, "world_version": "0"}}, "questions have changed"),
    ],
)
def test_answers_to_other_questions_are_not_scored(whole, tmp_path, change, words):
    run = json.loads((whole[0] / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**run, **change}))
    with pytest.raises(LionError, match=words):
        rescore(tmp_path)


def test_a_damaged_line_is_named(parts, tmp_path):
    oracle = Oracle(parts, 2)
    evaluate(oracle, tmp_path, limit=2)
    path = tmp_path / "predictions" / "vqa.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first[:9]}\n{second}\n")
    with pytest.raises(LionError, match=r"vqa\.jsonl, line 1 is damaged"):
        rescore(tmp_path)
    for line in (
        '{"id": ["a"], "text": "", "seconds": 1}',
        '{"id": "a", "seconds": 1}',
        '{"id": "a", "text": ""}',
        "5",
    ):
        path.write_text(f"{line}\n{second}\n")
        with pytest.raises(LionError, match=r"vqa\.jsonl, line 1 is damaged"):
            rescore(tmp_path)
    for text, says in (
        ("{", "not readable JSON"),
        ("5", "not readable JSON"),
        ('{"benchmark": "world"}', "lacks 'model_f"),
    ):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(LionError, match=says):
            rescore(tmp_path)


WHOLE = {
    **dict.fromkeys(("benchmark", "model_fingerprint", "decoding", "model", "commit", "date", "hardware", "versions")),
    **dict.fromkeys(("limit", "blind_run", "tagger", "data", "skip_bad", "drawn")),
    "settings": dict.fromkeys(
        ("dataset", "split", "data_hashes", "mode", "prompt", "wording", "decoding", "tags"),
    ),
}
"""run.json of a benchmark, as version 0.1.0 wrote it."""


@pytest.mark.parametrize(
    "key", [*WHOLE, *(f"settings.{key}" for key in WHOLE["settings"] if key not in ("dataset", "split"))]
)
def test_a_run_that_lacks_something_is_refused_in_one_line(tmp_path, key):
    def written(run):
        (tmp_path / "run.json").write_text(json.dumps(run))
        return Predictions(tmp_path).run()

    assert written(WHOLE) == WHOLE
    run = {**WHOLE, "settings": dict(WHOLE["settings"])}
    section, _, name = key.rpartition(".")
    del (run[section] if section else run)[name]
    with pytest.raises(
        LionError, match=rf"run\.json lacks '{name}', as of another version; run it again with another --out"
    ):
        written(run)


def test_two_answers_to_one_question_are_an_error(parts, tmp_path):
    oracle = Oracle(parts, 2)
    evaluate(oracle, tmp_path, limit=2)
    path = tmp_path / "predictions" / "vqa.jsonl"
    twice = path.with_name("vqa.rank1.jsonl")
    other = json.loads(path.read_text().splitlines()[1])
    for change in ({"text": other["text"] + "!"}, {"tags": ["dog"]}, {"asked": "what?"}):
        twice.write_text(json.dumps(other | change) + "\n")
        with pytest.raises(LionError, match=r"line 1: vqa-test-1 is answered twice, and differently; delete one of"):
            rescore(tmp_path)


def test_equal_answers_to_one_question_count_once(parts, tmp_path):
    """As two processes leave them that were started at once: all lines twice, each with a time of its own."""
    oracle = Oracle(parts, 2)
    _, record = evaluate(oracle, tmp_path, limit=2)
    for path in (tmp_path / "predictions").rglob("*.jsonl"):
        again = [json.dumps(json.loads(line) | {"seconds": 9.0}) + "\n" for line in path.open()]
        path.write_text(path.read_text() + "".join(again))
    assert rescore(tmp_path)["scores"] == record["scores"]


def test_a_question_that_was_mended_is_answered_whoever_had_skipped_it(parts, tmp_path):
    oracle = Oracle(parts, 2)
    _, record = evaluate(oracle, tmp_path, limit=2)
    path = tmp_path / "predictions" / "vqa.jsonl"
    name = json.loads(path.read_text().splitlines()[1])["id"]
    path.with_name("vqa.rank1.jsonl").write_text(
        json.dumps({"id": name, "skipped": "cannot be read", "seconds": 0.1}) + "\n"
    )
    assert rescore(tmp_path)["scores"] == record["scores"]


def test_result_files_that_are_no_longer_due_go(parts, tmp_path):
    evaluate(Oracle(parts, 2), tmp_path, limit=2)
    (tmp_path / "results").mkdir(exist_ok=True)
    (tmp_path / "results" / "old.json").write_text("{}")
    rescore(tmp_path)
    assert not (tmp_path / "results" / "old.json").exists()


def test_without_a_tagger_none_is_scored(parts, tmp_path):
    asked, record = evaluate(tiny_world.pipeline((*parts[:2], None)), tmp_path, limit=2)
    assert asked == 2 * len(SETS) and "tagger/map" not in record["scores"]
    assert "tagger/map" not in (tmp_path / "report.md").read_text()


def fingerprint(pipeline):
    return model_fingerprint(pipeline, pipeline.processor.max_text_tokens)


def test_the_fingerprint_follows_weights_tagger_and_ways(parts):
    model, processor, tagger = parts
    known = fingerprint(tiny_world.pipeline(parts))
    assert known == fingerprint(tiny_world.pipeline(parts, name="other", batch_size=2))
    assert known != fingerprint(tiny_world.pipeline((model, processor, None)))
    threshold = float(tagger.thresholds[0])
    try:
        tagger.thresholds[0] = 0.9
        assert known != fingerprint(tiny_world.pipeline(parts))
    finally:
        tagger.thresholds[0] = threshold
    try:
        processor.image_processor.do_normalize = False
        assert known != fingerprint(tiny_world.pipeline(parts))
    finally:
        processor.image_processor.do_normalize = True
    assert known == fingerprint(tiny_world.pipeline(tiny_world.parts()))


def test_a_recorded_run_gives_its_benchmark_back(tmp_path):
    world = WorldBenchmark("val", 5, tagged=False)
    run = {"benchmark": "world", "limit": world.limit, "settings": world.settings}
    assert benchmark_of(run) == world
    data = drawn.data(tmp_path)
    benchmark = drawn.on("okvqa", data, limit=3, prompt="short-answer", tagged=False, skip_bad=True)
    run = {"benchmark": "okvqa", "limit": 3, "settings": benchmark.settings, **benchmark.notes}
    found = benchmark_of(run)
    assert isinstance(found, DatasetBenchmark) and found.settings == benchmark.settings
    assert (found.data, found.limit, found.skip_bad) == (data.resolve(), 3, True)
    assert benchmark_of(run, tmp_path / "moved").data == tmp_path / "moved"
    for name in ("moon", None):
        with pytest.raises(LionError, match=r"there is no benchmark .*; there are world, flickr30k, "):
            benchmark_of({"benchmark": name})
