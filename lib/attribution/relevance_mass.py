"""How much of an attribution lies on the object."""

from torch import Tensor

from lib.attribution.checks import check_attribution
from lib.data.render import check_masks


def relevance_mass_accuracy(attribution: Tensor, masks: Tensor) -> Tensor:
    """Share of the attribution's magnitude inside a mask.

    m = Σ_{p in mask} |A_p| / Σ_p |A_p|, A_p summed over channels after the magnitude is taken

    Arras, Osman, Samek (2022), *CLEVR-XAI*, who call it relevance mass accuracy.

    Args:
        attribution: ``(n, channels, height, width)``.
        masks: ``(n, 1, height, width)`` bool, True on the object.

    Returns:
        ``(n,)`` in [0, 1]; NaN where the attribution is zero everywhere.

    >>> import torch
    >>> relevance_mass_accuracy(torch.tensor([[[[3.0, -1.0]]]]), torch.tensor([[[[True, False]]]])).item()
    0.75
    """
    check_masks(attribution, masks)
    check_attribution(attribution, attribution)
    magnitude = attribution.abs()
    return (magnitude * masks).flatten(1).sum(1) / magnitude.flatten(1).sum(1)


def relative_relevance_mass(attribution: Tensor, masks: Tensor) -> Tensor:
    """Share of the attribution inside a mask over the mask's share of the area: 1 for a uniform or
    random map.

    Args:
        attribution, masks: of :func:`relevance_mass_accuracy`.

    Returns:
        ``(n,)`` ≥ 0; NaN where the attribution is zero everywhere or the mask is empty.
    """
    return relevance_mass_accuracy(attribution, masks) / masks.to(attribution).flatten(1).mean(1)
