"""The machine's limits."""

import torch

from lion.bench import limits
from lion.bench.limits import measure_limits, product_speed, read_speed
from lion.bench.work import Product

CPU = torch.device("cpu")


def test_a_limit_is_the_most_of_any_repeat(monkeypatch):
    monkeypatch.setattr(limits, "take_turns", lambda runs, seconds, device: {name: [4.0, 2.0, 3.0] for name in runs})
    products = [Product(2, 3, 5, times=2), Product(4, 4, 4, batch=3)]
    assert product_speed(products, CPU, torch.float32, 1.0) == (2 * 60 + 3 * 128) / 2
    assert read_speed(2**16, CPU, torch.float32, 1.0) == 2**16 / 2
    assert read_speed(2**14, CPU, torch.bfloat16, 1.0) == 2**16 / 2  # the small matrix four times


def test_measured_by_threads():
    before = torch.get_num_threads()
    rows = measure_limits([1, 2], CPU, torch.float32, 0.0)
    assert [row.threads for row in rows] == [1, 2] and all(row.square > 0 and row.memory > 0 for row in rows)
    assert torch.get_num_threads() == before


def test_products_are_the_size_they_say():
    product = limits._multiplication(Product(2, 3, 5, batch=7), CPU, torch.float32)()
    assert product.shape == (7, 2, 5)
