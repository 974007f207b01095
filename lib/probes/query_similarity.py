"""Do two queries of a head look at the same place?"""

import torch.nn.functional as F
from torch import Tensor

from lib.probes.patch_attention import check_attention


def query_similarity(attention: Tensor) -> Tensor:
    """Cosine similarity of the attention maps of two different queries, averaged over all pairs.

    S = Σ_{q ≠ q'} cos(A_q, A_q') / (N (N − 1)) = (‖Σ_q Â_q‖² − N) / (N (N − 1)), hats are L2-normalised rows.

    The number behind the pictures of Park et al. (2023), Fig. 2; the paper shows maps alone.

    Args:
        attention: ``(batch, heads, tokens, tokens)`` without prefix tokens, rows sum to 1, at least 2 tokens.

    Returns:
        ``(batch, heads)`` in [0, 1]: 1 when all queries share one map, 0 when no two maps overlap.

    Raises:
        ValueError: attention that is not row-stochastic, fewer than 2 tokens.
    """
    check_attention(attention)
    tokens = attention.shape[-1]
    if tokens < 2:
        raise ValueError(f"expected at least 2 tokens to compare, got {tokens}")
    total = F.normalize(attention, dim=-1).sum(-2)
    return (total.square().sum(-1) - tokens) / (tokens * (tokens - 1))
