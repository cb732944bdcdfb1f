"""CIDEr-D (Vedantam, Zitnick and Parikh, CVPR 2015), as pycocoevalcap computes it.

A caption is the vector of its n-grams' TF-IDF weights, one vector for each n of 1 to 4. Its likeness to a reference is
the cosine of the two with the caption's weights clipped to the reference's, damped where lengths differ; the score is
ten times the mean over n and over the references. One oddity is kept, for the official numbers have it: the length that
damps is the count of bigrams, so a single word is as long as nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

LONGEST = 4
SIGMA = 6.0

_Ngram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vector:
    weights: tuple[dict[_Ngram, float], ...]
    """TF-IDF by n-gram, one dictionary for each n."""
    norms: tuple[float, ...]
    bigrams: int


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each image's candidate (tokens divided by blanks, as from ``tokenize``), 0 to 10.

    In how many images an n-gram occurs, and so its weight, is counted over the references given here. A subset's scores
    are therefore not those of the whole set, and with one image all are 0. Every image needs at least one reference.
    """
    counted = [[_ngrams(text) for text in texts] for texts in references]
    images_with = Counter(ngram for texts in counted for ngram in set().union(*texts))
    everywhere = log(len(references)) if references else 0.0
    idf = defaultdict(lambda: everywhere, {ngram: everywhere - log(count) for ngram, count in images_with.items()})
    return [
        _score(_vector(_ngrams(candidate), idf), [_vector(counts, idf) for counts in texts])
        for candidate, texts in zip(candidates, counted, strict=True)
    ]


def _ngrams(text: str) -> Counter[_Ngram]:
    words = text.split()
    return Counter(
        ngram for n in range(LONGEST) for ngram in zip(*(words[skip:] for skip in range(n + 1)), strict=False)
    )


def _vector(counts: Counter[_Ngram], idf: defaultdict[_Ngram, float]) -> _Vector:
    weights: tuple[dict[_Ngram, float], ...] = tuple({} for _ in range(LONGEST))
    for ngram, count in counts.items():
        weights[len(ngram) - 1][ngram] = count * idf[ngram]
    norms = tuple(sqrt(sum(weight * weight for weight in of_n.values())) for of_n in weights)
    return _Vector(weights, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2))


def _score(candidate: _Vector, references: Sequence[_Vector]) -> float:
    return 10 * sum(_likeness(candidate, reference) for reference in references) / len(references)


def _likeness(candidate: _Vector, reference: _Vector) -> float:
    total = 0.0
    for said, true, said_norm, true_norm in zip(
        candidate.weights, reference.weights, candidate.norms, reference.norms, strict=True
    ):
        if said_norm and true_norm:
            shared = sum(min(said[ngram], true[ngram]) * true[ngram] for ngram in said.keys() & true.keys())
            total += shared / (said_norm * true_norm)
    return total / LONGEST * exp(-((candidate.bigrams - reference.bigrams) ** 2) / (2 * SIGMA**2))
