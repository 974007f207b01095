"""How much of its attention a query spends on its neighbourhood."""

import torch
from torch import Tensor

from lib.probes.patch_attention import check_attention


def neighbourhood(grid: tuple[int, int], radius: int = 1, like: Tensor | None = None) -> Tensor:
    """``(patches, patches)`` bool: is the key at most ``radius`` rows and columns away from the
    query? It is where ``like`` is, on the CPU if there is none."""
    where = None if like is None else like.device
    row, column = torch.meshgrid(
        *(torch.arange(side, device=where) for side in grid), indexing="ij"
    )
    centres = torch.stack([row.flatten(), column.flatten()], dim=1)
    return (centres[:, None] - centres[None]).abs().amax(-1) <= radius


def local_attention(attention: Tensor, grid: tuple[int, int], radius: int = 1) -> Tensor:
    """Share of attention on the square of patches around the query, the query included.

    L = (1/N) Σ_q Σ_k A_qk [max(|Δrow|, |Δcolumn|) ≤ radius]

    The number behind "MIM attends to itself and its neighbours" (Park et al. 2023, Fig. 2; the
    paper shows maps alone).

    Args:
        attention: ``(batch, heads, patches, patches)`` without prefix tokens, rows sum to 1.
        grid: patches (down, across).
        radius: in patches; 1 is the 3 × 3 square.

    Returns:
        ``(batch, heads)`` in [0, 1].

    Raises:
        ValueError: attention that is not row-stochastic, or a grid with another number of patches.

    >>> round(local_attention(torch.full((1, 1, 9, 9), 1 / 9), (3, 3)).item(), 4)  # (4 · 4 + 4 · 6 + 9) / 81
    0.6049
    """
    check_attention(attention)
    near = neighbourhood(grid, radius, attention)
    if len(near) != attention.shape[-1]:
        raise ValueError(
            f"a grid of {grid[0]} × {grid[1]} has {len(near)} patches, the attention has"
            f" {attention.shape[-1]}"
        )
    return attention.flatten(2) @ near.flatten().to(attention) / len(near)
