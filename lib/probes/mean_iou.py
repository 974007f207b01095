"""Mean intersection over union, from confusion matrices."""

import numpy as np
from numpy.typing import ArrayLike


def confusion_matrices(predictions: ArrayLike, labels: ArrayLike, classes: int) -> np.ndarray:
    """One confusion matrix for each image.

    Args:
        predictions, labels: ``(m, …)`` integer classes of the patches of m images.
        classes: number of classes.

    Returns:
        ``(m, classes, classes)`` int64 counts, rows are true classes, columns predicted ones.

    Raises:
        ValueError: shapes that differ, a class outside 0 … classes − 1.
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.shape != labels.shape or labels.ndim < 1:
        raise ValueError(
            f"expected predictions and labels of one shape, got {predictions.shape} and"
            f" {labels.shape}"
        )
    if labels.size and (
        min(predictions.min(), labels.min()) < 0 or max(predictions.max(), labels.max()) >= classes
    ):
        raise ValueError(
            f"expected classes from 0 to {classes - 1}, got {predictions.min()} to"
            f" {predictions.max()} and {labels.min()} to {labels.max()}"
        )
    image = np.arange(len(labels)).reshape(-1, *[1] * (labels.ndim - 1))
    cells = (image * classes + labels) * classes + predictions
    return np.bincount(cells.ravel(), minlength=len(labels) * classes**2).reshape(
        -1, classes, classes
    )


def mean_iou(confusion: ArrayLike) -> np.ndarray:
    """Mean over classes of intersection over union, TP / (TP + FP + FN).

    A class that is neither true nor predicted anywhere is left out of the mean.

    Args:
        confusion: ``(…, classes, classes)`` counts, rows are true classes: the sum of
            :func:`confusion_matrices` over images.
            ``bootstrap_sums(confusion_matrices(…), mean_iou)`` gives its interval over images.

    Returns:
        ``(…)`` in [0, 1]; NaN where there are no counts.

    >>> mean_iou([[3, 1], [0, 4]]).item()  # (3/4 + 4/5) / 2
    0.775
    """
    confusion = np.asarray(confusion, dtype=float)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    union = confusion.sum(-1) + confusion.sum(-2) - hit
    present = union > 0
    total = np.where(present, hit / np.where(present, union, 1), 0).sum(-1)
    return np.where(present.any(-1), total / np.maximum(present.sum(-1), 1), np.nan)
