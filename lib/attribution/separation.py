"""How well an attribution tells features that matter from those that do not, in one number."""

from collections.abc import Sequence

from torch import Tensor

from lib.attribution.mask_and_attack import Attack, mask_and_attack
from lib.encoders.encoder import Encoder


def separation(
    encoder: Encoder, images: Tensor, attribution: Tensor, attack: Attack | float, indices: Tensor,
    rates: Sequence[float] = (0.25, 0.5, 0.75), **options
) -> Tensor:  # fmt: skip
    """Similarity left when the important features are protected minus that left when the
    unimportant are, mean over mask rates.

    separation = mean_r [cos_MI(r) − cos_MU(r)]

    It joins the two criteria of SSLA (2025), section 4.3: a high MI curve and a low MU curve. A
    random map has expectation 0.

    Args:
        encoder, images, attribution, attack, indices, options: of
            :func:`lib.attribution.mask_and_attack.mask_and_attack`.
        rates: shares of protected features.

    Returns:
        ``(n,)`` in [−2, 2].

    Raises:
        ValueError: as that function.
    """
    important, unimportant = (
        mask_and_attack(encoder, images, attribution, rates, strategy, attack, indices, **options)
        for strategy in ("important", "unimportant")
    )
    return (important - unimportant).mean(1)
