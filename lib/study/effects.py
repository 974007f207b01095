"""Effects of the claims that one forward pass decides: a contrastive encoder against a masked image model, image by image.

Statistics and signs are those of ``book/claims.yaml``. Arguments are what ``lib.study.measure`` returns for the two encoders on the same images.
"""

import numpy as np
from torch import Tensor

from lib.study.claims import early, gap, two_thirds

Measured = dict[str, Tensor]  # name -> (images, depth, values)
SIMILARITIES = {"B5-heads": "heads: outputs", "B5-depths": "depths: block", "B5-tokens": "tokens: after the block"}  # chosen before measuring


def attention_effects(cl: Measured, mim: Measured, uniform: float) -> dict[str, np.ndarray]:
    """Figs. 2 to 4: claim -> effect ``(images,)``; ``uniform`` is the attention distance of uniform attention, in pixels."""
    distance, mutual = "attention distance", "normalised mutual information"
    return {
        "B2-same-map": gap(cl, mim, "query similarity"),
        "B2-local": -gap(cl, mim, "local attention"),
        "B3-distance-late": gap(cl, mim, distance) / uniform,
        "B3-gap-grows": (gap(cl, mim, distance) - gap(cl, mim, distance, early)) / uniform,
        "B4-nmi-late": -gap(cl, mim, mutual),
        "B4-collapse": 0.05 - cl[mutual][:, -1].mean(1).numpy(),
    }


def similarity_effects(cl: Measured, mim: Measured) -> dict[str, np.ndarray]:
    """Fig. 5: claim -> effect ``(images,)``."""
    return {claim: gap(cl, mim, metric) for claim, metric in SIMILARITIES.items()}


def shift_effects(cl: Measured, mim: Measured) -> dict[str, np.ndarray]:
    """Fig. 6: claim -> effect ``(images,)``."""
    return {"B6-common-shift": gap(cl, mim, "common shift"), "B6-spread": -gap(cl, mim, "log spread")}


def fourier_effects(cl: Measured, mim: Measured) -> dict[str, np.ndarray]:
    """Fig. 9: claim -> effect ``(images,)``, of the highest frequency in the official convention."""
    a, b = (measured["amplitude, official"][:, :, -1].numpy() for measured in (cl, mim))  # depth 0 is what enters the first block
    return {"B9-frequency": b[:, 1:].mean(1) - a[:, 1:].mean(1), "B9-mim-ends-low": b[:, two_thirds(b.shape[1] - 1)] - b[:, -1]}


def one_pass_effects(cl: Measured, mim: Measured, uniform: float) -> dict[str, np.ndarray]:
    """All of the above."""
    return attention_effects(cl, mim, uniform) | similarity_effects(cl, mim) | shift_effects(cl, mim) | fourier_effects(cl, mim)
