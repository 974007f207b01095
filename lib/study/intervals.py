"""Bootstrap intervals over images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95


def _checked(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError(f"expected values (images, …) of at least one image, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("expected finite values, got NaN or infinity")
    return values


def _resample_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample ``(resamples, n)`` draws each of n images, with replacement."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)


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
    values = _checked(values)
    n = len(values)
    means = _resample_counts(n, resamples, seed) @ values.reshape(n, -1) / n
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).reshape(2, *values.shape[1:])
    return values.mean(0), low, high


def bootstrap_sums(
    values: ArrayLike, statistic: Callable[[np.ndarray], np.ndarray], resamples: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic of sums over images, such as a ratio, with a 95 % percentile bootstrap interval.

    The resamples are those of :func:`bootstrap_mean`. For the paired difference of two encoders on the same images, stack
    their values along axis 1 and let the statistic subtract.

    Args:
        values: ``(images, …)``.
        statistic: maps sums ``(resamples, …)`` to ``(resamples, …)``, each resample by itself.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        the statistic of the sum over all images, low, high, each of the statistic's shape.

    Raises:
        ValueError: no images, or values that are not finite.

    >>> point, low, high = bootstrap_sums([[1, 2], [1, 2]], lambda sums: sums[:, 0] / sums[:, 1])
    >>> point.item(), low.item(), high.item()
    (0.5, 0.5, 0.5)
    """
    values = _checked(values)
    found = statistic(np.tensordot(_resample_counts(len(values), resamples, seed), values, 1))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return statistic(values.sum(0, keepdims=True))[0], low, high


def bootstrap_over(statistic: Callable[[np.ndarray], ArrayLike], n: int, resamples: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Any statistic of a set of images, with a 95 % bootstrap interval: slower than the others, for what is no function of sums.

    A resample holds some images several times, which shifts statistics such as the smallest eigenvalues of a covariance. So the interval is
    the statistic plus the quantiles of the resamples' deviations from their own mean: it shows their spread without that shift.

    Args:
        statistic: maps indices of images ``(n,)``, with repetitions, to an array.
        n: number of images.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        the statistic of all images, low, high, each of the statistic's shape.

    >>> point, low, high = bootstrap_over(lambda chosen: len(set(chosen)), 100)  # about 63 different ones in a resample
    >>> point.item(), 90 < low.item() < 100 < high.item() < 110
    (100, True)
    """
    random = np.random.default_rng(seed)
    found = np.stack([np.asarray(statistic(random.integers(n, size=n)), dtype=float) for _ in range(resamples)])
    low, high = np.quantile(found - found.mean(0), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    point = np.asarray(statistic(np.arange(n)))
    return point, point + low, point + high
