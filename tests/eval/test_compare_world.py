"""The table of two models on the drawn world's questions, by `tools/compare_world.py`."""

from dataclasses import replace

import numpy as np
import pytest

from lion.metrics.statistics import mean
from tools.compare_world import row


def test_a_difference_is_paired_where_both_have_samples():
    old = mean([0.0, 1.0] * 50)
    new = mean([1.0, 1.0, *[0.0, 1.0] * 49])  # one question more
    assert row("vqa/accuracy", new, old) == (
        "| vqa/accuracy | 100 | 0.500 ± 0.050 | 0.510 ± 0.050 | +0.010 [-0.010, +0.030] |"
    )


def test_a_score_without_samples_has_the_interval_of_two_independent_ones():
    new, old = (mean(values) for values in (np.ones(100).tolist(), [0.0, 1.0] * 50))
    assert row("pope/f1", new, replace(old, by_sample=None)).endswith("+0.500 [+0.402, +0.598] |")


def test_other_questions_are_refused(tmp_path, monkeypatch):
    from tools import compare_world

    class Run:
        def __init__(self, folder):
            self.folder = folder

        def run(self):
            return {"settings": {"split": self.folder}}

    monkeypatch.setattr(compare_world, "Predictions", Run)
    with pytest.raises(SystemExit, match="have answered other questions"):
        next(compare_world.of_questions("val", "test"))
