"""The order in which an attribution puts the features of an image."""

from typing import Literal

from torch import Tensor

from lib.data.draws import draws

Unit = Literal["pixel", "entry"]


def importance_rank(
    attribution: Tensor, indices: Tensor, seed: int = 0, unit: Unit = "pixel"
) -> Tensor:
    """Rank of every feature, 0 for the largest attribution; ties are broken at random, by the
    image's index and the seed.

    Ties are common (every black pixel under SSLA's own step rule), and an order of position would
    favour one side of the image. The values count with their sign; pass absolute values to rank by
    magnitude. A constant attribution gives a random order.

    Args:
        attribution: ``(n, channels, height, width)``.
        indices: ``(n,)`` integer indices of the images in their data set.
        seed: any integer.
        unit: ``"pixel"`` ranks positions by the sum over channels, ``"entry"`` ranks every channel
            of every pixel.

    Returns:
        ``(n, 1, height, width)`` for pixels, ``(n, channels, height, width)`` for entries; int64,
        each image a permutation.

    Raises:
        ValueError: an unknown unit, values that are not finite, another number of indices.

    >>> import torch
    >>> importance_rank(torch.tensor([[[[0.1, 0.7, 0.4]]]]), torch.tensor([0])).flatten().tolist()
    [2, 0, 1]
    """
    if unit not in ("pixel", "entry"):
        raise ValueError(f"unit is 'pixel' or 'entry', got {unit!r}")
    if not attribution.isfinite().all():
        raise ValueError("expected a finite attribution, got NaN or infinity")
    if len(indices) != len(attribution):
        raise ValueError(
            f"expected one index per image, got {len(indices)} indices and {len(attribution)}"
            " attributions"
        )
    values = attribution.sum(1, keepdim=True) if unit == "pixel" else attribution
    flat = values.detach().flatten(1)
    shuffled = draws(indices, flat.shape[1], seed).to(flat.device).argsort(dim=1, stable=True)
    order = shuffled.gather(
        1, flat.gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    )
    return order.argsort(dim=1).reshape(values.shape)


def feature_count(share: float, features: int) -> int:
    """Number of features nearest to a share of them.

    Raises:
        ValueError: a share outside [0, 1].

    >>> feature_count(0.3, 784)
    235
    """
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share in [0, 1], got {share}")
    return round(share * features)
