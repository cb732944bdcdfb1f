"""The stage table against the paper."""

from lion.prompts import Task
from lion.train.run import OBJECTIVES
from lion.train.stages import STAGES


def test_the_stage_table_is_the_papers():
    region, image = {Task.REC, Task.REG}, {Task.CAPTION, Task.VQA, Task.DIALOG}
    assert (STAGES["stage1"].visual_inputs, STAGES["stage1"].tasks) == ("qformer", image)
    assert (STAGES["stage2"].visual_inputs, STAGES["stage2"].tasks) == ("aggregator", region)
    assert (STAGES["stage3"].visual_inputs, STAGES["stage3"].tasks) == ("both", image | region)
    one, two, three = (set(STAGES[f"stage{number}"].trainable) for number in (1, 2, 3))
    assert three == one | two | {"router"}


def test_every_stage_has_its_objective():
    assert list(OBJECTIVES) == list(STAGES)
