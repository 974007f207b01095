"""Does an attribution look at the outline of an object, or at its inside?"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.attribution.relevance_mass import relevance_mass_accuracy


def outline(masks: Tensor, width: int = 2) -> Tensor:
    """Pixels of each mask that lie within ``width`` pixels (in both directions) of a pixel outside
    it, the image's border counting as outside.

    Args:
        masks: ``(n, 1, height, width)`` bool.
        width: in pixels, at least 1.

    Returns:
        ``(n, 1, height, width)`` bool.

    >>> outline(torch.ones(1, 1, 4, 4, dtype=torch.bool), 1)[0, 0, 1].tolist()
    [True, False, False, True]
    """
    if masks.dtype != torch.bool or masks.ndim != 4 or width < 1:
        raise ValueError(
            "expected bool masks (n, 1, height, width) and a width of at least 1, got"
            f" {masks.dtype} {tuple(masks.shape)} and {width}"
        )
    outside = F.pad((~masks).float(), [width] * 4, value=1.0)
    return masks & (F.max_pool2d(outside, 2 * width + 1, stride=1) > 0)


def outline_share(attribution: Tensor, masks: Tensor, width: int = 2) -> Tensor:
    """Share of the object's attribution that lies on its outline.

    share = Σ_{p on the outline} |A_p| / Σ_{p in the mask} |A_p|

    Args:
        attribution: ``(n, channels, height, width)``.
        masks: ``(n, 1, height, width)`` bool, True on the object.
        width: of the outline, in pixels.

    Returns:
        ``(n,)`` in [0, 1]; NaN where the object has no attribution. A uniform map has the outline's
        share of the object's area.
    """
    return relevance_mass_accuracy(attribution, outline(masks, width)) / relevance_mass_accuracy(
        attribution, masks
    )
