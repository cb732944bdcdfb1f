"""The levels of tasks."""

from lion.model import TaskLevel, level_of
from lion.prompts import Task


def test_boxes_in_or_out_mean_region():
    assert {task for task in Task if level_of(task) == TaskLevel.REGION} == {Task.REC, Task.REG}
    assert (int(TaskLevel.REGION), int(TaskLevel.IMAGE)) == (0, 1)  # rows of the released router
