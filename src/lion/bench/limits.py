"""What the machine itself can do, measured in the same run: matrix products and reading memory.

A limit is the most that any repeat reached, since whatever disturbs a repeat only lowers it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lion.bench.timing import take_turns, threads
from lion.bench.work import Product, flops

SQUARE = 2048
"""Side of the big matrices."""
LARGE = 2**28
"""Bytes of a buffer that no cache of a CPU holds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one number of threads; of a GPU there is one row."""

    threads: int
    square: float
    """Operations a second in the product of two big square matrices."""
    memory: float
    """Bytes a second, read from a buffer that no cache holds."""


def measure_limits(counts: Iterable[int], device: torch.device, dtype: torch.dtype, seconds: float) -> list[Limits]:
    """Limits by number of threads, with about ``seconds`` for each of the two of a row."""
    side = SQUARE if device.type == "cpu" else 4 * SQUARE
    rows = []
    for count in counts:
        with threads(count):
            square = product_speed([Product(side, side, side)], device, dtype, seconds)
            rows.append(Limits(count, square, read_speed(LARGE, device, dtype, seconds)))
    return rows


def product_speed(products: Iterable[Product], device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """Operations a second when a list of products is worked off, nothing between them."""
    products = list(products)
    runs = [(product.times, _multiplication(product, device, dtype)) for product in products]

    def run() -> None:
        for times, multiply in runs:
            for _ in range(times):
                multiply()

    return flops(products) / min(take_turns({"products": run}, seconds, device)["products"])


def read_speed(size: int, device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """Bytes a second when one row is multiplied with a matrix of so many bytes, as in decoding; again and again."""
    inner = 1024
    columns = max(size // (inner * dtype.itemsize), 1)
    row = torch.ones(1, inner, device=device, dtype=dtype)
    matrix = torch.ones(columns, inner, device=device, dtype=dtype)
    times = max(LARGE // matrix.nbytes, 1)

    def run() -> None:
        for _ in range(times):
            torch.nn.functional.linear(row, matrix)

    return times * matrix.nbytes / min(take_turns({"read": run}, seconds, device)["read"])


def _multiplication(product: Product, device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
    """One of the product's multiplications, with its second matrix laid out as a layer's weights are."""
    shape = (product.batch,) if product.batch > 1 else ()
    left = torch.randn(*shape, product.rows, product.inner, device=device, dtype=dtype)
    weights = torch.randn(*shape, product.columns, product.inner, device=device, dtype=dtype)
    return lambda: left @ weights.mT
