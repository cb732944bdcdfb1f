"""Graphics cards that a run can be planned for."""

from dataclasses import dataclass

from lion.errors import LionError

GIB = 2**30


@dataclass(frozen=True)
class Card:
    """One card, by its data sheet."""

    name: str
    memory: int
    """Bytes."""
    flops: float
    """Dense bfloat16 products a second, each a multiplication and an addition counted as two."""
    bandwidth: float
    """Bytes of its memory a second."""


# NVIDIA's data sheets, SXM where there is a choice; bfloat16 without sparsity, half of the larger figure there.
_TABLE = (
    Card("b200", 180 * GIB, 2250e12, 8.0e12),
    Card("h200", 141 * GIB, 989e12, 4.8e12),
    Card("h100", 80 * GIB, 989e12, 3.35e12),
    Card("a100", 80 * GIB, 312e12, 2.04e12),
    Card("a100-40gb", 40 * GIB, 312e12, 1.56e12),
    Card("l40s", 48 * GIB, 362e12, 0.864e12),
    Card("a10", 24 * GIB, 125e12, 0.6e12),
    Card("l4", 24 * GIB, 121e12, 0.3e12),
    Card("rtx4090", 24 * GIB, 165e12, 1.008e12),
)
CARDS = {card.name: card for card in _TABLE}


def parse_cards(text: str) -> tuple[Card, int]:
    """`h200:8` as the card and how many; without a number one. Raises: LionError for anything else."""
    name, colon, count = text.strip().lower().partition(":")
    if name not in CARDS:
        raise LionError(f"--on {text}: the cards known are {', '.join(CARDS)}; write one, or with a number: h200:8")
    if colon and not (count.isascii() and count.isdigit() and int(count)):
        raise LionError(f"--on {text}: {count or 'nothing'} is not a number of cards; write {name}:8")
    return CARDS[name], int(count or 1)
