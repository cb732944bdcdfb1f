"""REG, VQA and caption scores on cases worked by hand."""

import pytest

from lion.metrics.exact_match import exact_match, normalise
from lion.metrics.mentions import caption_objects, mentions, reg

FORMS = {"bus": "bus", "buses": "bus", "cat": "cat", "cats": "cat", "light": "light", "traffic light": "traffic light"}
COLOURS = {"red": "red", "blue": "blue"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Two buses, a cat and a CAT.", ["bus", "cat", "cat"]),
        ("a traffic light and a light", ["traffic light", "light"]),
        ("concatenate the omnibus", []),
        ("cat's cat-like", ["cat", "cat"]),
        ("", []),
    ],
)
def test_mentions(text, names):
    assert mentions(text, FORMS) == names


def test_no_vocabulary_no_mentions():
    assert mentions("a cat", {}) == []


def test_reg_takes_the_first_category_and_colour():
    rows = [
        ("the small red cat", "cat", "red"),
        ("the red cat left of a blue bus", "cat", "red"),
        ("the blue bus right of a red cat", "cat", "red"),
        ("the blue cat", "cat", "red"),
        ("a bus that is red", "bus", "red"),
        ("something", "bus", "red"),
    ]
    scores = reg(*zip(*rows, strict=True), category_forms=FORMS, colour_forms=COLOURS)
    assert scores["category"].value == pytest.approx(4 / 6)
    assert scores["colour"].value == pytest.approx(3 / 6)
    assert scores["both"].value == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("Yes.", "yes"),
        ("  the  Red   cat! ", "red cat"),
        ("a", "a"),
        ("an apple", "apple"),
        ("another", "another"),
        ("two", "two"),
        ("", ""),
    ],
)
def test_normalise(answer, normal):
    assert normalise(answer) == normal


def test_exact_match_by_kind():
    right = [["red"], ["three", "3"], ["no", "yes"], ["yes"]]
    scores = exact_match(["Red.", "two", "yes", "no"], right, ["colour", "count", "is", "is"])
    assert {name: score.value for name, score in scores.items()} == {
        "accuracy": 0.5,
        "accuracy/colour": 1,
        "accuracy/count": 0,
        "accuracy/is": 0.5,
    }
    assert scores["accuracy/is"].n == 2
    with pytest.raises(ValueError):
        exact_match(["a"], ["a"], [])


def test_caption_objects():
    scores = caption_objects(
        ["two cats and a cat beside a bus", "nothing much", "a light"], [["cat"], ["bus"], ["light", "cat"]], FORMS
    )
    assert scores["precision"].value == pytest.approx(2 / 3)  # cat, light right; bus invented
    assert scores["recall"].value == pytest.approx(2 / 4)  # cat, light of cat, bus, light, cat
    assert caption_objects(["nothing"], [["cat"]], FORMS)["precision"].value == 0


def test_a_caption_repeats_what_it_mentions_more_often_than_it_is_there():
    rows = [
        ("a cat, a bus and a cat", ["cat", "bus"], False),
        ("a cat, a bus and a cat", ["cat", "bus", "cat"], True),
        ("a cat", ["cat", "cat"], True),  # too few is missed, not repeated
        ("a bus and a bus", ["cat"], True),  # absent: precision's affair
        ("", ["cat"], True),
    ]
    captions, present, expected = zip(*rows, strict=True)
    score = caption_objects(captions, present, FORMS)["no_repeats"]
    assert score.value == pytest.approx(sum(expected) / len(rows)) and score.n == len(rows)
    for caption, there, right in rows:
        assert caption_objects([caption], [there], FORMS)["no_repeats"].value == right
