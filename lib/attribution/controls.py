"""Maps that know nothing of the encoder: what an attribution must beat.

Each is called like an attribution, (encoder, images, mean views), and ignores the encoder and the
views.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.data.draws import draws
from lib.encoders.encoder import Encoder


def pixel_value(
    encoder: Encoder | None, images: Tensor, mean_views: Tensor | None = None
) -> Tensor:
    """A = |x|, ``(n, channels, height, width)``: the brightness itself. An all-black image gets a
    zero map, with a warning."""
    check_images(images)
    return warn_zero_maps(images.detach().abs(), "pixel value")


def edge_magnitude(
    encoder: Encoder | None, images: Tensor, mean_views: Tensor | None = None
) -> Tensor:
    """Sobel's edge magnitude of each channel, A = √(G_x² + G_y²), borders replicated;
    ``(n, channels, height, width)``.

    A constant image gets a zero map, with a warning.

    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    >>> edge_magnitude(None, step)[0, 0, 1].tolist()  # (1 + 2 + 1) × the step
    [0.0, 4.0, 4.0, 0.0]
    """
    check_images(images)
    across = images.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([across, across.T]).unsqueeze(1)
    flat = F.pad(images.detach().flatten(0, 1).unsqueeze(1), [1] * 4, mode="replicate")
    magnitude = F.conv2d(flat, kernels).square().sum(1).sqrt().reshape(images.shape)
    return warn_zero_maps(magnitude, "edge magnitude")


def centre_prior(
    encoder: Encoder | None, images: Tensor, mean_views: Tensor | None = None
) -> Tensor:
    """A Gaussian at the centre, standard deviation a quarter of each side: A = exp(−8 (u² + v²)),
    u, v in (−½, ½).

    Returns ``(n, channels, height, width)``, the same for every image.
    """
    check_images(images)
    v, u = (
        ((torch.arange(side, device=images.device) + 0.5) / side - 0.5).to(images)
        for side in images.shape[2:]
    )
    return torch.exp(-8 * (v[:, None] ** 2 + u**2)).expand_as(images)


def random_map(
    encoder: Encoder | None,
    images: Tensor,
    mean_views: Tensor | None = None,
    indices: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Uniform random numbers, ``(n, channels, height, width)``, that belong to the image's index.

    Args:
        encoder, mean_views: ignored.
        images: ``(n, channels, height, width)`` in [0, 1]; the shape alone counts.
        indices: ``(n,)`` integer indices of the images in their data set; 0 … n − 1 where None.
        seed: any integer.
    """
    check_images(images)
    indices = torch.arange(len(images), device=images.device) if indices is None else indices
    return draws(indices, images[0].numel(), seed).to(images).reshape(images.shape)
