"""Which spatial frequencies a feature map carries."""

from typing import Literal

import torch
from torch import Tensor

from lib.encoders.device import double

Convention = Literal["official", "nyquist"]


def official_frequencies(side: int) -> int:
    """Number of frequencies of the official convention, the first of those up to Nyquist.

    >>> official_frequencies(14), official_frequencies(7)
    (7, 4)
    """
    return (side + 1) // 2


def _diagonal_waves(side: int, frequencies: int, like: Tensor) -> Tensor:
    """Cosines, then sines, of 2π f (row + column) / N: what the diagonal of the Fourier transform
    sums tokens with, ``(2 · frequencies, patches)``."""
    place = torch.arange(side, device=like.device)
    diagonal = (place[:, None] + place).flatten()
    angle = 2 * torch.pi / side * double(place[:frequencies, None] * diagonal % side)
    return torch.cat([angle.cos(), angle.sin()]).to(like)


def relative_log_amplitude(
    tokens: Tensor, grid: tuple[int, int], convention: Convention = "official"
) -> Tensor:
    """Log amplitude of patch tokens along the frequency diagonal, relative to the constant part.

    F = log(|FFT₂(x)| + 1e-6) per channel, averaged over channels; Δ(f) = F(f, f) − F(0, 0), f = 0,
    1, … in cycles per grid.

    With a grid of N patches a side, frequency f is 2π f / N. The official code shifts the spectrum,
    takes the second half of the diagonal and so ends at f = ⌈N/2⌉ − 1, which is 6π/7 for 14 × 14
    patches: the Nyquist frequency was shifted to the other end. ``"nyquist"`` also gives f = N/2
    where N is even; where N is odd both conventions end at f = (N − 1)/2 and are the same.

    Park et al. (2023), Fig. 9;
    https://github.com/naver-ai/cl-vs-mim/blob/eafe516bddb302fb137f9c0dfbac9f95c4ede052/representation_analysis.ipynb

    Args:
        tokens: ``(batch, patches, width)`` without prefix tokens, patches row by row.
        grid: patches (down, across), square.
        convention: where the diagonal ends.

    Returns:
        ``(batch, frequencies)``, natural logarithm; the first is 0, the last is the value the paper
        plots by depth.

    Raises:
        ValueError: a grid that is not square or does not fit, an unknown convention.

    >>> wave = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2) + 1.0  # a checkerboard on a constant
    >>> relative_log_amplitude(wave.reshape(1, 16, 1), (4, 4), "nyquist")[0, -1].item()
    0.0
    """
    if convention not in ("official", "nyquist"):
        raise ValueError(f"convention is 'official' or 'nyquist', got {convention!r}")
    side = grid[0]
    if grid[0] != grid[1] or tokens.ndim != 3 or tokens.shape[1] != side * side:
        raise ValueError(
            f"expected tokens (batch, {grid[0]} · {grid[1]}, width) of a square grid, got shape"
            f" {tuple(tokens.shape)}"
        )
    frequencies = side // 2 + 1 if convention == "nyquist" else official_frequencies(side)
    real, imaginary = (_diagonal_waves(side, frequencies, tokens) @ tokens).chunk(2, dim=1)
    log_amplitude = (torch.hypot(real, imaginary) + 1e-6).log().mean(-1)
    return log_amplitude - log_amplitude[:, :1]
