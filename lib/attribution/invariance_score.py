"""The score that SSLA attributes: how similar an image's representation is to those of its own
views."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.encoders.encoder import Encoder


@torch.no_grad()
def mean_view(encoder: Encoder, views: Tensor, batch_size: int = 256) -> Tensor:
    """Mean of the normalised representations of each image's views, computed once and then held
    constant.

    z̄ = (1/N) Σ_i z_i / ‖z_i‖, z_i = f(τ_i(x)). The score needs no more than this: its cost does
    not depend on the number of views.

    Args:
        encoder: f.
        views: ``(images, views, channels, height, width)`` in [0, 1].
        batch_size: views per forward pass.

    Returns:
        ``(images, width)``, of length 1 where all views agree and shorter where they do not.

    Raises:
        ValueError: a wrong shape or no views.
    """
    if views.ndim != 5 or views.shape[1] == 0:
        raise ValueError(
            "expected views (images, views, channels, height, width) with at least one view, got"
            f" shape {tuple(views.shape)}"
        )
    z = encoder.representations(views.flatten(0, 1), batch_size).unflatten(0, views.shape[:2])
    return F.normalize(z, dim=2).mean(1)


def invariance_score(encoder: Encoder, images: Tensor, mean_views: Tensor) -> Tensor:
    """Mean cosine similarity of an image's representation with those of its views.

    S(x, f, Z) = (1/N) Σ_i cos(f(x), z_i) = f(x)/‖f(x)‖ · z̄

    With f(x₀)/‖f(x₀)‖ in place of z̄ the score is cos(f(x), f(x₀)).

    SSLA (2025), section 3.3; the paper does not state N.

    Args:
        encoder: f.
        images: x, ``(images, channels, height, width)`` in [0, 1]; gradients flow to them.
        mean_views: z̄ of :func:`mean_view`, ``(images, width)``.

    Returns:
        ``(images,)`` in [−1, 1].

    Raises:
        ValueError: another number of images than of mean views.
    """
    if len(images) != len(mean_views):
        raise ValueError(
            f"expected one mean view per image, got {len(images)} images and {len(mean_views)} mean"
            " views"
        )
    return (F.normalize(encoder(images), dim=1) * mean_views).sum(1)
