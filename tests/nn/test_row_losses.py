"""Losses in chunks are those of all rows at a time, to the bit, and never hold all logits in float32."""

import pytest
import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from lion.nn import row_losses as module
from lion.nn.row_losses import cross_entropies, row_losses
from lion.train.language_modelling import AnswerLoss

ROWS, WORDS = 23, 50
LOGITS = 5 * torch.randn(ROWS, WORDS, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(WORDS, (ROWS,), generator=torch.Generator().manual_seed(1))
LABELS[::5] = -100


@pytest.fixture(params=[1, WORDS, 4 * WORDS, 22 * WORDS])
def in_chunks(request, monkeypatch):
    """Chunks of 1, 1, 4 and 22 rows."""
    monkeypatch.setattr(module, "NUMBERS", request.param)


def with_gradient(function, logits=LOGITS):
    leaf = logits.clone().requires_grad_()
    losses = function(leaf)
    real = LABELS != -100
    ((losses * real).sum() / real.sum()).backward()
    return losses.detach(), leaf.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "of_rows", [cross_entropies, AnswerLoss().of_tokens, AnswerLoss(torch.arange(9), 2.0).of_tokens]
)
def test_chunks_change_no_bit(in_chunks, of_rows, dtype):
    logits = LOGITS.to(dtype)
    whole = with_gradient(lambda leaf: of_rows(leaf, LABELS), logits)
    chunked = with_gradient(lambda leaf: row_losses(leaf, LABELS, of_rows), logits)
    assert all(torch.equal(*pair) for pair in zip(whole, chunked, strict=True))
    assert chunked[0].dtype == torch.float32 and chunked[1].dtype == dtype


def test_equal_to_torchs_cross_entropy(in_chunks):
    wanted = with_gradient(lambda leaf: functional.cross_entropy(leaf, LABELS, reduction="none"))
    assert all(torch.equal(*pair) for pair in zip(wanted, with_gradient(lambda x: row_losses(x, LABELS)), strict=True))


def test_gradients_by_differences(in_chunks):
    double = LOGITS[:7].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: row_losses(logits, LABELS[:7]), double)


def test_bfloat16_is_closer_to_float32_than_in_its_own_arithmetic(in_chunks):
    logits = LOGITS.bfloat16()
    losses, gradient = with_gradient(lambda leaf: row_losses(leaf, LABELS), logits)
    exact, exact_gradient = with_gradient(lambda leaf: row_losses(leaf, LABELS), logits.float())
    naive, naive_gradient = with_gradient(lambda leaf: functional.cross_entropy(leaf, LABELS, reduction="none"), logits)
    assert torch.equal(losses, exact) and (naive.float() - exact).abs().max() > 1e-3
    assert (gradient - exact_gradient).norm() < (naive_gradient - exact_gradient).norm()


def test_a_sure_answer_has_a_loss_that_bfloat16_cannot_hold(in_chunks):
    """Of .0016, not the 0.0 of bfloat16's own log-probabilities."""
    logits = torch.zeros(1, WORDS, dtype=torch.bfloat16)
    logits[0, 3] = 10.3125
    assert row_losses(logits, torch.tensor([3])).item() == pytest.approx(49 * 2.718281828**-10.3125, rel=1e-3)
    assert functional.cross_entropy(logits, torch.tensor([3])).item() == 0


def test_without_gradients_nothing_is_kept(in_chunks):
    with torch.no_grad():
        assert torch.equal(row_losses(LOGITS, LABELS), cross_entropies(LOGITS, LABELS))


def most_bytes(function) -> int:
    """The most that torch's allocator hands out at a time during a call."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def test_memory_is_the_gradients_and_a_chunks(monkeypatch):
    rows, words = 300, 10_000
    monkeypatch.setattr(module, "NUMBERS", 10 * words)
    logits = torch.zeros(rows, words, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.zeros(rows, dtype=torch.long)
    chunked = most_bytes(lambda: row_losses(logits, labels).sum().backward())
    whole = most_bytes(lambda: cross_entropies(logits, labels).sum().backward())
    gradient, chunk = 2 * rows * words, 4 * 10 * words
    assert chunked < 1.1 * gradient + 5 * chunk and whole > 2 * 4 * rows * words
