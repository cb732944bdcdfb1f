"""The two task levels of LION and the tasks that belong to each.

The mixture of adapters is gated by the level of the task (paper, section 3.3). The integer values are the rows
of the released router, so this file is the one place that knows them.
"""

from enum import IntEnum

from lion.prompts import Task


class TaskLevel(IntEnum):
    """Level of visual knowledge a task asks for; the value is the row of the router.

    Source: released code, where row 0 serves ``region_level`` and row 1 everything else, and where ``adapters.0`` is
    the region adapter and ``adapters.1`` the image adapter (the paper's figure numbers them the other way round).
    """

    REGION = 0
    IMAGE = 1


_LEVELS = {
    Task.CAPTION: TaskLevel.IMAGE,
    Task.VQA: TaskLevel.IMAGE,
    Task.DIALOG: TaskLevel.IMAGE,
    Task.REC: TaskLevel.REGION,
    Task.REG: TaskLevel.REGION,
}


def level_of(task: Task) -> TaskLevel:
    """The task level at which ``task`` was trained: boxes in or out mean region, all else image."""
    return _LEVELS[Task(task)]
