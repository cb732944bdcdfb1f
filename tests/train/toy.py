"""A toy objective, so that the loop is tested without LION: BatchNorm, dropout, and a frozen part."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from lion.data.sample import BadSample
from lion.train.objective import Batch, Loss, Objective
from lion.train.recipe import parse


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.frozen = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.frozen(self.body(x))).squeeze(-1)


class Toy(Objective):
    """Fits a sum; `poison` makes the loss of that step (or of several) NaN, `bad` reports a bad sample at that step."""

    terms = ("sum",)

    def __init__(self, recipe, poison: int | set[int] | None = None, bad: int | None = None) -> None:
        self.recipe, self.bad = recipe, bad
        self.poison = poison if isinstance(poison, set) else {poison}
        self.prepared = False

    def prepare(self, watch=None) -> None:
        self.prepared = True

    def build(self) -> nn.Module:
        return ToyModel()

    def trainable(self, model):
        return {
            name: [(f"{name}.{n}", p) for n, p in getattr(model, name).named_parameters()] for name in ("body", "head")
        }

    def batch(self, step: int, shard: int = 0) -> Batch:
        rng = random.Random(f"{self.recipe.seed}/{step}/{shard}")
        x = torch.tensor([[rng.gauss(0, 1) for _ in range(4)] for _ in range(self.recipe.batch_size)])
        y = x.sum(1)
        if step in self.poison:
            y = y * float("nan")
        bad = [BadSample("broken.png", "truncated")] if step == self.bad else []
        ids = [f"toy-{step}-{shard}-{row}" for row in range(len(x))]
        return Batch({"x": x, "y": y}, ids, ["sum"] * len(x), bad)

    def loss(self, model, batch: Batch) -> Loss:
        value = ((model(batch.tensors["x"]) - batch.tensors["y"]) ** 2).mean()
        return Loss(value, {"sum": value.detach()})

    def validate(self, model, skip) -> dict[str, float]:
        torch.rand(3)
        batch = self.batch(10**6)
        return {"error": float((model(batch.tensors["x"]) - batch.tensors["y"]).abs().mean())}

    def export(self, model, out: Path) -> None:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, out / "model.safetensors")


def recipe(out: Path, **fields):
    """A recipe the toy can be run with; its stage only supplies the table's row."""
    settings = {
        "name": "toy",
        "stage": "stage1",
        "data": [{"source": "world", "scenes": 1, "tasks": {"vqa": 1}}],
        "steps": 12,
        "batch_size": 8,
        "optimizer": {"lr": 0.01, "warmup": 3},
        "checkpoint": {"every": 3},
        "out": str(out),
    }
    return parse({**settings, **fields})
