"""What a training run minimises: the one seam between the loop and everything it does not need to know.

The loop (loop.py) knows steps, devices and checkpoints; an objective knows data, model and loss. The three stages of
LION share one objective (language_modelling.py); each pretraining stage has its own file. The stage table names the
class of a stage. An objective holds no state that training changes: batch(step, shard) is a pure function of the
recipe's seed and its two arguments, so a killed run resumes from the step number alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from lion.data.sample import BadSample
from lion.train.log import Watch

NamedParameters = Sequence[tuple[str, nn.Parameter]]


@dataclass(frozen=True)
class Batch:
    """One micro-batch: tensors with the batch as first dimension, and the ids that an error message names."""

    tensors: Mapping[str, Tensor]
    ids: Sequence[str]
    tasks: Sequence[str] = ()
    bad: Sequence[BadSample] = ()

    def to(self, device: torch.device | str) -> Self:
        """The same batch with its tensors on `device`."""
        return replace(self, tensors={name: t.to(device, non_blocking=True) for name, t in self.tensors.items()})

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory, for copies to a GPU in the background; called by the DataLoader."""
        return replace(self, tensors={name: t.pin_memory() for name, t in self.tensors.items()})


@dataclass(frozen=True)
class Loss:
    """`total`: the scalar to minimise. `per_task`: detached scalars for the curves, by task or by term of the loss."""

    total: Tensor
    per_task: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(ABC):
    """One kind of training; constructed as `Objective(recipe)`, without heavy work."""

    terms: Sequence[str] = ()
    """Every name that `Loss.per_task` can hold, in the order of the log."""
    unused_parameters: bool = False
    """Whether a batch may leave trained parameters without gradient; finding them costs a walk over every graph."""
    decoding: str | None = None
    """How validation generates answers, in words that stand beside its scores; None where it generates none."""

    def prepare(self, watch: Watch | None = None) -> None:  # noqa: B027  # some have nothing to prepare
        """Do what is slow and done once, such as filling a cache on disk; called before the first batch."""

    def skipped(self) -> Sequence[BadSample]:
        """Records that were left out when datasets were read; logged once, at the start of a run."""
        return ()

    @abstractmethod
    def build(self) -> nn.Module:
        """The model with its initial weights, on CPU, in fp32. The loop seeds torch before the call."""

    @abstractmethod
    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        """The parameters that train: {component: [(name in model.named_parameters(), parameter), ...]}.

        The loop freezes all others. `lr_scale` in a recipe refers to components by these names.
        """

    @abstractmethod
    def batch(self, step: int, shard: int = 0) -> Batch:
        """Micro-batch `shard` (of gradient_accumulation x processes) of step `step`, both from 0, on CPU.

        Called in worker processes where the recipe sets some, so the objective must be picklable and must not touch
        the model here. Raises: LionError if there is no usable sample.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The loss of one micro-batch that is already on the model's device. `model` may be wrapped (DDP): call it."""

    @abstractmethod
    def validate(self, model: nn.Module, skip: Callable[[BadSample], None]) -> dict[str, float]:
        """Scores on held-out samples; `model` is unwrapped, in eval mode, under no_grad.

        `skip` is called with each held-out sample that cannot be used, once a run.
        """

    @abstractmethod
    def export(self, model: nn.Module, out: Path) -> None:
        """Write into the existing folder `out` what the next run or a user loads (see lion.checkpoints.parts)."""
