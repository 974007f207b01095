"""Does the largest attribution fall on the object?"""

from torch import Tensor

from lib.attribution.checks import check_attribution
from lib.data.render import check_masks


def pointing_game(attribution: Tensor, masks: Tensor) -> Tensor:
    """Hit or miss of the pixel with the largest attribution, summed over channels.

    Zhang et al. (2018), *Top-Down Neural Attention by Excitation Backprop*, without their margin of
    15 px around the object.

    Args:
        attribution: ``(n, channels, height, width)``.
        masks: ``(n, 1, height, width)`` bool, True on the object.

    Returns:
        ``(n,)``: 1 for a hit, 0 for a miss; where several pixels share the maximum, the share of
        them on the object. A constant map gets the mask's share of the area, as a random map does
        on average.

    >>> import torch
    >>> pointing_game(torch.tensor([[[[0.2, 0.9, 0.9]]]]), torch.tensor([[[[True, True, False]]]])).item()
    0.5
    """
    check_masks(attribution, masks)
    check_attribution(attribution, attribution)
    values = attribution.sum(1).flatten(1)
    largest = values == values.amax(1, keepdim=True)
    return (largest & masks.flatten(1)).sum(1) / largest.sum(1)
