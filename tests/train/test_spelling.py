"""Words that a tokenizer spells in letters are found, and users are told before the first step."""

import json

import pytest
from PIL import Image
from transformers import T5TokenizerFast

from lion.errors import LionWarning
from lion.train.dry_run import dry_run
from lion.train.presets import world_processor
from lion.train.recipe import parse
from lion.train.run import train
from lion.train.spelling import spelt_words


def test_the_world_s_words_have_pieces_and_others_are_spelt():
    tokenizer = world_processor("tiny").tokenizer
    texts = [
        "a large red kite, 3 apples",
        "A small purple gnome",
        "two gnomes: gnome Größe 狮子",
        "[0.10,0.20,0.30,0.40]",
    ]
    assert spelt_words(texts, tokenizer) == ["gnome", "gnomes", "Größe", "狮子"]
    assert spelt_words([], tokenizer) == []


def test_pieces_of_a_vocabulary_learnt_from_text_are_no_letters():
    pieces = [
        ("<pad>", 0),
        ("</s>", 0),
        ("<unk>", 0),
        ("▁", -3),
        *((c, -9) for c in "xylophone"),
        ("lo", -4),
        ("phone", -4),
    ]
    tokenizer = T5TokenizerFast(vocab=pieces)
    assert spelt_words(["xylophone"], tokenizer) == [] and spelt_words(["xyl", "ö"], tokenizer) == ["xyl", "ö"]


@pytest.fixture
def own(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    words = [f"{first}{second}q" for first in "bcdfgh" for second in "xz"]
    rows = [{"image": "a.png", "caption": f"a red {word}"} for word in words]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {
        "name": "own",
        "stage": "stage1",
        "model": "tiny",
        "steps": 1,
        "batch_size": 2,
        "out": str(tmp_path / "run"),
    }
    return parse({**fields, "optimizer": {"lr": 0.1}, "data": [{"source": "jsonl", "path": str(tmp_path / "a.jsonl")}]})


def test_one_word_is_told_as_one(own, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": "a.png", "caption": "a red bxq"}))
    (note,) = dry_run(own)[0].notes
    assert "no piece for 1 word of your answers and spells it (bxq); " in note and "learn to write it" in note


def test_expressions_of_several_boxes_are_counted_and_told(own, tmp_path):
    lines = [("a red", 0.1), ("A  red", 0.2), ("a blue", 0.1), ("a blue", 0.1), ("red", 0.3)]
    rows = [{"image": "a.png", "expression": words, "box": [x, 0.1, 0.9, 0.9]} for words, x in lines]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    notes = dry_run(own.model_copy(update={"stage": "stage3"}))[0].notes
    assert [note for note in notes if "(such expressions: 1, the first: a red)" in note]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({**row, "task": "reg"}) + "\n" for row in rows))
    assert not [note for note in dry_run(own.model_copy(update={"stage": "stage3"}))[0].notes if "several" in note]


def test_only_words_that_are_to_be_written_count(own, tmp_path):
    """Not those of questions and of phrases to be located, which the model reads."""
    box = {"box": [0.1, 0.1, 0.9, 0.9]}
    rows = [
        {"image": "a.png", "question": "is the bxq red?", "answer": "yes"},
        {"image": "a.png", "expression": "the dxq", "task": "rec", **box},
        {"image": "a.png", "caption": "a gzq"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (note,) = dry_run(own.model_copy(update={"stage": "stage3"}))[0].notes
    assert "spells it (gzq); " in note
    rows.append({"image": "a.png", "expression": "the fzq", "task": "reg", **box})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (note,) = dry_run(own.model_copy(update={"stage": "stage3"}))[0].notes
    assert "spells them (gzq, fzq); " in note
    (note,) = dry_run(own)[0].notes  # stage 1 trains neither
    assert "spells it (gzq); " in note


def test_users_are_told_before_the_first_step(own):
    with pytest.warns(
        LionWarning, match=r"no piece for 12 words of your answers and spells them \(bxq, bzq, .*, gzq, \.\.\.\)"
    ):
        train(own)
    estimate, _ = dry_run(own)
    assert len(estimate.notes) == 1 and "bxq" in estimate.notes[0] and "finetuning.md" in estimate.notes[0]
