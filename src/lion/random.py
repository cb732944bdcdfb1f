"""Keyed random streams: generators that depend on their names only, and draws built on one primitive.

All draws use ``Generator.random()`` alone, the most stable of numpy's, so that results do not change with its version.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def stream(*names: object) -> np.random.Generator:
    """A generator that is a function of `names` (a hash of them seeds PCG64)."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def below(rng: np.random.Generator, n: int) -> int:
    """A whole number in [0, n)."""
    return int(rng.random() * n)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number in [low, high], both ends included."""
    return low + below(rng, high - low + 1)


def chance(rng: np.random.Generator, p: float) -> bool:
    """True with probability `p`."""
    return bool(rng.random() < p)


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of `items`, uniformly. Raises: IndexError if there is none."""
    return items[below(rng, len(items))]


def weighted(rng: np.random.Generator, items: Sequence[T], weights: Sequence[int]) -> T:
    """One of `items` in proportion to whole-number `weights`. Raises: ValueError if they sum to 0."""
    ticket = below(rng, sum(weights))
    for item, weight in zip(items, weights, strict=True):
        ticket -= weight
        if ticket < 0:
            return item
    raise ValueError("weights sum to nothing; give at least one positive weight")


def shuffled(rng: np.random.Generator, items: Sequence[T]) -> list[T]:
    """A copy of `items` in random order (Fisher-Yates)."""
    out = list(items)
    for last in range(len(out) - 1, 0, -1):
        other = below(rng, last + 1)
        out[last], out[other] = out[other], out[last]
    return out
