"""Mosaics of four garments with the class of every patch: dense ground truth for segmentation."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.fashion import FASHION_CLASSES
from lib.data.render import check_masks

BACKGROUND = len(FASHION_CLASSES)  # a class of its own, after the garments


@dataclass(frozen=True)
class Mosaic:
    """Images of four garments each.

    Attributes:
        images: ``(m, channels, 2 height, 2 width)``.
        masks: ``(m, 1, 2 height, 2 width)`` bool, for ``on_background``.
        patch_labels: ``(m, 2 height / patch, 2 width / patch)`` int64, the garment's class or the
            background label.
    """

    images: Tensor
    masks: Tensor
    patch_labels: Tensor


def _quadrants(tiles: Tensor) -> Tensor:
    """``(4m, channels, height, width)`` to ``(m, channels, 2 height, 2 width)``: top left, top
    right, bottom left, bottom right."""
    _, channels, height, width = tiles.shape
    tiles = tiles.reshape(-1, 2, 2, channels, height, width)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, 2 * height, 2 * width)


def mosaic(
    images: Tensor,
    masks: Tensor,
    labels: Tensor,
    patch_size: int = 4,
    share: float = 0.25,
    background: int = BACKGROUND,
) -> Mosaic:
    """Put each four consecutive images into one, in reading order, with the class of every patch.

    A patch has the class of its garment if at least ``share`` of its pixels is on the garment's
    mask, else ``background``.

    Args:
        images: ``(4m, channels, height, width)``.
        masks: ``(4m, 1, height, width)`` bool.
        labels: ``(4m,)`` int64 in 0 … background − 1.
        patch_size: side of a patch in pixels; divides height and width, so that a patch never holds
            two garments.
        share: smallest share of garment pixels, in (0, 1].
        background: label of the background: the number of classes, so that it is a class of its
            own.

    Raises:
        ValueError: a number of images that 4 does not divide, a patch size that does not divide the
            images, a label that collides with the background's, a share outside (0, 1], or shapes
            that do not fit.

    >>> squares = mosaic(torch.ones(4, 1, 4, 4), torch.ones(4, 1, 4, 4).bool(), torch.tensor([3, 1, 4, 1]))
    >>> squares.patch_labels.tolist()
    [[[3, 1], [4, 1]]]
    """
    check_masks(images, masks)
    if len(images) % 4 or not len(images) or labels.shape != (len(images),):
        raise ValueError(
            f"expected a multiple of 4 images and one label each, got {len(images)} images and"
            f" labels {tuple(labels.shape)}"
        )
    if patch_size < 1 or images.shape[2] % patch_size or images.shape[3] % patch_size:
        raise ValueError(
            f"expected a patch size that divides the images' {tuple(images.shape[2:])} pixels, got"
            f" {patch_size}"
        )
    if not 0 < share <= 1:
        raise ValueError(f"share is in (0, 1], got {share}")
    if labels.min() < 0 or labels.max() >= background:
        raise ValueError(
            f"expected labels from 0 to {background - 1} (below the background's), got"
            f" {labels.min()} to {labels.max()}"
        )
    covered = F.avg_pool2d(masks.double(), patch_size) >= share
    classes = torch.where(covered, labels.reshape(-1, 1, 1, 1), background)
    return Mosaic(_quadrants(images), _quadrants(masks), _quadrants(classes)[:, 0])
