"""The alignment loss: which cells' tokens count for which object, and what it trains."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lion.data import pictures
from lion.model import LionImageFeatures
from lion.train.mini.alignment import AlignmentLoss, assign_cells, covered_cells
from lion.train.mini.object_tokens import embed_object_tokens
from lion.train.params import freeze_all_but
from lion.train.presets import world_processor
from lion.train.recipe import parse
from lion.train.run import make_objective

WORLD = {"source": "world", "scenes": 8, "pixels": 64, "tasks": {"rec": 1}}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(pictures, "BLOCK", 8)


def objective(alignment):
    recipe = {"name": "a", "out": "a", "stage": "stage2", "model": "tiny", "data": [WORLD], "steps": 1, "batch_size": 4}
    options = {"alignment": alignment, "soft_coordinates": 1.0}
    return make_objective(parse({**recipe, "optimizer": {"lr": 0.01}, "options": options}))


def test_a_box_covers_cells_whose_centre_it_nearly_holds_and_its_own_centre():
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.3, 0.3, 0.32, 0.32], [0.9, 0.1, 1.0, 0.9], [0.2, 0.0, 0.57, 0.1]]])
    found = [cells.nonzero().flatten().tolist() for cells in covered_cells(boxes, 16)[0]]
    assert found == [[0, 1, 4, 5], [5], [3, 7, 11, 15], [1, 2]]
    with pytest.raises(ValueError, match="12 visual tokens are no square grid"):
        covered_cells(boxes, 12)


def test_objects_that_share_a_cell_do_not_both_use_it():
    """The one that covers fewer cells chooses first; the others share what is left, and one may be left without."""
    shared = torch.tensor([[[1, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]]).bool()
    distance = torch.tensor([[[3.0, 1.0, 2.0, 0.0], [9.0] * 4, [8.0] * 4, [7.0] * 4]])
    assert assign_cells(shared, distance)[0].int().tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0] * 4, [0] * 4]


@given(st.integers(0, 10_000))
def test_every_object_with_a_cell_has_one_to_itself(seed):
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(3, 6, 2, generator=rng) * 0.8
    boxes = torch.cat([corners, corners + 0.05 + 0.2 * torch.rand(3, 6, 2, generator=rng)], dim=-1)
    covered = covered_cells(boxes, 64)
    covered[0, 4:] = False
    usable = assign_cells(covered, torch.rand(3, 6, 64, generator=rng))
    assert not (usable & ~covered).any()
    exclusive = (usable & (usable.sum(1, keepdim=True) == 1)).any(-1)
    assert torch.equal(exclusive, usable.any(-1))
    free = covered & ~usable.any(1, keepdim=True)
    assert not (free.any(-1) & ~usable.any(-1)).any()  # no object goes without beside a free cell of its own


def test_one_token_like_the_object_is_enough():
    made = objective(1.0)
    alignment = AlignmentLoss(made.processor)
    samples, _ = made.mixture.batch(0, 0, 4)
    targets = alignment.tensors(samples)
    model = made.build()
    shared = model.language_model.shared
    ids, boxes, background = (targets[name] for name in alignment.targets)
    tokens = torch.full((4, 1 + 64 * 64, shared.embedding_dim), 50.0)
    features = LionImageFeatures(aggregator_hidden_states=tokens)
    assert alignment(features, targets, model) > 100
    covered = covered_cells(boxes, 64 * 64)
    for row in range(4):
        taken: set[int] = set()
        for place in range(ids.shape[1]):
            if ids[row, place].any():
                own = next(cell for cell in covered[row, place].nonzero().flatten().tolist() if cell not in taken)
                taken.add(own)
                tokens[row, 1 + own] = embed_object_tokens(ids[row : row + 1, place : place + 1], shared)[0, 0].detach()
        assert alignment(features, targets, model) > 1  # free cells are not like the background yet
        free = ~covered[row][ids[row, :, 0] > 0].any(0)
        tokens[row, 1:][free] = embed_object_tokens(background, shared)[row].detach()
    assert alignment(features, targets, model) < 1e-6


def test_pictures_that_were_not_drawn_have_no_targets():
    alignment = AlignmentLoss(world_processor("tiny"))
    targets = alignment.of_scenes([None])
    assert targets["object_ids"].shape == (1, 0, 7)
    features = LionImageFeatures(aggregator_hidden_states=torch.randn(1, 5, 8, requires_grad=True))
    model = SimpleNamespace(language_model=SimpleNamespace(shared=torch.nn.Embedding(500, 8)))
    assert alignment(features, targets, model) == 0


def test_each_kind_of_visual_tokens_has_its_terms():
    alignment, embedding = AlignmentLoss(world_processor("tiny")), torch.nn.Embedding(500, 8)
    targets = alignment.of_scenes([None])
    features = LionImageFeatures(
        qformer_hidden_states=torch.randn(1, 4, 8), aggregator_hidden_states=torch.randn(1, 10, 8)
    )
    assert set(alignment.terms(features, targets, embedding)) == {"mlp", "qformer"}


def test_its_weight_counts_and_it_trains_the_connector_alone():
    plain, aligned = objective(0.0), objective(2.0)
    batch = aligned.batch(0)
    torch.manual_seed(0)
    model = aligned.build()
    freeze_all_but(model, aligned.trainable(model))
    loss = aligned.loss(model, batch)
    without = plain.loss(model, plain.batch(0))
    assert loss.total.item() == pytest.approx(without.total.item() + 2 * loss.per_task["alignment"].item(), rel=1e-5)
    (loss.total - without.total).backward()
    assert model.mlp.output.weight.grad.abs().sum() > 0
    assert all(p.grad is None for name, p in model.named_parameters() if "shared" in name)
