"""Statistics resampled over images (bootstrap), and their intervals.

A resampled statistic is the value over all images, followed by one for each bootstrap sample. Two
of
the same number of images, resamples and seed share their samples, so any arithmetic on them is
paired: the difference of two encoders, or of two differences, is formed after resampling, and
:func:`interval` reads off its 95 % percentile interval.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95


def _checked(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError(
            f"expected values (images, …) of at least one image, got shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("expected finite values, got NaN or infinity")
    return values


def _resample_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample ``(resamples, n)`` draws each of n images, with replacement."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)


def resampled_mean(values: ArrayLike, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """The mean over images, resampled: ``(1 + resamples, …)``.

    Args:
        values: ``(images, …)``.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        ValueError: no images, or values that are not finite.

    >>> resampled_mean([2.0, 2.0], resamples=3).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    values = _checked(values)
    n = len(values)
    means = _resample_counts(n, resamples, seed) @ values.reshape(n, -1) / n
    return np.concatenate([values.mean(0)[None], means.reshape(resamples, *values.shape[1:])])


def resampled_sums(
    values: ArrayLike,
    statistic: Callable[[np.ndarray], np.ndarray],
    resamples: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """A statistic of sums over images, such as a ratio, resampled: ``(1 + resamples, …)``.

    Args:
        values: ``(images, …)``.
        statistic: maps sums ``(samples, …)`` to ``(samples, …)``, each sample by itself.
        resamples, seed: as for :func:`resampled_mean`.

    Raises:
        ValueError: no images, or values that are not finite.

    >>> values = [[1, 2], [1, 2]]
    >>> resampled_sums(values, lambda sums: sums[:, 0] / sums[:, 1], resamples=2).tolist()
    [0.5, 0.5, 0.5]
    """
    values = _checked(values)
    sums = np.tensordot(_resample_counts(len(values), resamples, seed), values, 1)
    return np.concatenate([statistic(values.sum(0, keepdims=True)), statistic(sums)])


def resampled_over(
    statistic: Callable[[np.ndarray], ArrayLike], n: int, resamples: int = 200, seed: int = 0
) -> np.ndarray:
    """Any statistic of a set of images, resampled: ``(1 + resamples, …)``; slower than the others,
    for what is no function of sums.

    A resample holds some images several times, which shifts statistics such as the smallest
    eigenvalues of a covariance. So the resamples are moved to have the statistic itself as their
    mean: they show the spread without that shift.

    Args:
        statistic: maps indices of images ``(n,)``, with repetitions, to an array.
        n: number of images.
        resamples, seed: as for :func:`resampled_mean`.

    >>> resampled_over(len, 5, resamples=2).tolist()
    [5.0, 5.0, 5.0]
    """
    random = np.random.default_rng(seed)
    found = [
        np.asarray(statistic(random.integers(n, size=n)), dtype=float) for _ in range(resamples)
    ]
    point = np.asarray(statistic(np.arange(n)), dtype=float)
    return np.concatenate([point[None], point + found - np.mean(found, 0)])


def interval(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, low and high end of the 95 % percentile interval, each ``(…)``.

    Args:
        resampled: ``(1 + resamples, …)``.

    >>> value, low, high = interval(resampled_mean([0.0, 1.0] * 50))
    >>> value.item(), 0.4 <= low.item() < 0.5 < high.item() <= 0.6
    (0.5, True)
    """
    low, high = np.quantile(resampled[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return resampled[0], low, high


def bootstrap_mean(values: ArrayLike, **options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over images, low and high; arguments of :func:`resampled_mean`."""
    return interval(resampled_mean(values, **options))


def bootstrap_sums(
    values: ArrayLike, statistic: Callable[[np.ndarray], np.ndarray], **options
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic of sums, low and high; arguments of :func:`resampled_sums`."""
    return interval(resampled_sums(values, statistic, **options))


def bootstrap_over(
    statistic: Callable[[np.ndarray], ArrayLike], n: int, resamples: int = 200, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Any statistic, low and high; arguments of :func:`resampled_over`.

    >>> value, low, high = bootstrap_over(lambda chosen: len(set(chosen)), 100)  # about 63 in each
    >>> value.item(), 90 < low.item() < 100 < high.item() < 110
    (100.0, True)
    """
    return interval(resampled_over(statistic, n, resamples, seed))
