"""The MIL loss: the best token decides, and phrases without a label cost nothing."""

import torch

from lion.train.mini.mil_loss import mil_logits, mil_loss


def test_the_logit_is_high_where_one_token_fits():
    words = torch.eye(3)
    tokens = torch.stack([words[[0, 0, 1]], words[[2, 2, 2]]])
    logits = mil_logits(tokens, words, 10.0, -6.0)
    shown = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert ((logits > 0) == shown.bool()).all()
    assert mil_loss(logits, shown) < mil_loss(-logits, shown)


def test_a_masked_label_costs_nothing():
    logits, shown = torch.tensor([[9.0, -9.0]]), torch.tensor([[0.0, 0.0]])
    assert mil_loss(logits, shown) > 8
    assert mil_loss(logits, shown, torch.tensor([[0.0, 1.0]])) < 0.01
