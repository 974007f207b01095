"""RELAX: importance of a pixel from the similarity of representations under random masks."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.attribution.checks import check_images
from lib.attribution.invariance_score import invariance_score
from lib.encoders.batches import Rows, in_batches
from lib.encoders.encoder import Encoder


def smooth_masks(count: int, size: tuple[int, int], seed: int = 0, cells: int = 7) -> Tensor:
    """Random smooth masks, ``(count, 1, height, width)`` in [0, 1]: a coin for every cell of a
    grid, upsampled bilinearly, shifted at random.

    The grid has one cell more than fits on each side, and the shift is less than a cell. Petsiuk et
    al. (2018), *RISE*, section 3.2.
    """
    generator = Generator().manual_seed(seed)
    grid = torch.randint(2, (count, 1, cells + 1, cells + 1), generator=generator).float()
    cell = [-(-side // cells) for side in size]
    upsampled = F.interpolate(
        grid, [c * (cells + 1) for c in cell], mode="bilinear", align_corners=False
    )[:, 0]
    rows, columns = (
        torch.randint(c, (count, 1), generator=generator) + torch.arange(side)
        for c, side in zip(cell, size, strict=True)
    )
    # interpolation may round past 1
    return (
        upsampled[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
        .unsqueeze(1)
        .clamp(0, 1)
    )


@torch.no_grad()
def relax(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    count: int = 256,
    cells: int = 7,
    seed: int = 0,
    batch_size: int = 256,
) -> Tensor:
    """Mean score of the masked images, weighted by what each mask shows of the pixel.

    A_p = Σ_k M_kp · S(x ⊙ M_k) / Σ_k M_kp

    Wickstrøm et al. (2023), *RELAX: Representation Learning Explainability*, whose s(f(x), f(x ⊙
    M)) is S with f(x)/‖f(x)‖ as mean view;
    https://github.com/Wickstrom/RELAX/blob/6abf9fb6852eafbd02e2cfc0432b7abfaada4eaa/src/relax_xai/relax.py

    All images share the masks, so that no image depends on another; what is hidden becomes black.
    The map is the mean score plus a small part that differs between pixels: its ranks are to be
    compared, not shares of its sum.

    Args:
        encoder: f.
        images: ``(n, channels, height, width)`` in [0, 1].
        mean_views: z̄, ``(n, width)``.
        count: number of masks.
        cells: cells of a mask along a side.
        seed: of the masks.
        batch_size: masked images at once.

    Returns:
        ``(n, channels, height, width)``, the same in each channel. On an all-black image masks
        change nothing: the map is constant.

    Raises:
        ValueError: images outside [0, 1] or NaN, fewer than one mask or cell.
    """
    check_images(images, mean_views)
    if count < 1 or cells < 1:
        raise ValueError(
            f"expected at least one mask and one cell, got {count} masks and {cells} cells"
        )
    masks = smooth_masks(count, tuple(images.shape[2:]), seed, cells).to(images)
    pair = torch.arange(len(images) * count, device=images.device)
    image, mask = pair // count, pair % count
    scores = in_batches(
        encoder,
        lambda x, m, z: invariance_score(encoder, x * m, z),
        Rows(images, image),
        Rows(masks, mask),
        Rows(mean_views, image),
        batch_size=batch_size,
        desc=f"RELAX of {encoder.name}",
    ).reshape(len(images), count)
    shown = masks.flatten(1)
    weighted = scores @ shown / shown.sum(0).clamp(min=torch.finfo(shown.dtype).tiny)
    return weighted.reshape(len(images), 1, *images.shape[2:]).expand_as(images)
