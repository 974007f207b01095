"""Bootstrap intervals over images."""

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95


def bootstrap_mean(values: ArrayLike, resamples: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over images with a 95 % percentile bootstrap interval.

    Images are resampled with replacement; all columns of ``values`` share the resamples, and so do two calls with the same
    number of images and seed: differences between encoders on the same images are paired by subtracting before the call.

    Args:
        values: ``(images, …)``.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        mean, low, high, each ``(…)``.

    Raises:
        ValueError: no images, or values that are not finite.

    >>> mean, low, high = bootstrap_mean([0.0, 1.0] * 50)
    >>> mean.item(), 0.4 <= low.item() < 0.5 < high.item() <= 0.6
    (0.5, True)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError(f"expected values (images, …) of at least one image, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("expected finite values, got NaN or infinity")
    n = len(values)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    means = counts @ values.reshape(n, -1) / n
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).reshape(2, *values.shape[1:])
    return values.mean(0), low, high
