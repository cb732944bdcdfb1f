"""Muon against torch's own, what it orthogonalises, and that matrices of one shape do not disturb each other."""

import pytest
import torch

from lion.train.muon import Muon, orthogonal


def steps(optimiser, parameters, count=4):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimiser.step()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_same_steps_as_torch_takes(dtype):
    """Within the rounding of bfloat16, in which torch computes; kernels for stacks may round otherwise than its own."""
    torch.manual_seed(0)
    theirs = [torch.nn.Parameter(torch.randn(shape)) for shape in ((40, 20), (16, 24), (8, 8))]
    ours = [torch.nn.Parameter(parameter.detach().clone()) for parameter in theirs]
    start = theirs[0].detach().clone()
    steps(torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"), theirs)
    steps(Muon([{"params": ours, "weight_decay": 0.1}], 1e-2, dtype), ours)
    assert (theirs[0] - start).abs().mean() > 2e-3
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_singular_values_come_near_one_for_every_matrix_of_a_stack():
    torch.manual_seed(0)
    scale = torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    for rows, columns in ((12, 30), (30, 12)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(3, rows, columns) * scale))
        assert values.shape == (3, 12) and values.min() > 0.6 and values.max() < 1.3
    assert not orthogonal(torch.zeros(1, 3, 4)).any()


def test_matrices_of_one_shape_move_as_they_would_alone():
    torch.manual_seed(0)
    together = [torch.nn.Parameter(torch.randn(6, 9)) for _ in range(3)]
    gradients = [torch.randn(6, 9) for _ in together]
    alone = [torch.nn.Parameter(parameter.detach().clone()) for parameter in together]
    for parameter, other, gradient in zip(together, alone, gradients, strict=True):
        parameter.grad, other.grad = gradient, gradient.clone()
    together[1].grad = alone[1].grad = None
    Muon([{"params": together}], 0.1).step()
    for other in alone:
        Muon([{"params": [other]}], 0.1).step()
    for parameter, other in zip(together, alone, strict=True):
        torch.testing.assert_close(parameter, other)
