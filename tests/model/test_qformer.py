"""The Q-Former: its tokens depend on picture and instruction, and not on padding."""

import pytest
import torch

from lion.model import LionConfig
from lion.model.qformer import QFormer


@pytest.fixture(scope="module")
def qformer():
    torch.manual_seed(0)
    config = LionConfig.tiny(qformer_vocab_size=50).qformer_config
    made = QFormer(config, queries=5, vision_width=32, language_width=24, norm_eps=1e-5).eval()
    torch.nn.init.normal_(made.queries)
    return made


@torch.no_grad()
def test_tokens_follow_picture_and_instruction(qformer):
    picture, ids, mask = torch.randn(1, 9, 32), torch.tensor([[3, 4, 5]]), torch.ones(1, 3, dtype=torch.long)
    tokens = qformer(picture, ids, mask)
    assert tokens.shape == (1, 5, 24)
    assert (qformer(picture, ids + 1, mask) - tokens).abs().max() > 1e-4
    assert (qformer(picture.flip(-1), ids, mask) - tokens).abs().max() > 1e-4


@torch.no_grad()
def test_padding_changes_nothing(qformer):
    picture, ids = torch.randn(1, 9, 32), torch.tensor([[3, 4, 5, 0, 0]])
    mask = (ids > 0).long()
    torch.testing.assert_close(qformer(picture, ids, mask), qformer(picture, ids[:, :3], mask[:, :3]))
