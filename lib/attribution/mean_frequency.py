"""How fine the structure of an attribution map is."""

import torch
from torch import Tensor

from lib.attribution.checks import check_attribution
from lib.encoders.device import double


def mean_frequency(attribution: Tensor) -> Tensor:
    """Mean spatial frequency of a map, weighted by its power spectrum without the constant.

    f̄ = Σ_k |k| · |Â_k|² / Σ_k |Â_k|², k ≠ 0, Â the two-dimensional Fourier transform of the map
    summed over channels

    Args:
        attribution: ``(n, channels, height, width)``.

    Returns:
        ``(n,)`` in cycles per pixel: 0.5 is the finest stripe along an axis; NaN for a constant
        map. White noise has about 0.38.

    >>> stripes = torch.tensor([1.0, -1.0] * 4).expand(1, 1, 8, 8)
    >>> mean_frequency(stripes).item()
    0.5
    """
    check_attribution(attribution, attribution)
    summed = double(attribution.sum(1))
    power = torch.fft.fft2(summed - summed.mean((1, 2), keepdim=True)).abs().square()
    down, across = (
        torch.fft.fftfreq(side, dtype=torch.float64, device=power.device)
        for side in power.shape[1:]
    )
    frequency = (down[:, None] ** 2 + across**2).sqrt()
    return ((power * frequency).sum((1, 2)) / power.sum((1, 2))).to(attribution)
