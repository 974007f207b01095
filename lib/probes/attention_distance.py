"""How far, in pixels, a query looks."""

import torch
from torch import Tensor

from lib.encoders.device import double
from lib.probes.patch_attention import check_attention


def patch_distances(grid: tuple[int, int], patch_size: float, like: Tensor | None = None) -> Tensor:
    """Euclidean distances between patch centres, in pixels: ``(patches, patches)``, patches row by
    row; where ``like`` is, on the CPU if there is none."""
    where = None if like is None else like.device
    row, column = torch.meshgrid(
        *(torch.arange(side, device=where) for side in grid), indexing="ij"
    )
    centres = double(torch.stack([row.flatten(), column.flatten()], dim=1))
    return patch_size * torch.cdist(centres, centres, compute_mode="donot_use_mm_for_euclid_dist")


def attention_distance(attention: Tensor, grid: tuple[int, int], patch_size: float) -> Tensor:
    """Mean distance between query and key, weighted by attention.

    D = (1/N) Σ_q Σ_k A_qk · patch_size · ‖p_q − p_k‖₂

    Park et al. (2023), Fig. 3, after Dosovitskiy et al. (2021), Fig. 7;
    https://github.com/naver-ai/cl-vs-mim/blob/eafe516bddb302fb137f9c0dfbac9f95c4ede052/self_attention_analysis.ipynb

    Args:
        attention: ``(batch, heads, patches, patches)`` without prefix tokens, rows sum to 1.
        grid: patches (down, across).
        patch_size: side of a patch, in pixels.

    Returns:
        ``(batch, heads)``, in pixels.

    Raises:
        ValueError: attention that is not row-stochastic, or a grid with another number of patches.

    >>> uniform = torch.full((1, 1, 4, 4), 0.25)
    >>> round(attention_distance(uniform, (2, 2), 16).item(), 3)  # 16 (0 + 1 + 1 + √2) / 4
    13.657
    """
    check_attention(attention)
    patches = attention.shape[-1]
    if grid[0] * grid[1] != patches:
        raise ValueError(
            f"a grid of {grid[0]} × {grid[1]} has {grid[0] * grid[1]} patches, the attention has"
            f" {patches}"
        )
    distances = patch_distances(grid, patch_size, attention).to(attention)
    return attention.flatten(2) @ distances.flatten() / patches


def uniform_attention_distance(grid: tuple[int, int], patch_size: float) -> float:
    """Attention distance of uniform attention, in pixels: the mean of all patch distances.

    >>> round(uniform_attention_distance((14, 14), 16), 1)
    116.5
    """
    return patch_distances(grid, patch_size).mean().item()
