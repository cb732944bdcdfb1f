"""Object tokens: what their ids and vectors distinguish."""

import torch

from lion.boxes import Box
from lion.train.mini.object_tokens import ObjectTokenizer, embed_object_tokens
from lion.train.presets import world_processor


def test_corners_are_told_apart_and_padding_is_zero():
    tokenizer = ObjectTokenizer(world_processor("mini").tokenizer, 2)
    embedding = torch.nn.Embedding(1000, 16)
    boxes = [Box(0.1, 0.2, 0.3, 0.4), Box(0.2, 0.1, 0.3, 0.4), Box(0.1, 0.2, 0.3, 0.4)]
    one, other, same = embed_object_tokens(tokenizer([[(("red", "cat"), box) for box in boxes]]), embedding)[0]
    assert torch.equal(one, same) and (one - other).abs().max() > 0.1
    assert not embed_object_tokens(tokenizer([[((), None)]]), embedding).any()
