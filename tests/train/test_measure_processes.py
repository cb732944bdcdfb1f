"""Models that different numbers of processes trained answer and score alike; the tool that measures it, small. Slow.

What differs between them is the last digits of the weights: some 1e-5 after a few steps (test_parallel.py), which moves
a token's probability in its fifth digit. An answer changes where its two best hypotheses were closer than that; each
such answer moves a score over n questions by at most 1 / n. So the tolerance is one question in a hundred answered
otherwise, and scores within a quarter of their standard error: far below what could be told apart by asking.
"""

import pytest

from tools.measure_processes import measure


@pytest.mark.slow
def test_scores_do_not_depend_on_processes_or_wrapper(tmp_path):
    before, alone, *others = measure(tmp_path, steps=10, pictures=8, processes=[2])
    assert [model.name for model in others] == ["2 processes, DDP", "2 processes, FSDP2"]
    assert before.otherwise(alone) > len(alone.answers) / 4, "the training has changed what is answered"
    for model in others:
        assert model.loss < 1e-5 and model.otherwise(alone) <= len(alone.answers) / 100
        for name, score in model.scores.items():
            wanted = alone.scores[name]
            assert score.value == pytest.approx(wanted.value, abs=wanted.standard_error / 4), name
