"""Steps of a lane as CUDA graphs: recorded when a shape is first met, replayed as one launch in place of hundreds.

Whatever only a GPU can show is in this file. A graph reads and writes tensors at fixed addresses: a lane's buffers, and
the copies of a step's inputs that are kept here.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import torch
from torch import Tensor

WARM_UP = 2
"""Runs before a step is recorded, in which libraries choose their kernels and take the memory they work in."""


class Recording(Protocol):
    """A step that can be run again on what stands in its inputs."""

    inputs: Sequence[Tensor]
    output: Tensor

    def replay(self) -> None:
        """Overwrite the output."""


class CudaGraph:
    """A recorded step.

    Args:
        step: launches operations on the device and never waits for it.
        inputs: what it is called with.
        state: what a step changes and reads again, so that a second run would differ.
    """

    def __init__(self, step: Callable[..., Tensor], inputs: Sequence[Tensor], state: Tensor) -> None:
        self.inputs: Sequence[Tensor] = [tensor.to(state.device, copy=True) for tensor in inputs]
        self._step = step  # it holds tensors that the graph reads
        kept, stream = state.clone(), torch.cuda.Stream(state.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        state.copy_(kept)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.output = step(*self.inputs)

    def replay(self) -> None:
        """See :class:`Recording`."""
        self._graph.replay()


class Graphs:
    """The recorded steps of one lane, by shape.

    Args:
        record: makes one; tests without a GPU pass their own.
    """

    def __init__(
        self, record: Callable[[Callable[..., Tensor], Sequence[Tensor], Tensor], Recording] = CudaGraph
    ) -> None:
        self._record = record
        self._recordings: dict[Hashable, Recording] = {}

    def places(self, used: int, capacity: int) -> int:
        """How many places a step runs over, those in use among them: few numbers, so that graphs are few."""
        return min(1 << (used - 1).bit_length(), capacity)

    def run(self, key: Hashable, step: Callable[..., Tensor], inputs: Sequence[Tensor], state: Tensor) -> Tensor:
        """What ``step(*inputs)`` returns; valid until the next run. Steps of equal keys do the same.

        Args:
            key: shape of the step and all else that is not in its inputs.
            step: see :class:`CudaGraph`.
            inputs: of this step.
            state: see :class:`CudaGraph`.
        """
        if key not in self._recordings:
            self._recordings[key] = self._record(step, inputs, state)
        recording = self._recordings[key]
        for kept, given in zip(recording.inputs, inputs, strict=True):
            kept.copy_(given)
        recording.replay()
        return recording.output

    def clear(self) -> None:
        """Forget all: the buffers that they read are replaced."""
        self._recordings.clear()
