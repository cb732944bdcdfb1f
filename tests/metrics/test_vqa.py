"""VQA accuracy against both official evaluators, and against cases worked by hand from their rules."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.errors import LionError
from lion.metrics import VqaQuestion, vqa
from lion.metrics.vqa import clean, normalise, process_punctuation, vqa_values
from tests.metrics import truth

VERSIONS = ("legacy_2016", "official_2021")


def records(*answers):
    return [{"answer": answer, "answer_id": place} for place, answer in enumerate(answers, start=1)]


def one(prediction, answers, version):
    return vqa_values([prediction], [VqaQuestion("q", answers)], version)[0]


def test_normalisation_step_by_step():
    for case in truth.load("vqa/normalisation_cases.json"):
        assert process_punctuation(clean(case["raw"])) == case["after_punctuation"], case
        assert normalise(case["raw"]) == case["normalised"], case


@pytest.mark.parametrize(
    ("raw", "normalised"),
    [
        ("T-shirt / 1,5", "tshirt 15"),  # a comma between digits makes every mark vanish
        ("well-lit, bright-red", "well lit bright red"),  # a comma touches a blank, no hyphen does
        ("a - b-c", "bc"),  # one hyphen touches a blank, so all of them vanish
        ("3.5.", "3.5"),
        (".5 o'clock", ".5 o'clock"),
        ("a.b.c", "abc"),
        ("'ow'sat", "'ow's'at"),
        ("Yall'd've", "y'all'd've"),
        ("she'dve", "she'd've"),
        ("Ive its lets thatll", "ive its lets thatll"),
        ("ten o’clock", "10 o’clock"),  # noqa: RUF001
        ("none", "0"),
        ("An A", ""),
        ("one-two", "1 2"),
        ("*:%&$#'", "*:%&$#'"),
        ("", ""),
    ],
)
def test_normalisation_by_hand(raw, normalised):
    assert normalise(raw) == normalised


def test_only_32_full_stops_go():
    assert process_punctuation("." * 40 + "x") == "." * 8 + "x"


def test_line_breaks_are_blanks():
    assert clean("\tyes\nno ") == "yes no"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_leave_one_out_table_and_the_quirks(version):
    known = truth.load("vqa/accuracy_table_and_quirks.json")
    for row in known["leave_one_out_table"]:
        k = row["annotators_matching_out_of_10"]
        answers = records(*["yes"] * k, *[f"other {place}" for place in range(10 - k)])
        assert 100 * one("yes", answers, version) == pytest.approx(row["accuracy_percent"], abs=1e-9)
    for case in known["quirks"]:
        assert 100 * one(case["prediction"], case["answers"], version) == pytest.approx(case[version], abs=1e-9), case


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", ["vqa", "vqa/okvqa"])
def test_files_score_as_officially(folder, version):
    prefix = "" if folder.endswith("okvqa") else "v2_"
    rows = truth.load(f"{folder}/{prefix}mscoco_val2014_annotations.json")["annotations"]
    questions = [
        VqaQuestion(str(row["question_id"]), row["answers"], row["question_type"], row["answer_type"]) for row in rows
    ]
    answers = {str(row["question_id"]): row["answer"] for row in truth.load(f"{folder}/results.json")}
    predictions = [answers[question.id] for question in questions]
    expected = truth.load(f"{folder}/expected_{version}.json")

    values = vqa_values(predictions, questions, version)
    for question, value in zip(questions, values, strict=True):
        assert round(100 * value, 2) == expected["per_question"][question.id], question.id
    scores = vqa(predictions, questions, version)
    printed = {name: round(100 * score.value, 2) for name, score in scores.items()}
    known = {"accuracy": expected["overall"]}
    known |= {f"answer_type/{name}": value for name, value in expected["perAnswerType"].items()}
    known |= {f"question_type/{name}": value for name, value in expected["perQuestionType"].items()}
    assert printed == known
    assert scores["accuracy"].n == len(questions)


def test_the_versions_differ_where_they_are_known_to():
    rows = truth.load("vqa/v2_mscoco_val2014_annotations.json")["annotations"]
    questions = [VqaQuestion(str(row["question_id"]), row["answers"]) for row in rows]
    answers = {str(row["question_id"]): row["answer"] for row in truth.load("vqa/results.json")}
    predictions = [answers[question.id] for question in questions]
    old, new = (vqa_values(predictions, questions, version) for version in VERSIONS)
    differ = {question.id for question, a, b in zip(questions, old, new, strict=True) if round(a, 4) != round(b, 4)}
    assert differ == set(truth.load("vqa/questions_where_versions_differ.json"))


@pytest.mark.parametrize(
    ("prediction", "answers", "legacy", "official"),
    [
        ("YES", ["yes"] * 10, 1, 0),
        ("yes\n", ["yes\t"] * 10, 0, 1),  # references are cleaned in 2021 only
        ("The dog.", ["dog"] * 9 + ["cat"], 1, 1),
        ("2", ["two"] * 5 + ["2"] * 2 + ["three"] * 3, 0.6, 1),
        ("a.m.", ["a.m."] * 4 + ["am"] * 6, 1, 1),
        ("Red", ["Red"] * 9 + ["blue"], 0, 1),  # references keep their case in 2016
        ("three", [f"word {n}" for n in range(10)], 0, 0),
        ("", [""] * 10, 1, 1),
    ],
)
def test_by_hand(prediction, answers, legacy, official):
    assert one(prediction, records(*answers), "legacy_2016") == pytest.approx(legacy)
    assert one(prediction, records(*answers), "official_2021") == pytest.approx(official)


def test_records_that_become_the_same_fall_out_together():
    answers = [{"answer": "a cat"}] * 3 + [{"answer": "cat"}] * 7  # without answer_id
    assert one("cat", answers, "official_2021") == 0
    assert one("cat", answers, "legacy_2016") == pytest.approx(0.3)


def test_references_are_left_as_they_were():
    answers = records("A cat", *["cat"] * 9)
    one("cat", answers, "official_2021")
    assert answers[0]["answer"] == "A cat"


def test_types_and_errors_of_estimates():
    questions = [VqaQuestion("1", records(*["x"] * 10), "what", "other"), VqaQuestion("2", records(*["x"] * 10))]
    scores = vqa(["x", "y"], questions, "official_2021")
    assert set(scores) == {"accuracy", "question_type/what", "answer_type/other"}
    assert scores["accuracy"].value == 0.5 and scores["question_type/what"].value == 1
    assert scores["accuracy"].standard_error == pytest.approx((0.25 / 2) ** 0.5)


@pytest.mark.parametrize(("counts", "noted"), [((10,), False), ((4, 10), False), ((3,), True), ((10, 1), True)])
def test_too_few_answers_for_a_full_score_are_noted(counts, noted):
    questions = [VqaQuestion(str(n), records(*["x"] * n)) for n in counts]
    score = vqa(["x"] * len(counts), questions, "legacy_2016")["accuracy"]
    assert bool(score.caveat) == noted == (score.value < 1)


def test_mistakes_name_the_question():
    with pytest.raises(LionError, match="'17' has no reference"):
        vqa(["x"], [VqaQuestion("17", [])], "official_2021")
    with pytest.raises(LionError, match="nothing to score"):
        vqa([], [], "legacy_2016")
    with pytest.raises(ValueError):
        vqa(["x"], [], "legacy_2016")


TEXTS = st.text(string.ascii_letters + string.digits + ".,-/'!? ", max_size=20)


@given(TEXTS, st.lists(TEXTS, min_size=10, max_size=10), st.sampled_from(VERSIONS), st.randoms(use_true_random=False))
def test_the_order_of_annotators_cannot_matter(prediction, answers, version, random):
    given_order = records(*answers)
    shuffled = random.sample(given_order, 10)
    value = one(prediction, given_order, version)
    assert value == pytest.approx(one(prediction, shuffled, version))
    assert any(value == pytest.approx(worth) for worth in (0, 0.3, 0.6, 0.9, 1))
