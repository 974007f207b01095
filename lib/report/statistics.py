"""Statistics of the claims that one forward pass decides, image by image; which way round they are
compared is in ``book/claims.yaml``.

Arguments are what ``lib.kept`` measures of one encoder: name -> ``(images, depth, values)``.
Blocks are averaged over, and so are heads.
"""

from collections.abc import Callable

import numpy as np
import torch.nn.functional as F
from torch import Tensor

Measured = dict[str, Tensor]
SIMILARITIES = {
    "B5-heads": "heads: outputs",
    "B5-depths": "depths: block",
    "B5-tokens": "tokens: after the block",
}  # chosen before measuring


def two_thirds(depth: int) -> int:
    """Number of the block at two thirds of the depth, rounded up.

    >>> two_thirds(8), two_thirds(12)
    (6, 8)
    """
    return -(-2 * depth // 3)


def late(depth: int) -> list[int]:
    """Indices of the blocks deeper than two thirds of the encoder.

    >>> late(8), late(12)
    ([5, 6, 7], [8, 9, 10, 11])
    """
    return [block for block in range(depth) if 3 * (block + 1) > 2 * depth]


def early(depth: int) -> list[int]:
    """Indices of the blocks up to one third of the encoder.

    >>> early(8), early(12)
    ([0, 1], [0, 1, 2, 3])
    """
    return [block for block in range(depth) if 3 * (block + 1) <= depth]


def over_blocks(values: Tensor, where: Callable[[int], list[int]] = late) -> np.ndarray:
    """Average a statistic ``(images, depth, heads)`` over the heads and over some blocks, ``late``
    or ``early``: ``(images,)``."""
    return values[:, where(values.shape[1])].mean((1, 2)).numpy()


def attention_statistics(measured: Measured, uniform: float) -> dict[str, np.ndarray]:
    """Figs. 2 to 4: claim -> statistic ``(images,)``; ``uniform`` is the attention distance of
    uniform attention, in pixels."""
    distance, mutual = measured["attention distance"], measured["normalised mutual information"]
    return {
        "B2-same-map": over_blocks(measured["query similarity"]),
        "B2-local": over_blocks(measured["local attention"]),
        "B3-distance-late": over_blocks(distance) / uniform,
        "B3-gap-grows": (over_blocks(distance) - over_blocks(distance, early)) / uniform,
        "B4-nmi-late": over_blocks(mutual),
        "B4-collapse": 0.05 - mutual[:, -1].mean(1).numpy(),
    }


def object_statistics(
    measured: Measured, masks: Tensor, grid: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Fig. 2: the share of late attention that the object receives over its share of the area.

    Args:
        measured: with ``"received attention"`` ``(images, depth, patches)``.
        masks: ``(images, 1, height, width)`` bool, True on the object.
        grid: patches down and across.

    Returns:
        claim -> ``(images,)``; 1 for uniform attention.
    """
    covered = F.adaptive_avg_pool2d(masks.float(), grid).flatten(
        1
    )  # share of each patch on the object
    received = measured["received attention"]
    late_blocks = received[:, late(received.shape[1])].mean(1)
    return {"B2-object": ((late_blocks * covered).sum(1) / covered.mean(1)).numpy()}


def similarity_statistics(measured: Measured) -> dict[str, np.ndarray]:
    """Fig. 5: claim -> statistic ``(images,)``."""
    return {claim: over_blocks(measured[metric]) for claim, metric in SIMILARITIES.items()}


def shift_statistics(measured: Measured) -> dict[str, np.ndarray]:
    """Fig. 6: claim -> statistic ``(images,)``."""
    return {
        "B6-common-shift": over_blocks(measured["common shift"]),
        "B6-spread": over_blocks(measured["log spread"]),
    }


def fourier_statistics(measured: Measured) -> dict[str, np.ndarray]:
    """Fig. 9: claim -> statistic ``(images,)``, of the highest frequency in the official
    convention."""
    last = measured["amplitude, official"][
        :, :, -1
    ].numpy()  # depth 0 is what enters the first block
    return {
        "B9-frequency": last[:, 1:].mean(1),
        "B9-mim-ends-low": last[:, two_thirds(last.shape[1] - 1)] - last[:, -1],
    }


def one_pass_statistics(measured: Measured, uniform: float) -> dict[str, np.ndarray]:
    """All that need neither masks nor labels."""
    return (
        attention_statistics(measured, uniform)
        | similarity_statistics(measured)
        | shift_statistics(measured)
        | fourier_statistics(measured)
    )


def probe_statistics(correct: np.ndarray) -> dict[str, np.ndarray]:
    """Fig. 10: claim -> statistic ``(images,)``.

    Args:
        correct: ``(images, 1 + depth)``, 1 where a linear probe of that depth is right; depth 0 is
            what enters the first block.
    """
    depth = correct.shape[1] - 1
    early_blocks = [block + 1 for block in early(depth)]
    rise = correct[:, -1] - correct[:, two_thirds(depth)]
    first_rise = (
        correct[:, early_blocks[-1]] - correct[:, 1] if early_blocks else np.zeros(len(correct))
    )
    return {
        "B10-early": correct[:, early_blocks].mean(1),
        "B10-cl-rises": rise,
        "B10-mim-falls": -rise,
        "B10-best": correct[:, correct.mean(0).argmax()],
        "B10-slopes": rise - first_rise,
    }
