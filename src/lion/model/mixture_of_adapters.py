"""The Mixture-of-Adapters: what each feed-forward of the frozen language model gains, gated by task level.

B batch, T tokens, D language-model width, H bottleneck, L = 2 task levels, K = 2 adapters.
"""

from enum import IntEnum

import torch
from torch import Tensor, nn

from lion.errors import LionError
from lion.prompts import Task


class TaskLevel(IntEnum):
    """Level of visual knowledge that a task needs; the value is the row of the router.

    Source: released code, where row 0 serves ``region_level`` and row 1 everything else, and where ``adapters.0`` is
    the region adapter and ``adapters.1`` the image adapter (the paper's figure numbers them the other way round).
    """

    REGION = 0
    IMAGE = 1


def level_of(task: Task | str) -> TaskLevel:
    """The level at which ``task`` is trained: boxes in or out mean region, all else image.

    Raises: LionError if there is no such task.
    """
    if task not in list(Task):
        raise LionError(f"{task!r} is no task; write {', '.join(Task)}")
    return TaskLevel.REGION if Task(task) in (Task.REC, Task.REG) else TaskLevel.IMAGE


class Adapter(nn.Module):
    """``W_u ReLU(W_d h) * s``: a bottleneck with a learnt scalar; W_u starts at zero, so it adds nothing at first."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        return self.up(torch.relu(self.down(hidden_BTD))) * self.scale


class Router(nn.Module):
    """One learnt gain per task level, adapter and channel, G (L, K, D); starts by picking each level's own adapter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = nn.Parameter(self.initial_gates(width))

    @staticmethod
    def initial_gates(width: int) -> Tensor:
        """The level's own adapter at 1, the other at 0, on every channel: (L, K, D)."""
        return torch.eye(len(TaskLevel))[:, :, None].repeat(1, 1, width)

    def forward(self, task_levels_B: Tensor) -> Tensor:
        """Task levels (B,) to gains (B, K, D)."""
        return self.gates[task_levels_B]


class MixtureOfAdapters(nn.Module):
    """``sum_k G_k^t * adapter_k(h)`` for each row's own task level t, with no softmax and no hidden state.

    Computed in its own precision: beside a half-precision language model it stays float32 (as released), and so does
    the residual stream that its output joins. Levels are an argument, never module state: a batch may mix them, and
    gradient checkpointing recomputes with the levels of its own batch.

    Source: paper section 3.3; released ``AdapterRouter`` (``adapters.0`` is the region adapter, ``adapters.1`` the
    image adapter), which reads the level of the first row only.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.region_adapter = Adapter(width, bottleneck)
        self.image_adapter = Adapter(width, bottleneck)
        self.router = Router(width)

    def forward(self, hidden_BTD: Tensor, task_levels_B: Tensor) -> Tensor:
        """Un-normalised feed-forward input (B, T, D) and levels (B,) to what is added beside it, (B, T, D)."""
        gates_BKD = self.router(task_levels_B)
        hidden_BTD = hidden_BTD.to(gates_BKD.dtype)
        region = self.region_adapter(hidden_BTD) * gates_BKD[:, TaskLevel.REGION, None]
        image = self.image_adapter(hidden_BTD) * gates_BKD[:, TaskLevel.IMAGE, None]
        return region + image
