"""The answer loss: a mean per sample first, tasks apart, and labels of coordinates that know their neighbours."""

import pytest
import torch
from torch.nn import functional

from lion.errors import LionError
from lion.train.language_modelling import AnswerLoss, coordinate_ids
from lion.train.objective import Batch
from lion.train.presets import world_processor

LOGITS = torch.randn(3, 4, 20, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([[1, 2, 3, 4], [5, -100, -100, -100], [6, 7, -100, -100]])
BATCH = Batch({"labels": LABELS}, ["a", "b", "c"], ["caption", "vqa", "vqa"])


def test_each_sample_counts_the_same_however_long_its_answer():
    rows = [functional.cross_entropy(LOGITS[row], LABELS[row]) for row in range(3)]
    loss = AnswerLoss()(LOGITS, BATCH)
    assert loss.total.item() == pytest.approx(torch.stack(rows).mean().item(), abs=1e-6)
    assert loss.per_task["caption"].item() == pytest.approx(rows[0].item(), abs=1e-6)
    assert loss.per_task["vqa"].item() == pytest.approx((rows[1] + rows[2]).item() / 2, abs=1e-6)
    assert not any(value.requires_grad for value in loss.per_task.values())


def test_soft_labels_touch_coordinates_alone_and_punish_by_distance():
    soft = AnswerLoss(torch.arange(5, 10), width=1.0)
    hard = AnswerLoss()
    labels = torch.tensor([[7]])

    def loss(at: int) -> float:
        logits = torch.zeros(1, 1, 20)
        logits[0, 0, at] = 4.0
        return soft.per_sample(logits, labels).item()

    assert loss(7) < loss(8) < loss(9) < loss(0)
    assert loss(6) == pytest.approx(loss(8))
    words = torch.tensor([[1]])
    assert torch.equal(soft.per_sample(LOGITS[:1, :1], words), hard.per_sample(LOGITS[:1, :1], words))


def test_narrow_soft_labels_are_hard_labels():
    narrow = AnswerLoss(torch.arange(20), width=1e-3)
    assert torch.allclose(narrow.per_sample(LOGITS, LABELS), AnswerLoss().per_sample(LOGITS, LABELS))


def test_a_tokenizer_without_coordinate_pieces_is_refused():
    tokenizer = world_processor("tiny").tokenizer
    ids = coordinate_ids(tokenizer, 2)
    assert len(ids) == 101 and tokenizer.convert_ids_to_tokens(ids[37].item()) == "0.37"
    with pytest.raises(LionError, match=r"no piece for 0\.000, which soft_coordinates, .* set those options to 0"):
        coordinate_ids(tokenizer, 3)
