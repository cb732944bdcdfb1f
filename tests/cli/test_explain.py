"""lion explain: the answer of the verb, its numbers as JSON, its plot as a file, and mistakes in a line."""

import json

import pytest
from PIL import Image


def test_numbers_come_with_the_answer(run, pictures, checkpoint):
    ran = run("explain", pictures[0], "what is it?", "--model", checkpoint, "--json")
    (row,) = ran.rows
    (asked,) = run("ask", pictures[0], "what is it?", "--model", checkpoint, "--json").rows
    explanation = row.pop("explanation")
    assert ran.code == 0 and row == asked and explanation["level"] == "image"
    assert sum(map(sum, explanation["qformer"]["patches"])) + explanation["qformer"]["cls"] == pytest.approx(
        1, abs=1e-4
    )


def test_the_plot_is_saved_and_the_answer_printed(run, says, pictures, checkpoint, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    says("[0.10,0.20,0.50,0.80]")
    ran = run("explain", pictures[0], "the car", "--locate", "--model", checkpoint, "--save", tmp_path / "why.png")
    assert ran.code == 0 and ran.out.startswith("[0.10,0.20,0.50,0.80]\n  box:")
    assert Image.open(tmp_path / "why.png").width > 1000 and f"saved as {tmp_path / 'why.png'}" in ran.err
    again = run("explain", pictures[0], "the car", "--locate", "--model", checkpoint, "--save", tmp_path / "why.png")
    assert again.code == 2 and "exists; delete it" in again.err


def test_without_a_question_the_picture_is_described(run, pictures, checkpoint):
    (row,) = run("explain", pictures[0], "--model", checkpoint, "--json", "--no-tags").rows
    assert row["task"] == "caption" and row["tags"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--save why.png"),
        (("--locate", "--json"), "needs a phrase"),
        (("what is it?", "--save", "why.jpg"), "must end in .png, .svg, .pdf"),
    ],
)
def test_mistakes(run, pictures, checkpoint, words, says):
    if "--save" in words:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    ran = run("explain", pictures[0], *words, "--model", checkpoint)
    assert ran.code == 2 and says in ran.err and ran.err.count("\n") == 1 and not ran.out


def test_without_matplotlib_the_line_says_how_to_get_it(run, pictures, checkpoint, monkeypatch):
    monkeypatch.setattr("lion.figures.find_spec", lambda name: None)
    ran = run("explain", pictures[0], "what is it?", "--model", checkpoint, "--save", "why.png")
    assert ran.code == 2 and "pip install 'lion-vlm[plot]'" in ran.err


def test_a_missing_picture_is_a_line(run, checkpoint):
    ran = run("explain", "nothing.png", "what is it?", "--model", checkpoint, "--json")
    assert ran.code == 2 and json.dumps("nothing.png")[1:-1] in ran.err
