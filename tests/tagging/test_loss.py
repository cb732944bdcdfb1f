"""The asymmetric loss against its formula written out, its limits, and its gradient."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lion.tagging.loss import asymmetric_loss


def by_hand(logit: float, present: bool, positive: float, negative: float, margin: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    if present:
        return -((1 - p) ** positive) * math.log(p)
    q = max(p - margin, 0)
    return -(q**negative) * math.log(1 - q)


@given(st.floats(-8, 8), st.booleans(), st.floats(0, 4), st.floats(0.5, 8), st.sampled_from([0.0, 0.05, 0.3]))
def test_formula(logit: float, present: bool, positive: float, negative: float, margin: float) -> None:
    ours = asymmetric_loss(
        torch.tensor([[logit]], dtype=torch.float64),
        torch.tensor([[present]]),
        gamma_positive=positive,
        gamma_negative=negative,
        margin=margin,
    )
    assert ours.item() == pytest.approx(by_hand(logit, present, positive, negative, margin), rel=1e-9, abs=1e-12)


def test_without_focusing_it_is_cross_entropy() -> None:
    logits, targets = torch.randn(4, 7), torch.rand(4, 7) > 0.5
    ours = asymmetric_loss(logits, targets, gamma_negative=0, margin=0)
    expected = functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction="sum") / 4
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


def test_absent_tags_below_the_margin_cost_nothing() -> None:
    assert asymmetric_loss(torch.full((2, 3), -4.0), torch.zeros(2, 3)) == 0


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_extreme_logits_stay_finite(margin: float) -> None:
    logits = torch.tensor([[200.0, -200.0, 200.0, -200.0]], requires_grad=True)
    loss = asymmetric_loss(logits, torch.tensor([[1, 1, 0, 0]]), margin=margin)
    loss.backward()
    assert loss.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_the_focusing_weights_carry_no_gradient() -> None:
    """As released: d/dlogit is weight * d(-log p), not the derivative of the product."""
    logit = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    asymmetric_loss(logit, torch.tensor([[1]]), gamma_positive=2).backward()
    p = logit.detach().sigmoid()
    assert logit.grad is not None
    assert logit.grad.item() == pytest.approx((-((1 - p) ** 2) * (1 - p)).item())
