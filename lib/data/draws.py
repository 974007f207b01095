"""Random numbers that belong to an image, not to a batch: a hash of (seed, image index, column).

The hash is SplitMix64: Steele, Lea, Flood (2014), *Fast Splittable Pseudorandom Number Generators*.
"""

import numpy as np
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _splitmix64(state: np.ndarray) -> np.ndarray:
    """Output of SplitMix64 at a state (uint64, wraps around)."""
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def draws(indices: Tensor, count: int, seed: int) -> Tensor:
    """Uniform numbers for each image: the same (seed, index, column) gives the same number in any
    batch, in any order.

    draw[i, k] = top 24 bits of h(h(h(seed) ⊕ index i) + k · golden) / 2²⁴, h = SplitMix64, golden =
    2⁶⁴ / 1.618…

    Column k does not depend on ``count``: asking for more columns later keeps the first ones.

    Args:
        indices: ``(n,)`` integer indices of the images in their data set.
        count: numbers per image.
        seed: any integer.

    Returns:
        ``(n, count)`` float32 in [0, 1), on the CPU, so that they are the same bits for any device.

    Raises:
        ValueError: indices that are not a vector of integers, a negative count.

    >>> draws(torch.tensor([7, 3]), 2, seed=0)[1].equal(draws(torch.tensor([3]), 2, seed=0)[0])
    True
    """
    if indices.ndim != 1 or indices.is_floating_point() or indices.dtype == torch.bool:
        raise ValueError(
            f"expected integer indices (n,), got {indices.dtype} of shape {tuple(indices.shape)}"
        )
    if count < 0:
        raise ValueError(f"expected a count of at least 0, got {count}")
    index = indices.numpy(force=True).astype(np.int64).view(np.uint64)
    image = _splitmix64(_splitmix64(np.array([seed % 2**64], np.uint64)) ^ index)
    bits = _splitmix64(image[:, None] + np.arange(count, dtype=np.uint64) * _GOLDEN)
    uniform = (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return torch.from_numpy(uniform)
