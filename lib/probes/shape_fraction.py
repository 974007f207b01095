"""Shape or texture: which of two conflicting cues a decision follows."""

import numpy as np
from numpy.typing import ArrayLike


def cue_decisions(predictions: ArrayLike, shapes: ArrayLike, textures: ArrayLike) -> np.ndarray:
    """Does each decision equal the class of the shape, or that of the texture?

    Args:
        predictions: ``(n,)`` predicted classes of cue-conflict images.
        shapes, textures: ``(n,)`` classes of their shape and of their texture.

    Returns:
        ``(n, 2)`` float, 1 where the decision is the shape's class and where it is the texture's;
        both 0 for a third class.

    Raises:
        ValueError: shapes that differ, an image whose shape and texture agree.
    """
    predictions, shapes, textures = (
        np.asarray(values) for values in (predictions, shapes, textures)
    )
    if not predictions.shape == shapes.shape == textures.shape or predictions.ndim != 1:
        raise ValueError(
            f"expected three vectors of one length, got shapes {predictions.shape}, {shapes.shape}"
            f" and {textures.shape}"
        )
    if (shapes == textures).any():
        raise ValueError(
            "expected a conflict on every image, shape and texture agree on"
            f" {(shapes == textures).sum()}"
        )
    return np.stack([predictions == shapes, predictions == textures], axis=1).astype(float)


def shape_fraction(decisions: ArrayLike) -> np.ndarray:
    """Share of shape among the decisions for either cue: shape / (shape + texture); NaN where there
    is none.

    Geirhos et al. (2019), *ImageNet-trained CNNs are biased towards texture; increasing shape bias
    improves accuracy and robustness*.

    Args:
        decisions: ``(…, 2)`` number of decisions for the shape and for the texture, such as the sum
            of :func:`cue_decisions` over the images.
            ``bootstrap_sums(cue_decisions(…), shape_fraction)`` gives its interval.

    Returns:
        ``(…)`` in [0, 1].

    >>> decisions = cue_decisions([3, 3, 4, 9], shapes=[3, 3, 3, 3], textures=[4, 4, 4, 4])
    >>> round(shape_fraction(decisions.sum(0)).item(), 4)
    0.6667
    """
    decisions = np.asarray(decisions, dtype=float)
    total = decisions.sum(-1)
    return np.where(total > 0, decisions[..., 0] / np.where(total > 0, total, 1), np.nan)
