"""The variations that an encoder is compared under: five augmentations, or MAE's random masks.

Every image draws from a generator of its own, seeded by (seed, index of the image): its views are
the same in any batch.
"""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.attribution.checks import check_images
from lib.attribution.invariance_score import mean_view
from lib.data.draws import draws
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder
from lib.pretrain.augment import (
    color_jitter,
    gaussian_blur,
    random_grayscale,
    random_resized_crop,
    solarize,
)
from lib.pretrain.masking import block_mask

Variation = Literal["augmentations", "masks"]


def _generators(indices: Tensor, seed: int) -> Iterator[Generator]:
    """One generator an image, seeded with 32 bits of its own draws."""
    for high, low in (draws(indices, 2, seed).double() * 2**16).long().tolist():
        yield Generator().manual_seed(high << 16 | low)


def augmented_views(
    images: Tensor,
    indices: Tensor,
    count: int,
    seed: int = 0,
    blur: tuple[float, float] = (0.1, 0.5),
) -> Tensor:
    """Views of each image by the five augmentations: crop, colour jitter, grayscale, Gaussian blur,
    solarisation, in this order.

    SSLA (2025), section 3.1, names the augmentations without their parameters. Here: crop of 20 to
    100 % of the area without flip; brightness and contrast ± 40 %, saturation ± 20 %, with
    probability 0.8; grayscale 0.2; blur 0.5; solarisation 0.2. Images of one channel have no
    saturation, and grayscale leaves them as they are.

    Args:
        images: ``(n, channels, height, width)`` in [0, 1].
        indices: ``(n,)`` integer indices of the images in their data set.
        count: views per image.
        seed: any integer.
        blur: smallest and largest standard deviation in pixels; (0.1, 2.0) is usual at 224 px.

    Returns:
        ``(n, count, channels, height, width)`` in [0, 1]; an image's views depend on its pixels,
        its index, the seed and the count alone.

    Raises:
        ValueError: images outside [0, 1] or NaN, another number of indices, no views.
    """
    _check(images, indices, count)
    views = []
    for image, generator in zip(images, _generators(indices, seed), strict=True):
        view = random_resized_crop(image.expand(count, -1, -1, -1), generator, flip=False)
        view = random_grayscale(color_jitter(view, generator), generator)
        # interpolation may round past 1
        views.append(solarize(gaussian_blur(view, generator, sigma=blur), generator).clamp(0, 1))
    return torch.stack(views)


@torch.no_grad()
def masked_representations(encoder: Encoder, images: Tensor, masks: Tensor) -> Tensor:
    """Representations of images of which a ViT sees the visible patches alone, as MAE's encoder
    does in pre-training.

    Args:
        encoder: a timm ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        masks: ``(n, patches)`` bool, True where masked, the same number in every row.

    Returns:
        ``(n, width)``.

    Raises:
        TypeError: a model without patch tokens.
    """
    patch_drop = getattr(encoder.model, "patch_drop", None)
    if patch_drop is None:
        raise TypeError(
            f"{encoder.name} is a {type(encoder.model).__name__}: it has no patches to mask"
        )

    def keep_visible(
        _module: torch.nn.Module, _inputs: tuple[Tensor, ...], tokens: Tensor
    ) -> Tensor:
        prefix, patches = tokens[:, : encoder.prefix_tokens], tokens[:, encoder.prefix_tokens :]
        return torch.cat(
            [prefix, patches[~masks.to(tokens.device)].reshape(len(tokens), -1, tokens.shape[2])],
            dim=1,
        )

    hook = patch_drop.register_forward_hook(keep_visible)
    try:
        return encoder(images)
    finally:
        hook.remove()


def draw_mean_views(
    encoder: Encoder, images: Tensor, indices: Tensor, count: int = 8, seed: int = 0,
    variation: Variation = "augmentations", mask_rate: float = 0.75, blur: tuple[float,
    float] = (0.1, 0.5), batch_size: int = 256,
) -> Tensor:  # fmt: skip
    """z̄ of each image, all that the invariance score needs: the mean of the normalised
    representations of its views.

    Args:
        encoder: f.
        images: ``(n, channels, height, width)`` in [0, 1].
        indices: ``(n,)`` integer indices of the images in their data set.
        count: views per image, N; the paper does not state it.
        seed: any integer.
        variation: ``"augmentations"`` (:func:`augmented_views`), or ``"masks"``: random single
            patches are hidden (for MAE).
        mask_rate: share of hidden patches; for ``"masks"``.
        blur: for ``"augmentations"``.
        batch_size: views per forward pass; an image's views are held together.

    Returns:
        ``(n, width)``.

    Raises:
        ValueError: an unknown variation, images outside [0, 1] or NaN, another number of indices,
            no views.
        TypeError: masks asked of a model without patches.
    """
    if variation not in ("augmentations", "masks"):
        raise ValueError(f"variation is 'augmentations' or 'masks', got {variation!r}")
    _check(images, indices, count)

    def mean(batch: Tensor, index: Tensor) -> Tensor:
        if variation == "augmentations":
            return mean_view(encoder, augmented_views(batch, index, count, seed, blur), batch_size)
        return _mean_masked(encoder, batch, index, count, seed, mask_rate, batch_size)

    columns, size = (images, indices.to(images.device)), max(1, batch_size // count)
    options = dict(batch_size=size, copies=count, desc=f"views of {encoder.name}")
    return in_batches(encoder, mean, *columns, **options)


def _mean_masked(
    encoder: Encoder,
    images: Tensor,
    indices: Tensor,
    count: int,
    seed: int,
    mask_rate: float,
    batch_size: int,
) -> Tensor:
    if not hasattr(encoder.model, "patch_embed"):
        raise TypeError(
            f"{encoder.name} is a {type(encoder.model).__name__}: it has no patches to mask"
        )
    drawn = torch.cat(
        [
            block_mask(count, encoder.grid(images), mask_rate, generator, block=1)
            for generator in _generators(indices, seed)
        ]
    )
    masks = drawn.to(images.device)
    repeated = images.repeat_interleave(count, 0)
    represented = partial(masked_representations, encoder)
    z = in_batches(encoder, represented, repeated, masks, batch_size=batch_size)
    return F.normalize(z, dim=1).unflatten(0, (len(images), count)).mean(1)


def _check(images: Tensor, indices: Tensor, count: int) -> None:
    check_images(images)
    if len(indices) != len(images) or count < 1:
        raise ValueError(
            f"expected one index per image and at least one view, got {len(images)} images,"
            f" {len(indices)} indices and {count} views"
        )
