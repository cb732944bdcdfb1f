"""BLEU-1 to BLEU-4 over a whole set (Papineni et al., ACL 2002), as pycocoevalcap computes it.

n-gram matches, clipped to what one reference has, and lengths are summed over all captions before anything is divided.
The reference length of a caption is that of the reference closest to it, the shorter of two as close. Two tiny
constants keep divisions defined; they are the official ones, and show where captions are short.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lion.metrics.statistics import Estimate, bootstrap

LONGEST = 4
TINY, SMALL = 1e-15, 1e-9
Ngram = tuple[str, ...]


def bleu(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[Estimate]:
    """BLEU-1 to BLEU-4 of captions (tokens separated by blanks, as from ``tokenize``), 0 to 1; errors by resampling.

    Raises: LionError without captions; ValueError for unequal lengths.
    """
    counts = np.array([_counts(*pair) for pair in zip(candidates, references, strict=True)])
    found = [bootstrap(partial(_bleu, n, counts), len(counts)) for n in range(1, LONGEST + 1)]
    sides = (candidates, [text for texts in references for text in texts])
    longest = min(max(len(text.split()) for text in side) for side in sides)
    return [
        one if n <= longest else replace(one, caveat=f"0: no caption, or no reference, is {n} words long")
        for n, one in enumerate(found, start=1)
    ]


def _counts(candidate: str, references: Sequence[str]) -> list[int]:
    """Length, closest reference's length, then n-grams and matched n-grams, each for n = 1 to 4: 10 numbers."""
    words, others = candidate.split(), [reference.split() for reference in references]
    closest = min((abs(len(other) - len(words)), len(other)) for other in others)[1]
    total, matched = [], []
    for n in range(1, LONGEST + 1):
        most: Counter[Ngram] = Counter()
        for other in others:
            most |= ngrams(other, n)
        total.append(max(0, len(words) - n + 1))
        matched.append((ngrams(words, n) & most).total())
    return [len(words), closest, *total, *matched]


def ngrams(words: Sequence[str], n: int) -> Counter[Ngram]:
    """Counts of the sequences of n words."""
    return Counter(zip(*(words[skip:] for skip in range(n)), strict=False))


def _bleu(n: int, counts: npt.NDArray[np.int_], rows: npt.NDArray[np.intp]) -> float:
    """BLEU-n of some rows of the captions' ``_counts``, (captions, 10)."""
    length, closest, *sums = counts[rows].sum(axis=0)
    total, matched = np.array(sums[:LONGEST]), np.array(sums[LONGEST:])
    scores = np.cumprod((matched + TINY) / (total + SMALL)) ** (1 / np.arange(1, LONGEST + 1))
    ratio = (length + TINY) / (closest + SMALL)
    return float(scores[n - 1] * np.exp(min(0.0, 1 - 1 / ratio)))
