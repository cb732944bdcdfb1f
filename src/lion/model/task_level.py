"""The two task levels of LION, by which the Mixture-of-Adapters is gated (paper, section 3.3)."""

from enum import IntEnum

from lion.prompts import Task


class TaskLevel(IntEnum):
    """Level of visual knowledge that a task needs; the value is the row of the router.

    Source: released code, where row 0 serves ``region_level`` and row 1 everything else, and where ``adapters.0`` is
    the region adapter and ``adapters.1`` the image adapter (the paper's figure numbers them the other way round).
    """

    REGION = 0
    IMAGE = 1


def level_of(task: Task) -> TaskLevel:
    """The level at which ``task`` is trained: boxes in or out mean region, all else image."""
    return TaskLevel.REGION if Task(task) in (Task.REC, Task.REG) else TaskLevel.IMAGE
