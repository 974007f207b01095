"""Random noise of one band of spatial frequencies."""

import math

import torch
from torch import Tensor

from lib.data.draws import draws

# the nine points of the paper's axis
FREQUENCIES = tuple(round(0.1 * k, 1) * math.pi for k in range(1, 10))


def ring_bounds(frequency: float, side: int, half_width: float = 0.2) -> tuple[int, int]:
    """Inner and outer half-width of the square ring of frequencies, in cycles per image.

    bound = ⌊(f ∓ s) · side / 2π⌋, within 0 … side / 2.

    Args:
        frequency: f, middle of the ring, in radians per pixel, in (0, π).
        side: of the image, in pixels.
        half_width: s, in radians per pixel.

    Raises:
        ValueError: an odd side, a frequency outside (0, π), a ring that holds no frequency.

    >>> [ring_bounds(f, side=28) for f in FREQUENCIES]
    [(0, 2), (1, 3), (3, 5), (4, 6), (6, 7), (7, 9), (8, 10), (10, 12), (11, 13)]
    """
    if side < 2 or side % 2:
        raise ValueError(f"expected an even side, got {side} pixels")
    if not 0 < frequency < math.pi:
        raise ValueError(f"expected a frequency between 0 and π, got {frequency:.4g}")
    # a whole number stays whole
    cycles = [
        round(edge * side / (2 * math.pi), 9)
        for edge in (frequency - half_width, frequency + half_width)
    ]
    inner, outer = (min(max(int(c), 0), side // 2) for c in cycles)
    if inner >= outer:
        raise ValueError(
            f"no frequency of {side} pixels lies within {half_width:.4g} of {frequency:.4g}: take a"
            " larger half-width"
        )
    return inner, outer


def frequency_noise(
    indices: Tensor,
    frequency: float,
    channels: int,
    side: int,
    seed: int,
    half_width: float = 0.2,
    strength: float = 0.7,
) -> Tensor:
    """Noise in a ring of frequencies, to be added to normalised images.

    noise = Re IFFT(ring · FFT(ε · sign(randn))); the ring keeps the frequencies −outer … outer − 1
    of both axes without −inner … inner − 1, of :func:`ring_bounds`.

    The ring lacks the positive half of its outermost and has it of its innermost frequency; the
    real part therefore spreads those two over both signs at half the amplitude, so energy lies at
    inner ≤ max(|row frequency|, |column frequency|) ≤ outer. The energy is ε² · ring area / side²,
    up to those halves: it grows with the frequency, so compare encoders at a frequency rather than
    frequencies with each other. At 28 pixels the lowest ring holds the constant too, and the one at
    0.5π is a single frequency wide where the others are two; a half-width of 2π / side (0.224)
    makes all nine two wide and changes no other.

    Park, Kim (2022), *How Do Vision Transformers Work?*, figure 2b, whose first author is the first
    author of *What Do Self-Supervised Vision Transformers Learn?*;
    https://github.com/xxxnell/how-do-vits-work/blob/9c533de3c65f2f539a76b8dc41fbe277b12d9a3e/ops/adversarial.py#L93-L164
    has ε = 0.007, and his answer in https://github.com/xxxnell/how-do-vits-work/issues/44 has ε =
    0.7, which only makes sense after mean and deviation are normalised.

    Args:
        indices: ``(n,)`` integer indices of the images in their data set: the noise of an image
            does not depend on its batch.
        frequency: middle of the ring, in radians per pixel.
        channels: of the normalised images; each has noise of its own.
        side: of the square images, in pixels, even.
        seed: any integer.
        half_width: of the ring, in radians per pixel.
        strength: ε, in units of the normalised images.

    Returns:
        ``(n, channels, side, side)``.

    Raises:
        ValueError: of :func:`ring_bounds`.
    """
    inner, outer = ring_bounds(frequency, side, half_width)
    wave = torch.fft.fftfreq(side, 1 / side)
    within = lambda bound: (wave >= -bound) & (wave < bound)  # noqa: E731
    ring = within(outer) & within(outer)[:, None] & ~(within(inner) & within(inner)[:, None])
    sign = torch.where(draws(indices, channels * side**2, seed) < 0.5, -1.0, 1.0).reshape(
        -1, channels, side, side
    )
    return torch.fft.ifft2(torch.fft.fft2(strength * sign) * ring).real
