"""Decoding that can write nothing but a box: whatever the weights, the tokenizer and the number of beams."""

import random
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from lion.boxes import Box, format_box, parse_boxes
from lion.errors import LionError
from lion.pipeline import LionPipeline
from lion.pipeline.box_only import BoxGrammar, BoxOnly, is_prefix
from lion.prompts import Task
from lion.train.tokenizers import COORDINATES, t5_tokenizer
from tests.parity.released import FOLDER
from tests.pipeline import tiny


def whole_coordinates(*more):
    """A tokenizer that has coordinates and brackets as pieces, and no digits to spell a number with."""
    pieces = ["<pad>", "</s>", "<unk>", "[", "]", ",", "▁", "red", *COORDINATES, *more]
    words = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=2))
    words.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS = {
    "bytes": lambda: tiny.processor().tokenizer,
    "mini": lambda: t5_tokenizer(["a", "red", "car", "12"]),
    "t5": lambda: AutoTokenizer.from_pretrained(FOLDER / "tokenizer_t5"),
    "whole": whole_coordinates,
    # "[0" and ",0" begin coordinates that no piece goes on with: ways that must not be taken
    "dead ends": lambda: whole_coordinates("0", "[0", ",0", "0.5"),
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]()


@pytest.fixture(scope="module")
def only(tokenizer):
    """By decimals, made once: what may follow a text is remembered."""
    return cache(lambda decimals: BoxOnly(BoxGrammar(tokenizer, decimals)))


@pytest.mark.parametrize(("decimals", "beams"), [(2, 1), (2, 2), (2, 5), (3, 2)])
def test_random_weights_write_boxes(request, tokenizer, only, beams, decimals):
    if decimals == 3 and request.node.callspec.params["tokenizer"] == "whole":
        with pytest.raises(LionError, match="cannot write"):  # it has coordinates of two decimals, and no digits
            only(3)
        return
    texts = set()
    for seed in range(2):
        torch.manual_seed(seed)
        shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
        t5 = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer) + 28, tie_word_embeddings=False, **shape))
        t5.lm_head.weight.data.normal_()
        how = {"num_beams": beams, "max_new_tokens": 64, "do_sample": False, "logits_processor": [only(decimals)]}
        ids = t5.eval().generate(torch.randint(3, 50, (4, 5)), **how)
        texts |= {text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)}
    for text in texts:
        parsed = parse_boxes(text)
        assert parsed.ok and len(parsed.boxes) == 1 and parsed.reason is None, text
        assert format_box(parsed.boxes[0], decimals) == text
    assert len(texts) > 2  # different weights write different boxes


def test_locate_always_finds_a_readable_box(parts, picture):
    pipeline = LionPipeline(*parts, decoding="boxes")
    answers = pipeline.locate(picture, ["the car", "a tree on the left", "nothing"])
    assert all(answer.ok and len(answer.boxes) == 1 for answer in answers)
    assert LionPipeline(*parts).locate(picture, "the car").ok is False  # random weights without it do not


def test_other_tasks_are_not_touched():
    lion, boxes = LionPipeline.__init__.__kwdefaults__["decoding"], "boxes"
    from lion.pipeline import DECODING

    assert [task for task in Task if DECODING[lion][task] != DECODING[boxes][task]] == [Task.REC]


def test_allowed_scores_are_not_changed(tokenizer, only):
    only = only(2)
    scores = torch.randn(2, len(tokenizer))
    kept = only(torch.zeros(2, 1, dtype=torch.long), scores.clone())
    admitted = kept.isfinite()
    assert torch.equal(kept[admitted], scores[admitted])
    first = [number for number, text in only.grammar.pieces.items() if is_prefix(text.removeprefix(" "), 2)]
    assert 0 < admitted[0].sum() <= len(first) and set(admitted[0].nonzero().flatten().tolist()) <= set(first)


boxes = st.builds(
    lambda xs, ys: Box(xs[0], ys[0], xs[1], ys[1]),
    *[st.lists(st.integers(0, 1000).map(lambda number: number / 1000), min_size=2, max_size=2, unique=True).map(sorted)]
    * 2,
)


@given(boxes)
def test_every_beginning_of_a_box_is_one(box):
    text = format_box(box, 3)
    assert all(is_prefix(text[:length], 3) for length in range(len(text) + 1))
    assert not is_prefix(text + "]", 3) and not is_prefix(text + " ", 3) and not is_prefix(text, 2)


@given(st.integers(1, 3), st.integers(0, 2**32))
def test_every_way_letter_by_letter_ends_in_a_box(decimals, seed):
    """No beginning is a dead end: a random walk over admitted letters always comes to a box that can be read."""
    choose, text = random.Random(seed), ""
    while not text.endswith("]"):
        letters = [letter for letter in "[],.0123456789" if is_prefix(text + letter, decimals)]
        assert letters, text
        text += choose.choice(letters)
    parsed = parse_boxes(text)
    assert parsed.ok and format_box(parsed.boxes[0], decimals) == text


@pytest.mark.parametrize(
    "text",
    ["0", " [", "[.", "[00", "[2", "[1.5", "[1", "[0.1]", "[0.5,0.5,0.4", "[0.5,0.5,0.5,", "[0.1,0.1,0.2,0.2,", "[0.²"],
)
def test_what_begins_no_box(text):
    assert not is_prefix(text, 1)


def test_a_tokenizer_without_brackets_is_refused():
    pieces = [("<pad>", 0.0), ("</s>", 0.0), (",", -1.0), *((piece, -1.0) for piece in COORDINATES)]
    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.Unigram(pieces)), pad_token="<pad>", eos_token="</s>"
    )
    with pytest.raises(LionError, match="cannot write"):
        BoxGrammar(words, 2)


def test_presets_are_the_ones_written_down():
    """The released defaults as golden data recorded them, and none of ours penalises what boxes repeat."""
    from lion.pipeline import DECODING

    released = {"num_beams": 5, "max_new_tokens": 256, "repetition_penalty": 1.5, "length_penalty": 1.0}
    assert all(preset.as_kwargs() == released for preset in DECODING["official"].values())
    assert all(DECODING[name][Task.REC].repetition_penalty == 1 for name in ("lion", "boxes"))
    assert all(set(table) == set(Task) for table in DECODING.values())
    with pytest.raises(LionError, match="no decoding 'greed'; there are lion, official, short, boxes, greedy"):
        LionPipeline.from_pretrained(decoding="greed")
