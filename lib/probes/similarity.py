"""How alike heads and successive blocks are; for the tokens of an image see ``pairwise_cosine``."""

import torch.nn.functional as F
from torch import Tensor

from lib.probes.cosine import pairwise_cosine


def head_similarity(vectors: Tensor) -> Tensor:
    """Cosine similarity of two heads, averaged over pairs of heads and over tokens.

    S = mean over tokens t and pairs of heads h ≠ h' of cos(v_ht, v_h't)

    Park et al. (2023), Fig. 5. The paper does not say which tensors it compares and no code was
    published: give the heads' outputs (attention times values; the official model returns them), or
    their attention maps.

    Args:
        vectors: ``(batch, heads, tokens, width)``, at least 2 heads.

    Returns:
        ``(batch,)``.

    Raises:
        ValueError: fewer than 2 heads.
    """
    return pairwise_cosine(vectors.transpose(1, 2)).mean(1)


def step_similarity(before: Tensor, after: Tensor) -> Tensor:
    """Cosine similarity of a token before and after a step of the encoder, averaged over tokens.

    Park et al. (2023), Fig. 5, between depths.

    Args:
        before, after: ``(batch, tokens, width)``.

    Returns:
        ``(batch,)`` in [−1, 1].

    Raises:
        ValueError: two different shapes.

    >>> step_similarity(Tensor([[[1, 0], [0, 1]]]), Tensor([[[2, 0], [1, 0]]])).item()
    0.5
    """
    if before.shape != after.shape or before.ndim != 3:
        raise ValueError(
            "expected tokens (batch, tokens, width) before and after, got shapes"
            f" {tuple(before.shape)} and {tuple(after.shape)}"
        )
    return F.cosine_similarity(before, after, dim=-1).mean(1)
