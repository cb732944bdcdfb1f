"""The alignment loss: which token answers for which thing, and that training with it moves visual tokens to symbols."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lion.data import pictures
from lion.model import LionForConditionalGeneration
from lion.train.language_modelling import LanguageModelling
from lion.train.mini.alignment import THING_TENSORS, Alignment, open_to, touched, visual_tokens
from lion.train.mini.object_tokens import embed_symbols
from lion.train.params import freeze_all_but
from lion.train.recipe import parse

WORLD = {"source": "world", "scenes": 8, "pixels": 64, "tasks": {"rec": 1}}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path))
    monkeypatch.setattr(pictures, "BLOCK", 8)


def objective(alignment, **fields):
    recipe = {"name": "a", "out": "a", "stage": "stage2", "model": "tiny", "data": [WORLD], "steps": 1, "batch_size": 4}
    options = {"alignment": alignment, "soft_coordinates": 1.0}
    return LanguageModelling(parse({**recipe, "optimizer": {"lr": 0.01}, "options": options, **fields}))


def test_a_thing_touches_cells_whose_middle_it_nearly_holds_and_its_own_middle():
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.3, 0.3, 0.32, 0.32], [0.9, 0.1, 1.0, 0.9], [0.2, 0.0, 0.57, 0.1]]])
    found = [cells.nonzero().flatten().tolist() for cells in touched(boxes, 16)[0]]
    assert found == [[0, 1, 4, 5], [5], [3, 7, 11, 15], [1, 2]]
    with pytest.raises(ValueError, match="12 visual tokens are no square grid"):
        touched(boxes, 12)


def test_things_that_share_a_cell_do_not_both_speak_through_it():
    """The one with fewer cells chooses first; what it leaves is for the others, and who finds nothing is silent."""
    shared = torch.tensor([[[1, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]]).bool()
    distance = torch.tensor([[[3.0, 1.0, 2.0, 0.0], [9.0] * 4, [8.0] * 4, [7.0] * 4]])
    assert open_to(shared, distance)[0].int().tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0] * 4, [0] * 4]


@given(st.integers(0, 10_000))
def test_every_thing_with_a_say_has_a_cell_to_itself(seed):
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(3, 6, 2, generator=rng) * 0.8
    boxes = torch.cat([corners, corners + 0.05 + 0.2 * torch.rand(3, 6, 2, generator=rng)], dim=-1)
    cells = touched(boxes, 64)
    cells[0, 4:] = False
    open_cells = open_to(cells, torch.rand(3, 6, 64, generator=rng))
    assert not (open_cells & ~cells).any()
    alone = (open_cells & (open_cells.sum(1, keepdim=True) == 1)).any(-1)
    assert torch.equal(alone, open_cells.any(-1))
    left = cells & ~open_cells.any(1, keepdim=True)
    assert not (left.any(-1) & ~open_cells.any(-1)).any()  # nobody is silent beside a free cell of its own


def test_one_token_that_says_the_thing_is_enough():
    made = objective(1.0)
    alignment = Alignment(made.processor)
    samples, _ = made.mixture.batch(0, 0, 4)
    targets = alignment.targets([sample.meta["scene"] for sample in samples])
    model = made.build()
    shared = model.language_model.shared
    ids, boxes, scenery = (targets[name] for name in THING_TENSORS)
    grid = torch.full((4, 1 + 64 * 64, shared.embedding_dim), 50.0)
    assert alignment.loss({"mlp": grid}, targets, shared) > 100
    cells = touched(boxes, 64 * 64)
    for row in range(4):
        taken: set[int] = set()
        for place in range(ids.shape[1]):
            if ids[row, place].any():
                own = next(cell for cell in cells[row, place].nonzero().flatten().tolist() if cell not in taken)
                taken.add(own)
                grid[row, 1 + own] = embed_symbols(ids[row : row + 1, place : place + 1], shared)[0, 0].detach()
        assert alignment.loss({"mlp": grid}, targets, shared) > 1  # bare cells do not say the scenery yet
        nothing = ~cells[row][ids[row, :, 0] > 0].any(0)
        grid[row, 1:][nothing] = embed_symbols(scenery, shared)[row].detach()
    assert alignment.loss({"mlp": grid}, targets, shared) < 1e-6


def test_pictures_that_were_not_drawn_have_nothing_to_align():
    made = objective(1.0)
    targets = made.alignment.targets([None])
    assert targets["thing_ids"].shape == (1, 0, 7)
    tokens = {"mlp": torch.randn(1, 5, 8, requires_grad=True)}
    assert made.alignment.loss(tokens, targets, torch.nn.Embedding(500, 8)) == 0


def test_its_weight_counts_and_it_teaches_the_connector_alone():
    plain, aligned = objective(0.0), objective(2.0)
    batch = aligned.batch(0)
    torch.manual_seed(0)
    model = aligned.build()
    freeze_all_but(model, aligned.trainable(model))
    loss = aligned.loss(model, batch)
    bare = plain.loss(model, plain.batch(0))
    assert loss.total.item() == pytest.approx(bare.total.item() + 2 * loss.per_task["alignment"].item(), rel=1e-5)
    with visual_tokens(model) as tokens:
        model.look(torch.zeros(1, 3, 56, 56))
    assert set(tokens) == {"mlp"} and not model.mlp._forward_hooks
    (loss.total - bare.total).backward()
    assert model.mlp.output.weight.grad.abs().sum() > 0
    assert all(p.grad is None for name, p in LionForConditionalGeneration.named_parameters(model) if "shared" in name)
