"""How much attention each patch receives."""

from torch import Tensor

from lib.probes.patch_attention import check_attention


def received_attention(attention: Tensor) -> Tensor:
    """The attention that each key receives, mean over queries and heads.

    r_k = (1/HN) Σ_h Σ_q A_hqk

    With an object's mask it tells whether queries look at the object (Park et al. 2023, Fig. 2,
    which shows it for two queries).

    Args:
        attention: ``(batch, heads, tokens, tokens)`` without prefix tokens, rows sum to 1.

    Returns:
        ``(batch, tokens)``, sums to 1.

    Raises:
        ValueError: attention that is not row-stochastic.

    >>> received_attention(Tensor([[[[1.0, 0.0], [0.5, 0.5]]]])).tolist()
    [[0.75, 0.25]]
    """
    check_attention(attention)
    return attention.mean((1, 2))
