"""Flips and crops: boxes land on the same pixels, and words that fix the geometry keep the picture as it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lion.boxes import Box
from lion.data.record_source import Augment


def picture_of(box: Box, side: int = 64) -> Image.Image:
    """Black, with a white box."""
    pixels = np.zeros((side, side, 3), np.uint8)
    x1, y1, x2, y2 = (round(value * side) for value in box.xyxy())
    pixels[y1:y2, x1:x2] = 255
    return Image.fromarray(pixels)


def white_box(image: Image.Image) -> Box:
    rows, columns = np.nonzero(np.asarray(image)[..., 0] > 127)
    return Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, "pixel").to_unit(*image.size)


edges = st.tuples(st.integers(0, 63), st.integers(0, 63)).filter(lambda pair: pair[0] != pair[1]).map(sorted)


@given(edges, edges, st.floats(0, 1), st.floats(0, 0.9), st.integers(0, 1000))
def test_the_box_stays_on_its_pixels(xs, ys, flip, crop, seed):
    box = Box(xs[0] / 64, ys[0] / 64, xs[1] / 64, ys[1] / 64)
    image, moved = Augment(flip, crop)(picture_of(box), box, "the dog", np.random.default_rng(seed))
    assert moved.iou(white_box(image)) == pytest.approx(1, abs=1e-6)
    assert moved == moved.clamp()


BOX = Box(0.125, 0.25, 0.5, 0.75)


def augmented(augment: Augment, words: str, box: Box | None = BOX) -> tuple[Image.Image, Box | None]:
    return augment(picture_of(BOX), box, words, np.random.default_rng(0))


@pytest.mark.parametrize("words", ["the dog on the left", "leftmost dog", "Right of the cat", "the right-hand dog"])
def test_words_of_a_side_forbid_flips(words):
    assert augmented(Augment(flip=1), words)[1] == BOX
    assert augmented(Augment(flip=1), "the bright dog that has leftovers")[1] == BOX.flip_horizontal()


@pytest.mark.parametrize("words", ["the second dog", "the dog in the corner", "the top one", "the dog on the left"])
def test_words_of_a_place_forbid_crops(words):
    assert augmented(Augment(crop=0.9), words) == (picture_of(BOX), BOX)
    assert augmented(Augment(crop=0.9), "the dog")[0].size != (64, 64)


def test_a_picture_without_a_box_is_flipped_and_never_cropped():
    image, box = augmented(Augment(flip=1, crop=0.9), "a dog", box=None)
    assert box is None and image.size == (64, 64)
    assert white_box(image) == BOX.flip_horizontal()
