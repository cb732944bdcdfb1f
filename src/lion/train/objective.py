"""The interface between the loop and what a run trains.

The loop (loop.py) knows steps, devices and checkpoints; an objective knows data, model and loss. The three stages of
LION share one (language_modelling.py), each pretraining stage has its own; the stage table (stages.py) names the class.

An objective has no state that training changes: `batch(step, shard)` depends on the recipe's seed and its arguments
alone, so that a killed run resumes from the step number.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from lion.data.sample import BadSample, Source
from lion.train.examples import Example
from lion.train.log import Watch

NamedParameters = Sequence[tuple[str, nn.Parameter]]
OnBadSample = Callable[[BadSample], None]


@dataclass(frozen=True)
class Batch:
    """One micro-batch: tensors with the batch as first dimension, and the ids that an error message names."""

    tensors: Mapping[str, Tensor]
    ids: Sequence[str]
    tasks: Sequence[str] = ()
    bad: Sequence[BadSample] = ()
    tokens: int = 0
    """Words read and written, without padding and pictures; 0 where nobody counted."""

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
    """Whether a batch may leave some trained parameters without gradient, which data-parallel training has to know."""
    decoding: str | None = None
    """The settings by which validation generates answers, logged beside its scores; None where it generates none."""
    sources: Sequence[Source] = ()
    """All sources of samples, held-out ones included."""

    def prepare(self, watch: Watch | None = None) -> None:
        """Do slow work that is needed once, such as filling a cache on disk; called before the first batch."""
        for source in self.sources:
            source.prepare(watch)

    def skipped(self) -> Sequence[BadSample]:
        """Records that were left out when datasets were read; logged at the start of a run."""
        return ()

    def notes(self) -> Sequence[str]:
        """What the user should know before the first step, a line each."""
        return ()

    @abstractmethod
    def build(self) -> nn.Module:
        """The model with its initial weights, on CPU, in fp32. torch is seeded before the call."""

    def outline(self) -> nn.Module:
        """The same model without weights, on the meta device, for a dry run. Raises: LionError as `build`."""
        with torch.device("meta"):
            return self.build()

    @abstractmethod
    def trainable(self, model: nn.Module) -> Mapping[str, NamedParameters]:
        """The parameters that train, by component, with their names in `model`; all others are frozen.

        `lr_scale` in a recipe refers to components by these names.
        """

    @abstractmethod
    def batch(self, step: int, shard: int = 0) -> Batch:
        """Micro-batch `shard` (of those of all processes) of step `step`, both from 0, on CPU.

        Called in worker processes if the recipe sets some, so an objective has to be picklable and must not touch the
        model here. Raises: LionError if there is no usable sample.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The loss of one micro-batch on the model's device. `model` may be wrapped (DDP): call it."""

    @abstractmethod
    def validate(self, model: nn.Module, skip: OnBadSample) -> dict[str, float]:
        """Scores on held-out samples; the unwrapped model, in eval mode, under no_grad.

        `skip` is called with each held-out sample that cannot be used, once a run.
        """

    def examples(self) -> Sequence[Example]:
        """Some of the last validation's samples, always the same ones, with their answers."""
        return ()

    @abstractmethod
    def export(self, model: nn.Module, out: Path) -> None:
        """Write into the existing folder `out` what the next run or a user loads (see lion.checkpoints.parts)."""
