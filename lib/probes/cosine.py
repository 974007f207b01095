"""Mean cosine similarity within a set of vectors."""

import torch.nn.functional as F
from torch import Tensor


def pairwise_cosine(vectors: Tensor) -> Tensor:
    """Cosine similarity of two different vectors of a set, averaged over all pairs, without forming
    the pairs.

    S = Σ_{i ≠ j} cos(v_i, v_j) / (n (n − 1)) = (‖Σ_i v̂_i‖² − n) / (n (n − 1)), hats are
    L2-normalised.

    Args:
        vectors: ``(…, n, width)``, none of them zero.

    Returns:
        ``(…)`` in [−1/(n − 1), 1].

    Raises:
        ValueError: fewer than 2 vectors.

    >>> pairwise_cosine(Tensor([[1, 0], [0, 2]])).item(), pairwise_cosine(Tensor([[1, 0], [3, 0]])).item()
    (0.0, 1.0)
    """
    n = vectors.shape[-2]
    if n < 2:
        raise ValueError(f"expected at least 2 vectors to compare, got {n}")
    total = F.normalize(vectors, dim=-1).sum(-2)
    return (total.square().sum(-1) - n) / (n * (n - 1))
