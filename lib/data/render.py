"""Controlled versions of an image: negative, object or background alone, shape alone, foreign
texture, cue conflict.

Off the mask every function but ``negative`` leaves the pixels as they are,
so that the background stays a choice: apply ``on_background`` with the same masks before or after.
"""

import torch
from torch import Tensor

from lib.data.draws import draws
from lib.data.texture import interior


def check_masks(images: Tensor, masks: Tensor) -> None:
    """Raise a ValueError unless there is one bool mask per image, of its size."""
    if (
        images.ndim != 4
        or masks.dtype != torch.bool
        or masks.shape != (len(images), 1, *images.shape[2:])
    ):
        raise ValueError(
            "expected images (n, channels, height, width) and bool masks (n, 1, height, width), "
            f"got {tuple(images.shape)} and {masks.dtype} {tuple(masks.shape)}"
        )


def _check_textures(images: Tensor, textures: Tensor) -> None:
    n, channels, height, width = images.shape
    if textures.shape not in ((n, channels, height, width), (n, 1, height, width)):
        raise ValueError(
            f"expected one texture per image, of its size {tuple(images.shape)}, got"
            f" {tuple(textures.shape)}"
        )


def _moments(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation on the mask ``(n, channels, 1, 1)``, population form; 0 for an
    empty mask."""
    count = masks.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (images * masks).sum((2, 3), keepdim=True) / count
    return mean, (((images - mean) ** 2 * masks).sum((2, 3), keepdim=True) / count).sqrt()


def negative(images: Tensor) -> Tensor:
    """Negative of the whole image, background included: x' = 1 − x.

    >>> negative(torch.tensor([0.0, 0.75])).tolist()
    [1.0, 0.25]
    """
    return 1 - images


def silhouette(images: Tensor, masks: Tensor) -> Tensor:
    """Shape without texture: x' = mean of x over the mask, on the mask; x elsewhere. Brightness of
    the object is kept.

    >>> image = torch.tensor([[[[0.0, 0.25, 0.75]]]])
    >>> silhouette(image, image > 0).flatten().tolist()
    [0.0, 0.5, 0.5]
    """
    check_masks(images, masks)
    return torch.where(masks, _moments(images, masks)[0], images)


def stylise(images: Tensor, masks: Tensor, textures: Tensor, strength: float | Tensor) -> Tensor:
    """Replace the object's texture by a foreign one of the same mean and standard deviation.

    x' = (1 − s) x + s t' on the mask, x elsewhere; t' = clip((t − mean t) · std x / std t + mean x,
    0, 1), all moments on the mask. A texture that is constant on the mask becomes the mean of x.
    Strength 0 gives x, bit for bit.

    Args:
        images: ``(n, channels, height, width)`` in [0, 1].
        masks: ``(n, 1, height, width)`` bool.
        textures: ``(n, channels or 1, height, width)``.
        strength: s in [0, 1], one or ``(n,)`` one per image.

    Raises:
        ValueError: a strength outside [0, 1], shapes that do not fit.
    """
    check_masks(images, masks)
    _check_textures(images, textures)
    s = torch.as_tensor(strength, dtype=images.dtype).reshape(-1, 1, 1, 1)
    if not ((s >= 0) & (s <= 1)).all() or len(s) not in (1, len(images)):
        raise ValueError(
            f"expected one strength or one for each of {len(images)} images, in [0, 1], got"
            f" {strength}"
        )
    mean, std = _moments(images, masks)
    texture_mean, texture_std = _moments(textures, masks)
    # rounding alone varies by less
    scale = torch.where(texture_std > 1e-6, std / texture_std.clamp(min=1e-6), 0)
    matched = ((textures - texture_mean) * scale + mean).clamp(0, 1)
    return torch.where(masks & (s > 0), ((1 - s) * images + s * matched).clamp(0, 1), images)


def cue_conflict(
    shape_images: Tensor, shape_masks: Tensor, texture_images: Tensor, texture_masks: Tensor
) -> Tensor:
    """Silhouette of one garment, interior texture of another: x' = ``interior`` of the second on
    the mask of the first, x elsewhere.

    In the spirit of Geirhos et al. (2019), *ImageNet-trained CNNs are biased towards texture*,
    without style transfer: the texture keeps its own brightness and contrast.

    Args:
        shape_images, texture_images: ``(n, channels, height, width)``.
        shape_masks, texture_masks: ``(n, 1, height, width)`` bool.
    """
    check_masks(shape_images, shape_masks)
    _check_textures(shape_images, texture_images)
    return torch.where(shape_masks, interior(texture_images, texture_masks), shape_images)


def conflict_pairs(labels: Tensor, seed: int) -> Tensor:
    """Give every image, as the shape, a texture partner of another class, uniform over all images
    of the other classes.

    Args:
        labels: ``(n,)`` int64, at least two classes.
        seed: any integer; the same seed and labels give the same pairs.

    Returns:
        ``(n, 2)`` int64 positions (shape, texture); the first column is 0 … n − 1, a texture may
        serve more than once.

    >>> conflict_pairs(torch.tensor([5, 5, 8]), seed=0)[:2].tolist()
    [[0, 2], [1, 2]]
    """
    classes, member, sizes = labels.unique(return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"a cue conflict needs images of at least 2 classes, got {len(classes)}")
    by_class = labels.argsort(stable=True)
    size, start = sizes[member], (sizes.cumsum(0) - sizes)[member]
    n = len(labels)
    # among the images of the other classes
    rank = (draws(torch.arange(n), 1, seed)[:, 0].double() * (n - size)).long()
    return torch.stack([torch.arange(n), by_class[rank + size * (rank >= start)]], 1)
