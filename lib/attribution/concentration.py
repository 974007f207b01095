"""Over how much of an image an attribution is spread."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.attribution.checks import check_attribution


def effective_area(attribution: Tensor, patch_size: int = 1) -> Tensor:
    """Share of the image over which an attribution is spread: the exponential of the entropy of its
    shares per patch, over the patches.

    p_i = Σ_{pixels of patch i} |A| / Σ |A|, area = exp(−Σ_i p_i log p_i) / patches

    Args:
        attribution: ``(n, channels, height, width)``; sides that the patch size divides.
        patch_size: in pixels; 1 counts pixels.

    Returns:
        ``(n,)``: 1 for a uniform map, 1 / patches where one patch holds everything; NaN where the
        attribution is zero everywhere.

    Raises:
        ValueError: a patch size that does not divide the sides.

    >>> effective_area(torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])).item()
    0.5
    """
    check_attribution(attribution, attribution)
    height, width = attribution.shape[2:]
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise ValueError(f"expected a patch size that divides {height} × {width}, got {patch_size}")
    mass = F.avg_pool2d(attribution.abs().sum(1, keepdim=True), patch_size).flatten(1)
    share = mass / mass.sum(1, keepdim=True)
    return torch.special.entr(share).sum(1).exp() / share.shape[1]
