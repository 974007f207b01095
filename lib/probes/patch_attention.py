"""Attention among patch tokens, and the checks that every attention metric shares."""

import torch
from torch import Tensor


def patch_attention(attention: Tensor, prefix_tokens: int) -> Tensor:
    """Drop the prefix tokens as queries and as keys, and let the rows sum to 1 again.

    Ã_qk = A_qk / Σ_k' A_qk', q and k over patch tokens.

    Park et al. (2023), Figs. 3 and 4;
    https://github.com/naver-ai/cl-vs-mim/blob/eafe516bddb302fb137f9c0dfbac9f95c4ede052/self_attention_analysis.ipynb

    Args:
        attention: ``(batch, heads, prefix + patches, prefix + patches)``.
        prefix_tokens: class and register tokens, ≥ 0.

    Returns:
        ``(batch, heads, patches, patches)``. A query that attends to no patch token at all gets
        uniform attention.

    >>> attention = torch.full((1, 1, 3, 3), 1 / 3)
    >>> patch_attention(attention, 1)[0, 0].tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    return patch_shares(attention, prefix_tokens)[0]


def patch_shares(attention: Tensor, prefix_tokens: int) -> tuple[Tensor, bool]:
    """:func:`patch_attention`, and whether every query attends to patch tokens; then its rows are
    also the softmax of the logits among patch tokens."""
    patches = attention[:, :, prefix_tokens:, prefix_tokens:]
    mass = patches.sum(-1, keepdim=True)
    shares, whole = patches / mass, bool((mass > 0).all())
    return shares if whole else torch.where(mass > 0, shares, 1 / patches.shape[-1]), whole


def check_attention(attention: Tensor) -> None:
    """Refuse what is not row-stochastic attention ``(batch, heads, tokens, tokens)``.

    A tensor that has passed is marked with its version, so that the statistics of one map check it
    once; a change in place undoes the mark.

    Raises:
        ValueError: a wrong shape, negative or non-finite values, rows that do not sum to 1.
    """
    version = None if attention.is_inference() else attention._version
    if version is not None and getattr(attention, "row_stochastic", None) == version:
        return
    if attention.ndim != 4 or attention.shape[-1] != attention.shape[-2]:
        raise ValueError(
            f"expected attention (batch, heads, tokens, tokens), got shape {tuple(attention.shape)}"
        )
    if not attention.min() >= 0:  # also refuses NaN
        raise ValueError(f"expected attention >= 0, got {attention.min():.4g}")
    error = (attention.sum(-1) - 1).abs().max().item()
    if not error < 1e-3:
        raise ValueError(
            f"expected rows that sum to 1, the worst is off by {error:.3g}; drop prefix tokens with"
            " patch_attention"
        )
    attention.row_stochastic = version
