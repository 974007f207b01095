"""Attention distance and normalised mutual information against the formulas as the official
notebook writes them.

Park et al. (2023);
https://github.com/naver-ai/cl-vs-mim/blob/eafe516bddb302fb137f9c0dfbac9f95c4ede052/self_attention_analysis.ipynb
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.bench.clock import least_seconds
from lib.probes.attention_distance import attention_distance, patch_distances
from lib.probes.normalized_mutual_information import normalized_mutual_information

AIM_RATIO, TOLERANCE = 10.0, 1e-5
PATCH_SIZE = 16


def official_distance(attention: Tensor, distances: np.ndarray) -> Tensor:
    """Broadcast product with the distances, sum over keys, mean over queries (numpy)."""
    weighted = attention.numpy() * distances.reshape(1, 1, *distances.shape)
    return torch.tensor(np.mean(np.sum(weighted, axis=-1), axis=-1))


def official_nmi(attention: Tensor) -> Tensor:
    """Every probability expanded to queries × keys before the sum (torch)."""
    b, h, q, k = attention.shape
    p_query = torch.ones(b, h, q).softmax(-1)
    p_query_expanded = p_query[..., None].expand(b, h, q, k)
    p_key = (attention * p_query_expanded).sum(2)
    p_key_expanded = p_key[:, :, None].expand(b, h, q, k)
    information = (attention * p_query_expanded * torch.log(attention / p_key_expanded)).sum((2, 3))
    entropy_query = -(p_query * p_query.log()).sum(-1)
    entropy_key = -(p_key * p_key.log()).sum(-1)
    return information / (entropy_query * entropy_key).sqrt()


def measure(
    images: int = 16, heads: int = 12, grid: tuple[int, int] = (14, 14), rounds: int = 7
) -> pd.DataFrame:
    """Seconds of both statistics on the same random attention, their ratio, and the largest
    difference of values (of distances relative).

    The official notebook's loop over pairs of patches that fills the distance matrix is left out of
    its time.
    """
    patches = grid[0] * grid[1]
    logits = torch.randn(
        images, heads, patches, patches, generator=torch.Generator().manual_seed(0)
    )
    logits *= 2
    attention = logits.softmax(-1)
    distances = patch_distances(grid, PATCH_SIZE).numpy()
    tasks = {
        ("distance", "official"): lambda: official_distance(attention, distances),
        ("distance", "here"): lambda: attention_distance(attention, grid, PATCH_SIZE),
        ("mutual information", "official"): lambda: official_nmi(attention),
        ("mutual information", "here"): lambda: normalized_mutual_information(attention, logits),
    }
    table = pd.Series(least_seconds(list(tasks.items()), rounds)).unstack()
    values = {name: task().double() for name, task in tasks.items()}
    table.loc["both"] = table.sum()
    table["ratio"] = table["official"] / table["here"]
    difference = {
        name: ((values[name, "here"] / values[name, "official"]) - 1).abs().max().item()
        for name in ("distance", "mutual information")
    }
    table["difference"] = pd.Series(difference | {"both": max(difference.values())})
    return table[["official", "here", "ratio", "difference"]]
