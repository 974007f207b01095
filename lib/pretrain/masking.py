"""Random masks over the patch grid for masked image modelling."""

import math

import torch
from torch import Generator, Tensor


def blank(images: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Normalised images ``(n, c, h, w)`` with the pixels of masked patches at 0, the mean colour,
    so that no stem can look into them.

    Args:
        images: normalised.
        mask: ``(n, patches)`` bool, True where masked.
        grid: patches (down, across).

    >>> blank(torch.ones(1, 1, 2, 4), torch.tensor([[True, False]]), (1, 2))[0, 0, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    across, down = images.shape[-1] // grid[1], images.shape[-2] // grid[0]
    hidden = mask.reshape(-1, 1, *grid).repeat_interleave(down, 2).repeat_interleave(across, 3)
    return images.masked_fill(hidden, 0)


def block_mask(
    n: int, grid: tuple[int, int], mask_rate: float, generator: Generator, block: int = 2
) -> Tensor:
    """Mask exactly ⌈mask_rate · patches⌉ patches per image, in blocks of ``block`` × ``block``.

    The grid is tiled with blocks at a random offset per image; blocks are masked in random order
    until the count is reached, so at most one block is cut. SimMIM, whose blocks divide the grid,
    has no offset and counts whole blocks (Xie et al. 2022, section 3.2;
    https://github.com/microsoft/SimMIM/blob/d3e29bcac950b83edc34ca33fe4404f38309052c/data/data_simmim.py#L20-L46).

    Args:
        n: number of masks.
        grid: patches (down, across).
        mask_rate: share of patches to mask, in (0, 1).
        block: side of a block, in patches; 1 masks single patches (as MAE does).

    Returns:
        ``(n, patches)`` bool, True where masked.

    >>> block_mask(2, (7, 7), 0.6, torch.Generator().manual_seed(0)).sum(1).tolist()
    [30, 30]
    """
    if not 0 < mask_rate < 1:
        raise ValueError(f"mask_rate is a share in (0, 1), got {mask_rate}")
    rows, columns = grid
    offset = torch.randint(block, (n, 2), generator=generator)
    tiles_down, tiles_across = ((side + block - 2) // block + 1 for side in grid)
    row = (torch.arange(rows) + offset[:, :1]) // block
    column = (torch.arange(columns) + offset[:, 1:]) // block
    tile = (row[:, :, None] * tiles_across + column[:, None, :]).flatten(1)
    order = torch.rand(n, tiles_down * tiles_across, generator=generator).gather(1, tile)
    # ties inside a block are broken at random, below the resolution at which blocks differ
    order = order.double() + 1e-9 * torch.rand(
        order.shape, generator=generator, dtype=torch.float64
    )
    masked = order.topk(math.ceil(mask_rate * rows * columns), dim=1).indices
    return torch.zeros(n, rows * columns, dtype=torch.bool).scatter_(1, masked, True)
