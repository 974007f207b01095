"""Images of which only low or only high spatial frequencies are left."""

import math
from typing import Literal

import torch
from torch import Tensor


def frequency_filter(images: Tensor, cutoff: float, keep: Literal["low", "high"]) -> Tensor:
    """Keep the frequencies up to, or above, a radius; each channel keeps its mean.

    x' = Re IFFT(H · FFT(x)), clamped to [0, 1]; H = 1 where ‖f‖₂ ≤ cutoff (low) or ‖f‖₂ > cutoff
    (high), and at f = 0.

    Yin et al. (2019), *A Fourier Perspective on Model Robustness in Computer Vision*, figure 1.

    Args:
        images: ``(n, channels, height, width)`` in [0, 1].
        cutoff: radius in radians per pixel, in (0, √2 π); π is the highest frequency along an axis.
        keep: which side of the cutoff stays.

    Returns:
        ``(n, channels, height, width)`` in [0, 1].

    Raises:
        ValueError: a cutoff outside (0, √2 π), another word than low or high.

    >>> wave = 0.5 + 0.25 * torch.cos(math.pi * torch.arange(4.0)).expand(1, 1, 4, 4)  # π a pixel
    >>> [frequency_filter(wave, 1.0, keep)[0, 0, 0].tolist() for keep in ("low", "high")]
    [[0.5, 0.5, 0.5, 0.5], [0.75, 0.25, 0.75, 0.25]]
    """
    if keep not in ("low", "high"):
        raise ValueError(f"keep is 'low' or 'high', got {keep!r}")
    if not 0 < cutoff < math.sqrt(2) * math.pi:
        raise ValueError(f"expected a cutoff in (0, √2 π) radians per pixel, got {cutoff:.4g}")
    rows, columns = (
        2 * math.pi * torch.fft.fftfreq(side, device=images.device) for side in images.shape[-2:]
    )
    radius = (rows[:, None].square() + columns.square()).sqrt()
    kept = (radius <= cutoff) if keep == "low" else (radius > cutoff) | (radius == 0)
    return torch.fft.ifft2(torch.fft.fft2(images) * kept).real.clamp(0, 1)
