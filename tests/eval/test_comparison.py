"""The difference of two models on the same questions: paired, with an interval, and only of what can be compared."""

import json

import pytest

from lion.errors import LionError
from lion.eval import Evaluation, WorldBenchmark, compare
from lion.eval.document import markdown
from lion.eval.report import write_report
from tests.eval import drawn, tiny_world
from tests.eval.drawn import Knowing, on

N = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.data(tmp_path_factory.mktemp("drawn"))


def answer(parts, data, name, folder, wrong=(), limit=N, **settings):
    """A run in which the samples at the places `wrong` are answered with nonsense."""
    benchmark = on(name, data, limit=limit, **settings)
    places = {record.id: place for place, record in enumerate(benchmark.selection.records)}

    def spoil(record, text):
        if places[record.id] not in wrong:
            return text
        return record.choices[record.correct - 1] if record.choices and benchmark.row.candidates else "[0,0,0.01,0.01]"

    run = Evaluation(Knowing(parts, benchmark, spoil, name=folder.name), benchmark, folder)
    run.predict()
    run.finish()
    return folder


def test_a_paired_difference(parts, data, tmp_path):
    before = answer(parts, data, "refcocog-test", tmp_path / "before", wrong=range(5))
    after = answer(parts, data, "refcocog-test", tmp_path / "after", wrong=[4])
    (half,) = compare(after, before)
    assert (half.benchmark, half.score, half.n) == ("refcocog-test", "accuracy@0.5", N)
    assert (half.value, half.value_against, half.difference) == pytest.approx((95, 75, 20))
    # Four of twenty differ, by one: the error of their mean is sqrt(.2 * .8 / 20).
    error = 100 * (0.2 * 0.8 / N) ** 0.5
    assert half.interval == pytest.approx((20 - 1.96 * error, 20 + 1.96 * error))
    assert half.run == f"after ({after})" and half.shown.startswith("+20.00 [+2.47, ")
    (back,) = compare(before, after)
    assert back.difference == -half.difference and back.interval == pytest.approx(
        (-half.interval[1], -half.interval[0])
    )


def test_equal_models_differ_by_nothing(parts, data, tmp_path):
    for name in (
        "okvqa",
        "gqa",
        "aokvqa-mc",
        "pope-random",
        "coco-caption",
        "mmbench",
        "visdial",
        "aokvqa",
        "iconqa",
        "vsr",
    ):
        one, other = (answer(parts, data, name, tmp_path / f"{name}-{run}", limit=4) for run in "ab")
        found = compare(one, other)
        assert found and all(each.difference == 0 for each in found), name
        assert any(each.interval == (0, 0) for each in found), name


def test_only_what_both_have_answered_counts(parts, data, tmp_path):
    before = answer(parts, data, "gqa", tmp_path / "before", wrong=range(10))
    after = answer(parts, data, "gqa", tmp_path / "after", limit=5)
    found = {one.score: one for one in compare(after, before)}
    assert found["exact"].n == 5 and (found["exact"].value, found["exact"].value_against) == (100, 0)


def test_the_rotations_of_a_question_are_one_sample(parts, data, tmp_path):
    before = answer(parts, data, "mmbench", tmp_path / "before", wrong=[0], limit=6)
    after = answer(parts, data, "mmbench", tmp_path / "after", limit=6)
    total = next(one for one in compare(after, before) if one.score == "accuracy")
    assert total.n == 6 and total.difference == pytest.approx(100 / 6)
    assert sum(total.interval) / 2 == pytest.approx(100 / 6)


def test_few_samples_have_no_interval(parts, data, tmp_path):
    before = answer(parts, data, "gqa", tmp_path / "before", wrong=[0], limit=2)
    after = answer(parts, data, "gqa", tmp_path / "after", limit=2)
    assert {(one.difference, one.interval) for one in compare(after, before)} == {(50, None)}


def test_other_questions_are_not_compared(parts, data, tmp_path):
    one, other = (answer(parts, data, name, tmp_path / name, limit=3) for name in ("gqa", "vqav2"))
    world = Evaluation(tiny_world.Oracle(parts, 2), WorldBenchmark(limit=2), tmp_path / "world").predictions.folder
    for pair in ((one, other), (one, world), (world, world)):
        with pytest.raises(LionError, match="answers to other questions"):
            compare(*pair)
    with pytest.raises(LionError, match=r"no run\.json"):
        compare(one, tmp_path / "nowhere")


def test_a_report_of_two_runs_has_the_difference(parts, data, tmp_path):
    before = answer(parts, data, "refcocog-test", tmp_path / "before", wrong=range(5))
    after = answer(parts, data, "refcocog-test", tmp_path / "after")
    third = answer(parts, data, "gqa", tmp_path / "gqa", limit=3)
    document, record = write_report([before, after, third], tmp_path / "report")
    text = markdown(document)
    (difference,) = record["differences"]
    assert difference["difference"] == pytest.approx(25) and "after" in difference["run"]
    assert "## Differences" in text and "| 100.00 | 75.00 | +25.00 [" in text
    assert json.loads((tmp_path / "report" / "report.json").read_text())["differences"][0]["interval"]
    assert "## Differences" not in markdown(write_report([before, third], tmp_path / "report")[0])
