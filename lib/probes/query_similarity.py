"""Do two queries of a head look at the same place?"""

from torch import Tensor

from lib.probes.cosine import pairwise_cosine
from lib.probes.patch_attention import check_attention


def query_similarity(attention: Tensor) -> Tensor:
    """Cosine similarity of the attention maps of two different queries, averaged over all pairs.

    S = Σ_{q ≠ q'} cos(A_q, A_q') / (N (N − 1)) = (‖Σ_q Â_q‖² − N) / (N (N − 1)), hats are
    L2-normalised rows.

    The number behind the pictures of Park et al. (2023), Fig. 2; the paper shows maps alone.

    Args:
        attention: ``(batch, heads, tokens, tokens)`` without prefix tokens, rows sum to 1, at least
            2 tokens.

    Returns:
        ``(batch, heads)`` in [0, 1]: 1 when all queries share one map, 0 when no two maps overlap.

    Raises:
        ValueError: attention that is not row-stochastic, fewer than 2 tokens.
    """
    check_attention(attention)
    return pairwise_cosine(attention)
