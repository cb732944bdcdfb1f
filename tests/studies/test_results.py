"""Results of made-up answers: scores are the metrics', differences are paired, and verdicts follow the rule."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml

from lion.boxes import format_box
from lion.eval.world.benchmark import WorldBenchmark
from lion.studies.asking import questions_of
from lion.studies.page import differences_table, table, verdicts, write_page
from lion.studies.results import Results, by_question, misrouted
from lion.studies.runs import Trained, make_chains
from lion.studies.schema import Cell, load_study
from lion.world.scoring import score_answers
from tests.studies.test_schema import STUDY

QUESTIONS = 60


def said(name, right):
    """Answers to the first questions of a set; `right` says which are right."""
    questions = WorldBenchmark("test", len(right)).questions(name)
    wrong = {
        "rec": "[0.00,0.00,0.01,0.01]",
        "vqa": "nothing",
        "pope-adversarial": "yes",
        "caption": "a zebra and a car",
    }
    truth = [format_box(one.box) if name == "rec" else one.answer for one in questions]
    return questions, [answer if good else wrong[name] for answer, good in zip(truth, right, strict=True)]


@pytest.mark.parametrize(
    "score",
    ["rec/accuracy@0.5", "rec/mean_iou", "vqa/accuracy", "pope-adversarial/f1", "caption/precision", "caption/recall"],
)
def test_the_mean_over_questions_is_the_metric(score):
    name, metric = score.split("/")
    questions, texts = said(name, np.random.default_rng(0).random(80) < 0.6)
    metas, scenes = [{"box": one.box} for one in questions], [one.scene for one in questions]
    whole = score_answers(name, texts, [one.answer for one in questions], metas, scenes)[metric]
    assert by_question(score, questions, texts).mean() == pytest.approx(whole.value)


def test_slices_and_captions_with_something_that_is_not_there():
    questions, texts = said("rec", [True, False] * 40)
    kinds = {one.kind for one in questions}
    assert sum(len(by_question(f"rec/mean_iou/{kind}", questions, texts)) for kind in kinds) == 80
    small = by_question("rec/accuracy@0.5/small", questions, texts)
    assert 0 < len(small) < 80 and set(small) <= {0.0, 1.0}
    captions, _ = said("caption", [True] * 3)
    texts = [captions[0].answer, "a zebra and a car and a kite and a boat and a bus", ""]
    assert by_question("caption/hallucinated", captions, texts).tolist() == [0.0, 1.0, 0.0]


@pytest.fixture
def made_up(tmp_path):
    """A study of two arms, three seeds; `write` puts a trained model's answers there."""
    fields = {
        **STUDY,
        "seeds": 3,
        "arms": {"a": {"says": "A", "chain": ["one"]}, "b": {"says": "B", "chain": ["one"], "with": {"steps": 700}}},
    }
    fields["tests"] = {"plain": {"questions": QUESTIONS, "sets": ["rec", "vqa"]}}
    fields["base"] = "b"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    study = load_study(path)
    chains = make_chains(study, tmp_path / "out")

    def write(arm, seed, right, to=None):
        results = Results(study, chains)
        task = results.task(Trained(arm, seed), "plain")
        folder = to or task.folder
        task.model.mkdir(parents=True, exist_ok=True)
        record = {"steps": 1, "seconds": 2.0, "hardware": "h", "precision": "fp32", "commit": "c" * 40, "versions": {}}
        (task.model / "finished.json").write_text(json.dumps(record))
        (folder / "predictions").mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({}))
        for name in ("rec", "vqa"):
            questions, texts = said(name, right)
            rows = [{"id": q.id, "text": t, "seconds": 0.5} for q, t in zip(questions, texts, strict=True)]
            (folder / "predictions" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return study, chains, write


def test_known_effects_are_found_and_none_is_not(made_up, tmp_path):
    study, chains, write = made_up
    rng = np.random.default_rng(1)
    for seed in range(3):
        base = rng.random(QUESTIONS) < 0.5
        write("b", seed, base)
        write("a", seed, base | (rng.random(QUESTIONS) < 0.5))
    results = Results(study, chains)
    assert not results.missing_runs and not results.tasks(missing=True)
    by_hand = []
    for seed in range(3):
        arms = [results.values(Cell(arm, "plain"), "vqa/accuracy", [seed]) for arm in "ab"]
        by_hand.append((arms[0] - arms[1]).mean())
    found = results.to_base(Cell("a", "plain"), "vqa/accuracy")
    assert found.value == pytest.approx(np.mean(by_hand)) and 0.15 < found.value < 0.35
    assert found.seeds == 3 and found.questions == QUESTIONS
    claim = study.claims["better"]
    assert results.verdict(claim).startswith("holds by +")
    other = claim.model_copy(update={"plus": ("b",), "minus": ("a",)})
    assert results.verdict(other).startswith("reversed by -")
    assert results.verdict(other.model_copy(update={"expect": "below"})).startswith("holds by -")
    assert results.verdict(claim.model_copy(update={"minus": ("a",)})).startswith("not seen")
    assert results.to_base(Cell("b", "plain"), "vqa/accuracy") is None
    assert table(results)[1][:2] == ["a", "3 of 3"] and len(differences_table(results)) == 2
    page, numbers, *_ = write_page(results, tmp_path / "page" / "mine.md", "lion study mine")
    assert (
        "**holds by +" in page.read_text() and "6 runs" in page.read_text() and "**Not complete" not in page.read_text()
    )
    assert "## Verdicts" in page.read_text() and f"{datetime.now(UTC).date()}" in page.read_text()
    assert json.loads(numbers.read_text())["claims"]["better"]["difference"]["seeds"] == 3


def test_a_study_without_claims_has_no_verdicts_and_shows_the_runs_of_its_arms_alone(made_up, tmp_path):
    study, chains, write = made_up
    write("a", 0, [True] * QUESTIONS)
    unused = {**study.runs, "unused": next(iter(study.runs.values()))}
    study = study.model_copy(update={"claims": {}, "figures": {}, "runs": unused, "settings": {"validation": None}})
    page = write_page(Results(study, chains), tmp_path / "mine.md", "lion study mine")[0].read_text()
    assert "Verdicts" not in page and "is **reversed**" not in page
    assert "unused" not in page and "`validation=null`" in page


def test_seeds_that_one_arm_lacks_are_left_out_and_said(made_up, tmp_path):
    study, chains, write = made_up
    for seed in range(3):
        write("a", seed, [True] * QUESTIONS)
    assert Results(study, chains).verdict(study.claims["better"]) == "not run"
    write("b", 1, [False] * QUESTIONS)
    results = Results(study, chains)
    assert len(results.missing_runs) == 2 and results.seeds(Cell("a", "plain"), Cell("b", "plain")) == [1]
    assert results.verdict(study.claims["better"]).startswith("not decided")
    page = write_page(results, tmp_path / "mine.md", "lion study mine")[0].read_text()
    assert "**Not complete:** 2 runs and 2 tests are missing" in page
    assert verdicts(results)[1][-1].startswith("not decided")


def test_more_questions_ask_only_for_what_is_new(made_up):
    study, chains, write = made_up
    write("a", 0, [True] * QUESTIONS)
    one = {Trained("a", 0): chains[Trained("a", 0)]}
    assert not Results(study, one).tasks(missing=True)
    more = study.model_copy(update={"tests": {"plain": study.tests["plain"].model_copy(update={"questions": 70})}})
    (task,) = Results(more, one).tasks(missing=True)
    assert task.folder == Results(study, one).task(Trained("a", 0), "plain").folder


def test_tests_that_ask_alike_share_their_answers(made_up):
    study, chains, write = made_up
    plain = study.tests["plain"]
    again = plain.model_copy(update={"sets": ("pope-random",), "questions": 1})
    study = study.model_copy(update={"tests": {"plain": plain, "again": again}})
    one = {Trained("a", 0): chains[Trained("a", 0)]}
    (task,) = Results(study, one).tasks()
    assert task.how.sets == (*plain.sets, "pope-random") and task.how.questions == plain.questions
    write("a", 0, [True] * QUESTIONS)
    assert Results(study, one).tasks(missing=True) == [task]  # the other set is not answered
    greedy = again.model_copy(update={"preset": "greedy"})
    study = study.model_copy(update={"tests": {"plain": plain, "again": greedy}})
    assert [one.test for one in Results(study, one).tasks()] == ["plain", "again"]


def test_answers_that_a_test_changes_are_counted(made_up, tmp_path):
    study, chains, write = made_up
    plain = study.tests["plain"]
    other = plain.model_copy(update={"preset": "greedy"})
    study = study.model_copy(update={"tests": {"plain": plain, "other": other}, "readings": ("changed-answers",)})
    write("a", 0, [True] * QUESTIONS)
    assert Results(study, chains).changed("other") == {}
    write(
        "a", 0, [True] * (QUESTIONS - 15) + [False] * 15, Results(study, chains).task(Trained("a", 0), "other").folder
    )
    results = Results(study, chains)
    assert results.changed("other") == {"rec": 0.25, "vqa": 0.25} and set(results.changed("plain").values()) == {0.0}
    page = write_page(results, tmp_path / "mine.md", "lion study mine")[0].read_text()
    assert "## Answers that change" in page and "| other | 25.0 | 25.0 |" in page and "soft token" not in page


def test_misrouted_rows_have_the_first_rows_level():
    learnt = {name: [{"text": "own"}] * 40 for name in ("vqa", "rec", "pope-random")}
    swapped = {name: [{"text": "other"}] * 40 for name in learnt}
    found = misrouted(learnt, swapped, 8, list(learnt), seed=0)
    texts = {name: [one["text"] for one in rows] for name, rows in found.items()}
    # A third of the rows are boxes, whose batch begins with another level's row in two of three cases.
    assert texts["rec"].count("other") / 40 == pytest.approx(2 / 3 * 7 / 8, abs=0.25)
    assert (texts["vqa"] + texts["pope-random"]).count("other") / 80 == pytest.approx(1 / 3, abs=0.2)
    assert misrouted(learnt, swapped, 1, list(learnt), seed=0) == learnt


def test_noisy_tags_are_those_of_the_question_whoever_is_asked():
    study = load_study("tags")
    clean, swapped = questions_of(study.tests["perfect"]), questions_of(study.tests["swapped-50"])
    asked = clean.questions("vqa")[:20]
    requests = [[one._request(asked, 2, False, index).tags for index in range(20)] for one in (clean, swapped, swapped)]
    assert requests[1] == requests[2] != requests[0] and all(isinstance(tags, tuple) for tags in requests[1])
    assert clean.settings != swapped.settings and questions_of(study.tests["no-tags"]).tagged is False
