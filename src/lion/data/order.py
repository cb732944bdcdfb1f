"""The order of training samples as a pure function of names (such as the seed) and position: nothing is stored.

Every dataset is read in passes (epochs), each in a shuffled order of its own, without replacement. A position in the
run, one integer, is the whole state: any process computes the sample there at once, so a resumed run goes on where it
was stopped, with as many processes as it likes.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

import numpy as np

from lion.random import stream

_ROUNDS = 4
"""Each changes both halves, as two rounds of a Feistel cipher."""
_64_BITS = 2**64 - 1
BLOCK = 1 << 14
"""Positions after which datasets have had their exact shares, which are rounded to 1 / BLOCK."""


class Permutation:
    """A shuffled order of `size` numbers by a key: a bijection of [0, size), computed element by element.

    A generalised Feistel cipher (Black and Rogaway, 2002): numbers are cells of a table of about sqrt(size) rows and
    columns, each round moves the row by a keyed hash of the column and the column by one of the row. The table has less
    than a row too many cells; a number that lands there goes on until it is back (cycle-walking).

    Args:
        size: how many numbers, at least 1.
        names: the key.
    """

    def __init__(self, size: int, *names: object) -> None:
        assert size > 0
        self.size = size
        self._rows = isqrt(size - 1) + 1
        self._columns = -(-size // self._rows)
        text = "/".join(map(str, names)).encode()
        keys = struct.unpack(f"<{2 * _ROUNDS}Q", hashlib.blake2b(text, digest_size=16 * _ROUNDS).digest())
        self._keys = tuple(zip(keys[::2], keys[1::2], strict=True))

    def __call__(self, number: int) -> int:
        """Which of the numbers comes at place `number`, both in [0, size)."""
        rows, columns = self._rows, self._columns
        while True:
            row, column = divmod(number, columns)
            for of_column, of_row in self._keys:
                row = (row + _mixed(column ^ of_column)) % rows
                column = (column + _mixed(row ^ of_row)) % columns
            if (number := row * columns + column) < self.size:
                return number


def _mixed(value: int) -> int:
    """A hash of 64 bits (the finalizer of SplitMix64)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return value ^ (value >> 31)


class Place(NamedTuple):
    """What comes at a position."""

    part: int
    """Which of the parts of the mixture."""
    epoch: int
    """The pass over that part, from 0."""
    number: int
    """Which of the part's samples."""


class Order:
    """Parts mixed by weight, each in passes without replacement: position (from 0) to :class:`Place`.

    Each `BLOCK` of units is dealt out to the parts by weight, in random order. Where a part's samples are used up, its
    next pass begins, in another order.

    Args:
        sizes: samples of each part.
        weights: share of each part; one that would get none of a block gets one unit.
        names: keys of the order, such as stage and seed.
        unit: positions in a row that come from one part, such as a micro-batch's.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], names: Sequence[object], unit: int = 1) -> None:
        self.sizes, self.names, self.unit = sizes, tuple(names), unit
        self._shares = tuple(_shares(weights))

    def __call__(self, position: int) -> Place:
        """What comes at a position."""
        unit, row = divmod(position, self.unit)
        block, slot = divmod(unit, BLOCK)
        parts, counts = _dealt(self._shares, self.names, block)
        part = int(parts[slot])
        before = block * self._shares[part] + int(counts[slot])
        epoch, place = divmod(before * self.unit + row, self.sizes[part])
        return Place(part, epoch, Permutation(self.sizes[part], *self.names, part, epoch)(place))

    def instead(self, position: int, part: int) -> Iterator[int]:
        """Samples of a part for a position whose own is of no use: another shuffled order, without an end."""
        size, attempt = self.sizes[part], 0
        shuffled = Permutation(size, *self.names, "instead of", position)
        while True:
            yield shuffled(attempt % size)
            attempt += 1


@lru_cache(maxsize=4)
def _dealt(shares: tuple[int, ...], names: tuple[object, ...], block: int) -> tuple[np.ndarray, np.ndarray]:
    """For each unit of a block its part, and how many units that part has had in the block before."""
    dealt = np.repeat(np.arange(len(shares)), shares)
    parts = dealt[np.argsort(stream(*names, "block", block).random(BLOCK), kind="stable")]
    counts = np.empty_like(parts)
    counts[np.argsort(parts, kind="stable")] = np.arange(BLOCK) - np.repeat(np.cumsum(shares) - shares, shares)
    return parts, counts


def _shares(weights: Sequence[float]) -> list[int]:
    """Units of a block for each weight: largest remainders, at least one each. They sum to BLOCK."""
    exact = [BLOCK * weight / sum(weights) for weight in weights]
    shares = [max(int(share), 1) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda part: shares[part] - exact[part])
    for part in by_remainder[: max(BLOCK - sum(shares), 0)]:
        shares[part] += 1
    while sum(shares) > BLOCK:  # weights too small for a unit were given one, at the cost of the largest
        shares[shares.index(max(shares))] -= 1
    return shares
