"""The Mixture-of-Adapters: each row's own level picks the gains, and at the start nothing is added."""

import torch

from lion.model import TaskLevel, level_of
from lion.model.mixture_of_adapters import Adapter, MixtureOfAdapters, Router
from lion.prompts import Task


def mixture():
    torch.manual_seed(0)
    made = MixtureOfAdapters(6, 3)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def test_each_row_has_the_gains_of_its_own_level():
    made, hidden = mixture(), torch.randn(3, 4, 6)
    levels = torch.tensor([TaskLevel.IMAGE, TaskLevel.REGION, TaskLevel.IMAGE])
    mixed = made(hidden, levels)
    for row, level in enumerate(levels.tolist()):
        gates = made.router.gates[level]  # (K, D); adapter 0 is the region adapter, as released
        golden = made.region_adapter(hidden[row]) * gates[0] + made.image_adapter(hidden[row]) * gates[1]
        torch.testing.assert_close(mixed[row], golden)


def test_an_adapter_is_a_scaled_bottleneck():
    adapter = Adapter(4, 2)
    torch.nn.init.constant_(adapter.scale, 3.0)
    hidden = torch.randn(5, 4)
    golden = torch.relu(hidden @ adapter.down.weight.T + adapter.down.bias) @ adapter.up.weight.T + adapter.up.bias
    torch.testing.assert_close(adapter(hidden), 3 * golden)


def test_the_router_starts_by_picking_the_own_adapter():
    gains = Router(5)(torch.tensor([TaskLevel.REGION, TaskLevel.IMAGE]))
    assert gains[:, :, 0].tolist() == [[1, 0], [0, 1]] and gains.shape == (2, 2, 5)


def test_it_computes_in_its_own_precision():
    assert mixture()(torch.randn(1, 2, 6).bfloat16(), torch.tensor([0])).dtype == torch.float32


def test_boxes_in_or_out_mean_region():
    assert {task for task in Task if level_of(task) == TaskLevel.REGION} == {Task.REC, Task.REG}
    assert (int(TaskLevel.REGION), int(TaskLevel.IMAGE)) == (0, 1)  # rows of the released router
