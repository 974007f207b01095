"""Images with the phase of one photograph and the amplitude of another: shape against texture
without masks."""

import torch
from torch import Tensor


def recombine(phase_of: Tensor, amplitude_of: Tensor) -> Tensor:
    """The phase spectrum of one image with the amplitude spectrum of another, channel by channel.

    x = Re IFFT( |FFT(a)| · exp(i arg FFT(p)) ), clamped to [0, 1].

    Phase carries edges and where things are, amplitude the share of each spatial frequency, hence
    texture and colour. A decision for the class that gave the phase is a decision for the shape.

    Oppenheim, Lim (1981), *The Importance of Phase in Signals*; for networks: Chen et al. (2021),
    *Amplitude-Phase Recombination*,
    https://github.com/iCGY96/APR/blob/main/datasets/APR.py

    Args:
        phase_of: ``(n, channels, height, width)`` in [0, 1], gives the phase.
        amplitude_of: of the same shape, gives the amplitude.

    Returns:
        ``(n, channels, height, width)`` in [0, 1].

    Raises:
        ValueError: shapes that differ.

    >>> x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(recombine(x, x), x, atol=1e-5)
    True
    """
    if phase_of.shape != amplitude_of.shape or phase_of.ndim != 4:
        raise ValueError(
            "expected phase_of and amplitude_of of one shape (n, channels, height, width), "
            f"got {tuple(phase_of.shape)} and {tuple(amplitude_of.shape)}"
        )
    phase = torch.fft.fft2(phase_of)
    phase = torch.where(
        phase == 0, 1, phase / phase.abs().clamp(min=torch.finfo(phase_of.dtype).tiny)
    )
    return torch.fft.ifft2(torch.fft.fft2(amplitude_of).abs() * phase).real.clamp(0, 1)
