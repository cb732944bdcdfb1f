"""Caption scores against what the official evaluation gave (read from ../shared where it is), and their errors."""

import json
from functools import cache
from pathlib import Path

import pytest

from lion.errors import LionError
from lion.metrics import captions, captions_by_image
from lion.metrics.cider import cider_d
from lion.metrics.ptb_tokenizer import tokenize

TRUTH = Path(__file__).parents[3] / "shared" / "formats" / "metric_truth" / "caption"
SETS = ["fakecap_126", "synthetic_300"]
official = pytest.mark.skipif(not TRUTH.is_dir(), reason=f"the official scores are not here: {TRUTH}")


def read(name):
    return json.loads((TRUTH / name).read_text(encoding="utf-8"))


@cache
def captions_of(name):
    """Predictions and references of a set, by image id."""
    references: dict[str, list[str]] = {}
    for annotation in read(f"{name}/captions_val2014.json")["annotations"]:
        references.setdefault(str(annotation["image_id"]), []).append(annotation["caption"])
    return {str(row["image_id"]): row["caption"] for row in read(f"{name}/results.json")}, references


@official
@pytest.mark.parametrize("name", SETS)
def test_tokens_are_the_official_ones(name):
    predictions, references = captions_of(name)
    expected = read(f"{name}/tokenized.json")
    texts = [text for image in expected["references"] for text in references[image]]
    assert tokenize(texts) == [text for texts in expected["references"].values() for text in texts]
    assert tokenize(predictions[image] for image in expected["candidates"]) == [
        text for (text,) in expected["candidates"].values()
    ]


@official
def test_tokens_of_single_cases():
    for case in read("ptb_tokenizer_cases.json"):
        assert tokenize([case["raw"]]) == [case["tokenized"]]


@official
@pytest.mark.parametrize("name", SETS)
def test_scores_are_the_official_ones(name):
    predictions, references = captions_of(name)
    expected = read(f"{name}/expected.json")
    scores = {key: estimate.value for key, estimate in captions(predictions, references).items()}
    renamed = {key.lower().replace("bleu_", "bleu"): value for key, value in expected["overall"].items()}
    del renamed["meteor"]  # needs Java
    assert scores == pytest.approx(renamed, abs=1e-9)
    for image, one in captions_by_image(predictions, references).items():
        official_one = expected["per_image"][image]
        assert one == pytest.approx({"cider": official_one["CIDEr"], "rouge_l": official_one["ROUGE_L"]}, abs=1e-7)


@official
def test_cider_of_tokens():
    for case in read("cider_token_cases.json"):
        references = list(case["references"].values())
        scores = cider_d([case["candidates"][image][0] for image in case["references"]], references)
        assert scores == pytest.approx(case["per_image"], abs=1e-9), case["name"]


def test_names_and_standard_errors():
    references = {"1": ["A cat sits on a mat.", "a cat"], "2": ["Two dogs run."], "3": ["The blue bus, parked."]}
    scores = captions({"3": "a blue bus", "1": "A cat sits.", "2": "two dogs run"}, references)
    assert list(scores) == ["cider", "bleu1", "bleu2", "bleu3", "bleu4", "rouge_l"]
    assert all(
        estimate.n == 3 and 0 < estimate.standard_error < estimate.value for estimate in list(scores.values())[:2]
    )
    by_image = captions_by_image({"3": "a blue bus", "1": "A cat sits.", "2": "two dogs run"}, references)
    assert list(by_image) == ["1", "2", "3"]
    assert by_image["2"]["rouge_l"] == pytest.approx(1)
    for key in ("cider", "rouge_l"):
        assert scores[key].value == pytest.approx(sum(one[key] for one in by_image.values()) / 3)


@pytest.mark.parametrize(
    ("predictions", "references", "noted"),
    [
        ({"1": "A cat sits."}, {"1": ["A cat sits.", "a cat"]}, True),
        ({"1": "A cat sits."}, {"1": ["Dogs run."]}, True),
        ({"1": "a cat", "2": "a cat"}, {"1": ["a cat"], "2": ["a cat"]}, True),  # all references are the same
        ({"1": "nothing", "2": "of it"}, {"1": ["a cat"], "2": ["a dog"]}, False),  # wrong, and truly 0
        ({"1": "a cat", "2": "a dog"}, {"1": ["a cat"], "2": ["a dog"]}, False),
    ],
)
def test_a_cider_without_document_frequencies_is_noted(predictions, references, noted):
    cider = captions(predictions, references)["cider"]
    assert ("idf is 0" in cider.caveat) == noted and (cider.value == 0 or not noted)


def test_an_empty_caption_scores_nothing_and_is_no_error():
    scores = captions({"1": "", "2": "."}, {"1": ["a cat"], "2": ["a dog"]})
    assert [estimate.value for estimate in scores.values()] == pytest.approx([0] * 6)


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ({}, {}, "nothing to score"),
        ({"7": "a cat"}, {"7": ["a cat"], "8": ["a dog"]}, "image '8' has no predicted caption"),
        ({"7": "a cat"}, {"7": []}, "image '7' has no reference"),
        ({"7": "a cat", "9": "a dog"}, {"7": ["a cat"]}, "image '9' has a predicted caption but no reference"),
    ],
)
@pytest.mark.parametrize("score", [captions, captions_by_image])
def test_errors_name_the_image(score, predictions, references, message):
    with pytest.raises(LionError, match=message):
        score(predictions, references)
