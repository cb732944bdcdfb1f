"""Pretraining of the Vision Encoder: which phrases are labels of a picture, and which have none."""

import torch

from lion.model.vision_encoder import sincos_positions
from lion.train.mini.pretrain_vision import PretrainVision, known_phrases, phrases_of, unknown_phrases
from lion.train.recipe import load
from lion.world import scene
from lion.world.vocabulary import HELD_OUT, held_out_pair


def test_no_held_out_pair_is_among_the_phrases():
    phrases = set(known_phrases())
    assert not any(held_out_pair(phrase[-1], phrase[-2]) for phrase in phrases if len(phrase) > 1)
    for index in range(50):
        assert phrases_of(scene("train", index)) <= phrases


def test_a_combination_that_training_never_shows_has_no_label():
    shown = next(one for one in (scene("train", i) for i in range(99)) if any(t.colour == "red" for t in one.objects))
    there = {thing.category for thing in shown.objects}
    names = unknown_phrases(shown)
    assert names and not names & {(category,) for category in there}
    assert {category for category, colour in HELD_OUT.items() if colour == "red"} - there <= {c for (c,) in names}
    objective = PretrainVision(load("mini-vit", ["batch_size=8", "data.0.scenes=8"]))
    tensors = objective.batch(0).tensors
    assert 0 < (tensors["mask"] == 0).float().mean() < 0.05
    assert not (tensors["labels"] * (1 - tensors["mask"])).any()


def test_positions_start_as_codes_that_are_louder_than_what_patches_show():
    model = PretrainVision(load("mini-vit", ["data.0.scenes=8"])).build()
    positions = model.vision_encoder.vit.embeddings.position_embedding[0]
    torch.testing.assert_close(positions[1:], 6 * sincos_positions(8, 128))
    assert not positions[0].any()
