"""From scores to tags: the tags of each policy, and thresholds of best F1 checked against trying all of them."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lion.errors import LionError
from lion.tagging.ram_tagger import TagPolicy, best_f1_thresholds

# A coarse grid makes ties, with thresholds and among scores, the normal case.
grid = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
fine = st.floats(0, 1, width=32)


@st.composite
def scored(draw: st.DrawFn, values: st.SearchStrategy[float] = grid | fine) -> tuple[Tensor, Tensor]:
    """Scores (B, N) and thresholds (N,)."""
    pictures, tags = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    rows = st.lists(values, min_size=tags, max_size=tags)
    return torch.tensor([draw(rows) for _ in range(pictures)]), torch.tensor(draw(rows))


@given(scored())
def test_per_class_is_strictly_above_its_own_threshold(case: tuple[Tensor, Tensor]) -> None:
    scores, thresholds = case
    fires = TagPolicy().fires(scores, thresholds)
    for row in range(scores.shape[0]):
        for tag in range(scores.shape[1]):
            assert bool(fires[row, tag]) == (scores[row, tag].item() > thresholds[tag].item())
    assert not fires[:, thresholds == 1].any()


@given(scored(), fine)
def test_global_is_per_class_with_one_threshold(case: tuple[Tensor, Tensor], threshold: float) -> None:
    scores, thresholds = case
    fires = TagPolicy("global", threshold=threshold).fires(scores, thresholds)
    assert torch.equal(fires, TagPolicy().fires(scores, torch.full_like(thresholds, threshold)))


@given(scored(), st.integers(1, 8))
def test_top_k_keeps_the_best(case: tuple[Tensor, Tensor], k: int) -> None:
    scores, thresholds = case
    fires = TagPolicy("top_k", k=k).fires(scores, thresholds)
    for row, kept in zip(scores.tolist(), fires.tolist(), strict=True):
        ranked = sorted(range(len(row)), key=lambda tag: (-row[tag], tag))  # of equal scores the earlier class
        assert [tag for tag, fired in enumerate(kept) if fired] == sorted(ranked[:k])


def test_the_released_threshold_argument_is_really_read() -> None:
    scores = torch.tensor([[0.84, 0.86, 0.5]])
    assert TagPolicy("global", threshold=0.85).fires(scores, torch.zeros(3)).tolist() == [[False, True, False]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "best"}, "'best' is not one of per_class, global, top_k"),
        ({"kind": "global"}, "'global' needs threshold"),
        ({"kind": "top_k"}, "'top_k' needs k"),
        ({"kind": "per_class", "threshold": 0.5}, "does not read threshold=0.5; leave it out"),
        ({"kind": "global", "threshold": 0.5, "k": 3}, "does not read k=3; leave it out"),
        ({"kind": "global", "threshold": 1.5}, "1.5 is not between 0 and 1"),
        ({"kind": "global", "threshold": float("nan")}, "nan is not between 0 and 1"),
        ({"kind": "top_k", "k": 0}, "give at least 1"),
        ({"kind": "top_k", "count": 3}, "no field count"),
    ],
)
def test_contradictory_settings_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(LionError, match=message):
        TagPolicy.from_dict(fields)


@pytest.mark.parametrize("policy", [TagPolicy(), TagPolicy("global", threshold=0.85), TagPolicy("top_k", k=5)])
def test_json_round_trip(policy: TagPolicy) -> None:
    assert TagPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def f1(scores: np.ndarray, targets: np.ndarray, threshold: float) -> float:
    fires = scores > np.float32(threshold)
    return 2 * (fires & targets).sum() / max(fires.sum() + targets.sum(), 1)


@given(scored(), st.data())
def test_no_other_threshold_has_a_better_f1(case: tuple[Tensor, Tensor], data: st.DataObject) -> None:
    scores, _ = case
    targets = torch.tensor(data.draw(st.lists(st.booleans(), min_size=scores.numel(), max_size=scores.numel())))
    targets = targets.view_as(scores)
    thresholds = best_f1_thresholds(scores, targets)
    assert thresholds.dtype == torch.float32 and ((thresholds >= 0) & (thresholds <= 1)).all()
    for column, right, threshold in zip(scores.numpy().T, targets.numpy().T, thresholds.tolist(), strict=True):
        if right.any():
            best = max(f1(column, right, candidate) for candidate in [0.0, *column])
            assert f1(column, right, threshold) == pytest.approx(best)
        else:
            assert threshold == 1


def test_thresholds_lie_halfway_and_prefer_fewer_tags() -> None:
    scores = torch.tensor([[0.9, 0.8], [0.7, 0.6], [0.2, 0.1]])
    targets = torch.tensor([[1, 0], [1, 0], [0, 0]])
    assert best_f1_thresholds(scores, targets).tolist() == pytest.approx([0.45, 1.0])


def test_calibration_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        best_f1_thresholds(torch.zeros(2, 3), torch.zeros(2, 4))
