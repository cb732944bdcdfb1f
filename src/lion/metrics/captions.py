"""Scores of captions against references, as the official COCO caption evaluation gives them (pycocoevalcap 1.2).

Also used for REG on RefCOCOg: an id is then a region, its references the annotated expressions, and ``cider`` is the
number to report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lion.errors import LionError
from lion.metrics.bleu import bleu
from lion.metrics.cider import cider_d
from lion.metrics.ptb_tokenizer import tokenize
from lion.metrics.rouge_l import rouge_l
from lion.metrics.statistics import Estimate, mean


def captions(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, Estimate]:
    """``cider`` (CIDEr-D; papers print it times 100), ``bleu1`` to ``bleu4`` of the whole set, ``rouge_l``.

    One caption and at least one reference an image, by image id. Document frequencies are those of ``references``
    alone, so CIDEr of a subset is not comparable with that of the whole set; images go in the order of ``references``.
    Raises: LionError naming the id for an image without prediction or references, or when there are no images.
    """
    candidates, texts = _tokenized(predictions, references)
    values = cider_d(candidates, texts)
    cider = mean(values)
    if not any(values) and not any(cider_d([first for first, *_ in texts], texts)):  # nor does a reference itself score
        cider = replace(
            cider, caveat="0 for any caption: every n-gram is in the references of every image, so idf is 0"
        )
    return {
        "cider": cider,
        **{f"bleu{n}": estimate for n, estimate in enumerate(bleu(candidates, texts), start=1)},
        "rouge_l": mean(list(map(rouge_l, candidates, texts))),
    }


def captions_by_image(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """For each image id its ``cider`` and ``rouge_l``, whose means :func:`captions` reports. Raises: as there."""
    candidates, texts = _tokenized(predictions, references)
    scores = zip(references, cider_d(candidates, texts), map(rouge_l, candidates, texts), strict=True)
    return {image: {"cider": cider, "rouge_l": rouge} for image, cider, rouge in scores}


def _tokenized(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Candidate and references of each image, tokenised, in the order of ``references``."""
    if not references:
        raise LionError("there is nothing to score: no image has references")
    for image, texts in references.items():
        if not texts:
            raise LionError(f"image {image!r} has no reference caption: give it one or leave the image out")
        if image not in predictions:
            raise LionError(f"image {image!r} has no predicted caption: predict one (it may be empty) or leave it out")
    if unknown := [image for image in predictions if image not in references]:
        raise LionError(
            f"image {unknown[0]!r} has a predicted caption but no reference: leave it out of the predictions"
        )
    flat = iter(tokenize(text for texts in references.values() for text in texts))
    tokenized = [[next(flat) for _ in texts] for texts in references.values()]
    return tokenize(predictions[image] for image in references), tokenized
