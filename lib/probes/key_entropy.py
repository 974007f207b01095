"""Is the map that queries share uniform, or does it pick out places?"""

import math

import torch
from torch import Tensor

from lib.probes.patch_attention import check_attention


def key_entropy(attention: Tensor) -> Tensor:
    """Entropy of the attention that each key receives, averaged over queries, as a share of the
    largest possible.

    h = H(k) / log N, p(k) = (1/N) Σ_q A_qk, 0 · log 0 = 0

    Queries that share one map have no mutual information whether that map is uniform (h = 1, as
    with random weights) or rests on a few keys (h small): this tells the two apart. Not in the
    paper.

    Args:
        attention: ``(batch, heads, tokens, tokens)`` without prefix tokens, rows sum to 1, at least
            2 tokens.

    Returns:
        ``(batch, heads)`` in [0, 1].

    Raises:
        ValueError: attention that is not row-stochastic, fewer than 2 tokens.

    >>> key_entropy(torch.full((1, 1, 4, 4), 0.25)).item()
    1.0
    """
    check_attention(attention)
    tokens = attention.shape[-1]
    if tokens < 2:
        raise ValueError(f"expected at least 2 tokens to compare, got {tokens}")
    return (torch.special.entr(attention.mean(-2)).sum(-1) / math.log(tokens)).clamp(max=1)
