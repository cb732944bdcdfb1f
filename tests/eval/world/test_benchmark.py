"""The world as a benchmark: truth in, perfect scores out; known mistakes in, known scores out."""

from dataclasses import replace

import pytest

from lion.boxes import format_box
from lion.errors import LionError
from lion.eval import Evaluation, WorldBenchmark
from lion.eval.world.benchmark import SETS, TAGGER, WITHOUT_HISTORY
from lion.eval.world.report import SLICED, TABLE
from lion.eval.world.scores import TARGETS
from lion.pipeline import Look, Verb
from lion.pipeline.prepare import prepare
from lion.prompts import Task
from lion.world import POPE_TASKS, test_questions
from tests.eval.tiny_world import Oracle

N = 24


def truth(number, one):
    return format_box(one.box) if one.task == Task.REC else one.answer


def rows_of(answers):
    """Rows as the files hold them; `answers` maps a part to the texts of its questions in order."""

    def rows(part):
        if part == TAGGER:
            return {}
        base = part.removeprefix("blind/").replace(WITHOUT_HISTORY, Task.DIALOG)
        asked = test_questions(base, len(answers[part]))
        return {one.id: {"text": text} for one, text in zip(asked, answers[part], strict=True)}

    return rows


def truths(samples):
    bases = {name: name.replace(WITHOUT_HISTORY, Task.DIALOG) for name in SETS}
    return {
        name: [truth(i, one) for i, one in enumerate(test_questions(base, samples))] for name, base in bases.items()
    }


def values(scores):
    return {name: score.value for name, score in scores.items()}


@pytest.fixture(scope="module")
def oracle_record(parts, tmp_path_factory):
    oracle = Oracle(parts, N, truth)
    run = Evaluation(oracle, WorldBenchmark(limit=N), tmp_path_factory.mktemp("oracle") / "out", blind=True)
    run.predict()
    return oracle, run.finish()


def test_truth_scores_perfectly_through_the_pipeline(oracle_record):
    scores = {name: score["value"] for name, score in oracle_record[1]["scores"].items()}
    alone = f"{WITHOUT_HISTORY}/"
    whole = {name: value for name, value in scores.items() if name.count("/") == 1 and not name.startswith(alone)}
    for name, value in whole.items():
        if name.endswith("unparsed"):
            assert value == 0
        elif name.endswith("yes_ratio"):
            assert value == 0.5
        else:
            assert value > 0.98 if name == "rec/mean_iou" else value == 1, name
    assert whole.keys() >= TARGETS.keys()
    assert scores[f"{WITHOUT_HISTORY}/accuracy"] > 0.9  # equal questions of one dialog may have two answers
    targets = {name: score for name, score in oracle_record[1]["scores"].items() if score["bar"] is not None}
    assert targets.keys() == TARGETS.keys() and all(score["met"] for score in targets.values())


