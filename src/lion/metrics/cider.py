"""CIDEr-D (Vedantam, Zitnick and Parikh, CVPR 2015), as pycocoevalcap computes it.

A caption is the vector of its n-grams' TF-IDF weights, one vector for each n of 1 to 4. Its similarity to a reference
is the cosine of the two with the caption's weights clipped to the reference's, times a Gaussian penalty on the length
difference; the score is ten times the mean over n and over the references. As officially, the length is the number of
bigrams, so a single word is as long as the empty text.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import exp, log, sqrt
from typing import NamedTuple

from lion.metrics.bleu import LONGEST, Ngram, ngrams

SIGMA = 6.0


class _Vector(NamedTuple):
    weights: tuple[dict[Ngram, float], ...]
    """TF-IDF by n-gram, one dictionary for each n."""
    norms: tuple[float, ...]
    bigrams: int


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each image's candidate (tokens separated by blanks, as from ``tokenize``), 0 to 10.

    Document frequencies are those of the references given here, so a subset's scores are not those of the whole set,
    and with one image all are 0. Every image needs at least one reference.
    """
    counted = [[_ngrams(text) for text in texts] for texts in references]
    images_with = Counter(ngram for texts in counted for ngram in set().union(*texts))
    log_images = log(len(references)) if references else 0.0
    idf = defaultdict(lambda: log_images, {ngram: log_images - log(count) for ngram, count in images_with.items()})
    scores = []
    for candidate, texts in zip(candidates, counted, strict=True):
        vector = _vector(_ngrams(candidate), idf)
        scores.append(10 * sum(_similarity(vector, _vector(counts, idf)) for counts in texts) / len(texts))
    return scores


def _ngrams(text: str) -> Counter[Ngram]:
    return sum((ngrams(text.split(), n) for n in range(1, LONGEST + 1)), Counter())


def _vector(counts: Counter[Ngram], idf: defaultdict[Ngram, float]) -> _Vector:
    weights: tuple[dict[Ngram, float], ...] = tuple({} for _ in range(LONGEST))
    for ngram, count in counts.items():
        weights[len(ngram) - 1][ngram] = count * idf[ngram]
    norms = tuple(sqrt(sum(weight * weight for weight in of_n.values())) for of_n in weights)
    return _Vector(weights, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2))


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    total = 0.0
    for n in range(LONGEST):
        own, true, norms = candidate.weights[n], reference.weights[n], candidate.norms[n] * reference.norms[n]
        if norms:
            total += sum(min(own[ngram], true[ngram]) * true[ngram] for ngram in own.keys() & true.keys()) / norms
    return total / LONGEST * exp(-((candidate.bigrams - reference.bigrams) ** 2) / (2 * SIGMA**2))
