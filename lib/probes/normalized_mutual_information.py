"""How much the attention map depends on the query."""

import math

import numpy as np
import torch
from torch import Tensor

from lib.probes.patch_attention import check_attention


def _log(positive: Tensor) -> Tensor:
    """Natural logarithm; on a processor and without gradients NumPy's, which takes less than half
    of torch's time."""
    if positive.requires_grad or positive.device.type != "cpu" or positive.dtype is torch.bfloat16:
        return positive.log()
    return torch.from_numpy(np.log(positive.numpy())).to(positive.device)


def _entropy_of(maps: Tensor, logits: Tensor | None) -> Tensor:
    """−Σ_q Σ_k A_qk log A_qk of one image, ``(heads,)``, 0 · log 0 = 0.

    From the logits L of a softmax it is Σ_q [log Σ_k exp L_qk − Σ_k A_qk L_qk], and the logarithm
    is L_qk − log A_qk for any k: one logarithm a row.
    """
    if logits is None:
        maps = maps.flatten(1)
        return -torch.linalg.vecdot(maps, _log(maps.clamp(min=torch.finfo(maps.dtype).tiny)))
    share, level = (t.diagonal(dim1=-2, dim2=-1) for t in (maps, logits))
    if not share.min() > 1e-30:  # too small for its logarithm: that of the largest never is
        share, level = maps.amax(-1), logits.amax(-1)
    return (level - share.log()).sum(-1) - torch.linalg.vecdot(maps, logits).sum(-1)


def normalized_mutual_information(attention: Tensor, logits: Tensor | None = None) -> Tensor:
    """Mutual information of query and key token, over the geometric mean of their entropies.

    p(q) = 1/N, p(k|q) = A_qk, p(k) = Σ_q p(q) p(k|q)
    NMI = I / √(H(q) H(k)), I = H(k) − Σ_q p(q) H(k|q), 0 · log 0 = 0

    0 when every query has the same map (attention collapse), 1 when each query has a key of its
    own. The official code adds 1e-8 to every entry to avoid log 0; here the limit is taken exactly.

    Park et al. (2023), Fig. 4;
    https://github.com/naver-ai/cl-vs-mim/blob/eafe516bddb302fb137f9c0dfbac9f95c4ede052/self_attention_analysis.ipynb

    Args:
        attention: ``(batch, heads, tokens, tokens)`` without prefix tokens, rows sum to 1.
        logits: of that shape, of whose softmax over keys the attention is; the result is the same,
            in less than half of the time.

    Returns:
        ``(batch, heads)`` in [0, 1]; 0 where all queries share one single key.

    Raises:
        ValueError: attention that is not row-stochastic, logits of another shape.

    >>> normalized_mutual_information(torch.eye(4)[None, None]).item()
    1.0
    >>> normalized_mutual_information(torch.full((1, 1, 4, 4), 0.25)).item()
    0.0
    """
    check_attention(attention)
    if logits is not None and logits.shape != attention.shape:
        raise ValueError(
            f"expected logits of the attention's shape {tuple(attention.shape)}, got"
            f" {tuple(logits.shape)}"
        )
    tokens = attention.shape[-1]
    # one image after the other, whose maps stay in the cache
    found = [
        (maps.mean(-2), _entropy_of(maps, None if logits is None else logits[i]))
        for i, maps in enumerate(attention)
    ]
    shared, total = (torch.stack(values) for values in zip(*found, strict=True))
    entropy_key = torch.special.entr(shared).sum(-1)
    entropy_key_given_query = total / tokens
    information = (entropy_key - entropy_key_given_query).clamp(min=0)
    scale = (math.log(tokens) * entropy_key).sqrt()
    return torch.where(
        scale > 0, information / scale.clamp(min=torch.finfo(scale.dtype).tiny), 0
    ).clamp(max=1)