def test_a_grey_picture_tells_nothing_and_comes_without_tags(oracle_record):
    oracle, record = oracle_record
    assert record["scores"]["vqa/accuracy"]["blind_run"] == {"value": 0.0, "standard_error": 0.0}
    assert record["scores"]["tagger/map"]["blind_run"] is None
    blind = oracle.asked[len(oracle.asked) // 2 :]
    assert len(blind) == N * len(SETS)
    for one in blind:
        assert one.image.getcolors() == [(256 * 256, (128, 128, 128))] and tuple(one.tags) == ()
    assert all(one.tags is None for one in oracle.asked[: N * len(SETS)])


def test_questions_reach_the_pipeline_as_they_were_frozen(parts):
    """What the pipeline makes of a request is the question's own instruction, held-out or not."""
    oracle = Oracle(parts, 1)
    benchmark = WorldBenchmark(limit=40)
    for name in SETS:
        for one in benchmark.questions(name):
            request = benchmark._request([one], 2, False, 0)
            look = Look.open(request.image)
            prompt = prepare(replace(request, tags=()), oracle.processor, look.size)
            assert prompt.instruction == one.instruction(2) and prompt.task == one.task
            assert look.size == (256, 256)
    assert {one.history for one in benchmark.questions(WITHOUT_HISTORY)} == {()}
    assert benchmark._request(benchmark.questions("reg"), 2, False, 0).verb is Verb.DESCRIBE


def test_no_tags(parts):
    oracle = Oracle(parts, 2, truth)
    benchmark = WorldBenchmark(limit=2, tagged=False)
    questions = next(one for one in benchmark.question_sets(oracle, blind=False) if one.name == "vqa")
    questions.answer(oracle, [0, 1])
    assert [tuple(one.tags) for one in oracle.asked] == [(), ()]
    assert benchmark.label == "world-test-no-tags" != WorldBenchmark(split="val").label


def test_known_mistakes_give_known_scores():
    said = truths(8)
    asked = {name: test_questions(name, 8) for name in (*POPE_TASKS, "rec", "vqa", "reg")}
    said["vqa"] = [
        text if one.kind != "count" else "seven" for text, one in zip(said["vqa"], asked["vqa"], strict=True)
    ]
    said["rec"] = ["" if one.kind == "ordinal" else text for text, one in zip(said["rec"], asked["rec"], strict=True)]
    said["rec"][0] = "[0.000,0.000,1.000,1.000]"
    said["reg"] = [text.split()[2] for text in said["reg"]]  # the category alone
    said["pope-random"] = ["yes"] * 8
    said["pope-popular"] = ["yes", "yes", "yes", "no", "no", "no", "no", "no"]  # true: yes, no, in turns
    result = WorldBenchmark(limit=8).score(rows_of(said), blind=False)
    scores, found = result.scores, values(result.scores)
    assert found["vqa/accuracy"] == 0.75 and scores["vqa/accuracy"].n == 8
    assert scores["vqa/accuracy"].standard_error == pytest.approx((0.75 * 0.25 / 8) ** 0.5)
    assert [found[f"vqa/accuracy/{kind}"] for kind in ("exists", "count", "colour", "relation")] == [1, 0, 1, 1]
    assert found["rec/accuracy@0.5"] == found["rec/accuracy@0.75"] == 5 / 8 and found["rec/unparsed"] == 2 / 8
    assert found["rec/accuracy@0.5/ordinal"] == 0 and found["rec/accuracy@0.5/unique"] == 0.5
    assert found["rec/mean_iou"] == pytest.approx((5 + asked["rec"][0].box.area) / 8, abs=0.02)
    assert (found["reg/category"], found["reg/colour"], found["reg/both"]) == (1, 0, 0)
    assert found["pope-random/f1"] == pytest.approx(2 / 3) and found["pope-random/yes_ratio"] == 1
    assert (found["pope-popular/precision"], found["pope-popular/recall"]) == (2 / 3, 0.5)
    assert found["pope-popular/f1"] == pytest.approx(4 / 7) and found["pope-popular/accuracy"] == 5 / 8
    assert result.references["vqa/accuracy"]["met"] is False and result.references["vqa/accuracy/count"]["met"] is None
    assert TAGGER not in {name.split("/")[0] for name in found}


def test_slices_are_those_of_the_questions():
    said = truths(40)
    asked = test_questions("rec", 40)
    said["rec"] = ["" if one.held_out_pair else text for one, text in zip(asked, said["rec"], strict=True)]
    said["caption"] = ["a cat" if one.held_out_instruction is None else "" for one in test_questions("caption", 40)]
    scores = WorldBenchmark(limit=40).score(rows_of(said), blind=False).scores
    pairs = [scores[f"rec/accuracy@0.5/{part}"] for part in ("held-out-pair", "seen-pair")]
    assert (pairs[0].value, pairs[1].value) == (0, 1)
    assert pairs[0].n == sum(one.held_out_pair for one in asked) and pairs[0].n + pairs[1].n == 40
    assert scores["caption/recall/held-out-instruction"].value == 0
    assert scores["caption/recall/trained-instruction"].value > 0
    rounds = test_questions("dialog", 40)
    assert scores["dialog/accuracy/needs-history"].n == sum(one.needs_history for one in rounds)
    assert not any(name.startswith("pope") and name.count("/") > 1 for name in scores)
    for whole in SLICED:
        assert whole in scores or whole.startswith(TAGGER)
    assert set(TABLE) - scores.keys() == {"tagger/map"}


def test_val_has_no_held_out_slices():
    said = {name: ["yes"] * 8 for name in SETS}

    def rows(part):
        base = part.replace(WITHOUT_HISTORY, Task.DIALOG)
        asked = [] if part == TAGGER else test_questions(base, 8, split="val")
        return {one.id: {"text": text} for one, text in zip(asked, said.get(part, []), strict=True)}

    names = WorldBenchmark("val", 8).score(rows, blind=False).scores
    assert not any("held-out" in name for name in names) and "dialog/accuracy/needs-history" in names


def test_unanswered_questions_are_an_error():
    said = truths(4)
    with pytest.raises(LionError, match="rec: 1 of 4 are not answered yet"):
        WorldBenchmark(limit=4).score(
            lambda part: dict(list(rows_of(said)(part).items())[: 3 if part == "rec" else 4]), blind=False
        )


@pytest.mark.parametrize(("split", "limit", "says"), [("train", 4, "test and val"), ("test", 0, "at least 1")])
def test_mistakes(split, limit, says):
    with pytest.raises(LionError, match=says):
        WorldBenchmark(split, limit)
