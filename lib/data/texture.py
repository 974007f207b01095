"""Textures without a silhouette: a procedural family with known parameters, and the interior of a
garment."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.data.draws import draws

TEXTURE_KINDS = ("stripes", "checks", "dots", "noise")
WAVELENGTHS = (3.0, 8.0)  # pixels; the shortest stays above the 2 pixels that a grid can carry
CONTRASTS = (0.4, 1.0)
_WAVES = 12  # plane waves in the noise


@dataclass(frozen=True)
class TextureParameters:
    """What a procedural texture looks like, one entry per image.

    Attributes:
        kind: ``(n,)`` int64, index into ``TEXTURE_KINDS``.
        wavelength: ``(n,)`` period in pixels.
        angle: ``(n,)`` direction of the period in radians, in [0, π), from the x axis towards the
            bottom.
        phase: ``(n, 2)`` radians, along and across that direction.
        contrast: ``(n,)`` in [0, 1].
        waves: ``(n, 12, 3)`` in [0, 1): direction, wavelength and phase of each plane wave of the
            noise, within its range.
    """

    kind: Tensor
    wavelength: Tensor
    angle: Tensor
    phase: Tensor
    contrast: Tensor
    waves: Tensor


def texture_parameters(indices: Tensor, seed: int) -> TextureParameters:
    """Parameters that belong to the image index, whatever the batch: uniform over kinds,
    wavelengths, angles, phases, contrasts.

    Args:
        indices: ``(n,)`` integer indices of the images.
        seed: any integer.

    >>> texture_parameters(torch.arange(6), seed=0).kind.shape
    torch.Size([6])
    """
    u = draws(indices, 6 + 3 * _WAVES, seed).double()
    between = lambda column, low, high: low + (high - low) * u[:, column]  # noqa: E731
    return TextureParameters(
        kind=(u[:, 0] * len(TEXTURE_KINDS)).long(),
        wavelength=between(1, *WAVELENGTHS),
        angle=between(2, 0, math.pi),
        phase=u[:, 3:5] * 2 * math.pi,
        contrast=between(5, *CONTRASTS),
        waves=u[:, 6:].reshape(-1, _WAVES, 3),
    )


def _pattern(kind: str, p: TextureParameters, x: Tensor, y: Tensor) -> Tensor:
    """The pattern ``(n, height, width)`` in [−1, 1] of one kind."""
    column = lambda t: t[:, None, None]  # noqa: E731
    wave = lambda angle, length, phase: (
        2 * math.pi * (x * column(angle.cos() / length) + y * column(angle.sin() / length))
        + column(phase)
    )  # noqa: E731
    if kind == "noise":
        total = torch.zeros(len(p.angle), *x.shape, dtype=x.dtype)
        for k, (turn, stretch, phase) in enumerate(p.waves.permute(1, 2, 0)):
            angle = p.angle + math.pi * (k + turn) / _WAVES
            total += wave(angle, p.wavelength * (0.8 + 0.4 * stretch), phase * 2 * math.pi).cos()
        return (total / math.sqrt(2 * _WAVES)).clamp(-1, 1)
    along = wave(p.angle, p.wavelength, p.phase[:, 0])
    if kind == "stripes":
        return along.sin()
    across = wave(p.angle + math.pi / 2, p.wavelength, p.phase[:, 1])
    if kind == "checks":
        return along.sin() * across.sin()
    return 2 * (along.cos() + across.cos() - 2).exp() - 1  # dots


def texture(parameters: TextureParameters, size: tuple[int, int] = (28, 28)) -> Tensor:
    """Render the procedural textures: x = ½ + ½ · contrast · pattern.

    With a = 2π u / wavelength + phase₁ along the angle and b = 2π v / wavelength + phase₂ across
    it, the pattern is

    - stripes: sin a
    - checks: sin a · sin b
    - dots: 2 exp(cos a + cos b − 2) − 1, round bright spots on a square lattice
    - noise: Σₖ cos(wave k) / √24, clipped to [−1, 1]: 12 plane waves whose directions cover the
      half circle evenly with jitter and whose wavelengths are 0.8 to 1.2 × the wavelength, that is,
      isotropic noise in that band (clipped at two standard deviations).

    Args:
        parameters: of n textures.
        size: height and width in pixels; coordinates are measured from the centre.

    Returns:
        ``(n, 1, height, width)`` float32 in [0, 1].

    Raises:
        ValueError: an unknown kind.
    """
    if ((parameters.kind < 0) | (parameters.kind >= len(TEXTURE_KINDS))).any():
        raise ValueError(
            f"kind is an index into {TEXTURE_KINDS}, got {parameters.kind.unique().tolist()}"
        )
    y, x = torch.meshgrid(
        *(torch.arange(s, dtype=torch.float64) - (s - 1) / 2 for s in size), indexing="ij"
    )
    rendered = torch.empty(len(parameters.kind), *size, dtype=torch.float64)
    for number, kind in enumerate(TEXTURE_KINDS):
        chosen = parameters.kind == number
        if chosen.any():
            some = TextureParameters(
                **{name: values[chosen].double() for name, values in vars(parameters).items()}
            )
            rendered[chosen] = 0.5 + 0.5 * some.contrast[:, None, None] * _pattern(kind, some, x, y)
    return rendered.float().unsqueeze(1)


def interior(images: Tensor, masks: Tensor, largest: int = 12) -> Tensor:
    """Texture of the garment without its silhouette: a square from its middle, mirrored over the
    whole image.

    The square is the largest one, up to ``largest`` pixels a side, that lies wholly on the mask; of
    several places the one whose centre is nearest to the mask's centroid (then the first in reading
    order). It is put in the top left corner and reflected about its edges, edge pixels repeated (…
    2 1 0 0 1 2 … s−1 s−1 …), until the image is full. No pixel from outside the mask is used;
    ``garment_mask`` closes gaps of up to 2 pixels, so to keep the dark gap between trouser legs
    out, pass ``masks & (images > 0.06)``.

    Args:
        images: ``(n, channels, height, width)``.
        masks: ``(n, 1, height, width)`` bool, at least one True each.
        largest: largest side of the square in pixels.

    Returns:
        ``(n, channels, height, width)``.

    Raises:
        ValueError: an empty mask, a side below 1, shapes that do not fit.
    """
    if (
        images.ndim != 4
        or masks.dtype != torch.bool
        or masks.shape != (len(images), 1, *images.shape[2:])
    ):
        raise ValueError(
            f"expected bool masks (n, 1, height, width) for images {tuple(images.shape)}, got"
            f" {masks.dtype} {tuple(masks.shape)}"
        )
    if not masks.flatten(1).any(1).all():
        raise ValueError(
            "expected at least one pixel on every mask, got an empty mask at position"
            f" {masks.flatten(1).any(1).int().argmin()}"
        )
    if largest < 1:
        raise ValueError(f"expected a largest side of at least 1 pixel, got {largest}")
    (n, _, height, width), fits = images.shape, masks[:, 0]
    row, column = torch.arange(height), torch.arange(width)
    area = fits.sum((1, 2))
    centre_y, centre_x = (fits.sum(2) * row).sum(1) / area, (fits.sum(1) * column).sum(1) / area
    side, corner = torch.ones(n, dtype=torch.long), torch.zeros(n, 2, dtype=torch.long)
    for s in range(1, min(largest, height, width) + 1):
        if s > 1:  # a square fits where the four next smaller ones in its corners do
            fits = fits[:, :-1, :-1] & fits[:, 1:, :-1] & fits[:, :-1, 1:] & fits[:, 1:, 1:]
        dy, dx = (
            (axis[: len(axis) - s + 1] + (s - 1) / 2 - centre[:, None]) ** 2
            for axis, centre in ((row, centre_y), (column, centre_x))
        )
        distance = (dy[:, :, None] + dx[:, None, :]).masked_fill(~fits, math.inf).flatten(1)
        best, found = distance.argmin(1), fits.flatten(1).any(1)
        side[found] = s
        corner[found] = torch.stack([best // fits.shape[2], best % fits.shape[2]], 1)[found]
    fold = lambda axis: torch.minimum(
        axis % (2 * side[:, None]), 2 * side[:, None] - 1 - axis % (2 * side[:, None])
    )  # noqa: E731
    rows, columns = corner[:, :1] + fold(row), corner[:, 1:] + fold(column)
    return (
        images[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        .permute(0, 3, 1, 2)
        .contiguous()
    )
