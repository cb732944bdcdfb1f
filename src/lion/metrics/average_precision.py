"""Average precision of a tagger: how well its scores rank the images with a tag before those without.
Shapes: N images, C tags."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lion.errors import LionError
from lion.metrics.statistics import Estimate, bootstrap


def average_precision(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """AP of each tag, (C,), from scores and labels (N, C); NaN for a tag that no image has.

    The area under precision over recall as steps, not interpolated; equal scores form one step, so their order in the
    array cannot matter. Raises: LionError if the shapes differ or a score is NaN.
    """
    if scores.shape != labels.shape or scores.ndim != 2:
        raise LionError(f"scores {scores.shape} and labels {labels.shape} must both be (images, tags)")
    if np.isnan(scores).any():
        raise LionError("a tagger's score is NaN: its average precision has no meaning")
    return np.array([_of_one(*column) for column in zip(scores.T, labels.T.astype(bool), strict=True)])


def _of_one(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_]) -> float:
    """AP of one tag from scores and labels, (N,)."""
    positives = int(labels.sum())
    if not positives:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(labels[order])
    last_of_its_score = np.append(scores[order][1:] != scores[order][:-1], True)
    found, taken = found[last_of_its_score], np.flatnonzero(last_of_its_score) + 1
    steps = np.diff(found, prepend=0) / positives
    return float((steps * found / taken).sum())


def mean_average_precision(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_]) -> Estimate:
    """Mean AP over the tags that some image has; standard error by resampling images.

    Raises: LionError as :func:`average_precision`, and if no image has any tag.
    """
    if scores.shape == labels.shape and not labels.any():
        raise LionError("no image has any tag: there is nothing to score")

    def over(rows: npt.NDArray[np.intp]) -> float:
        values = average_precision(scores[rows], labels[rows])
        known = values[~np.isnan(values)]
        return float(known.mean()) if known.size else 0.0  # a resample of very few images may hold no tag

    found = bootstrap(over, len(labels))
    if not (labels.any(axis=0) & ~labels.all(axis=0)).any():
        return replace(found, caveat="1 for any tagger: every image has the same tags")
    return found
