"""Checks that every attribution shares."""

import warnings

from torch import Tensor


def check_images(images: Tensor, mean_views: Tensor | None = None) -> None:
    """Raise a ValueError unless images are ``(n, channels, height, width)`` in [0, 1], none NaN,
    with one mean view each where there are any."""
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(
            "expected images (n, channels, height, width) with n ≥ 1, got shape"
            f" {tuple(images.shape)}"
        )
    low, high = images.detach().aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"expected images in [0, 1], got values from {low:.4g} to {high:.4g}")
    if mean_views is not None and len(mean_views) != len(images):
        raise ValueError(
            f"expected one mean view per image, got {len(images)} images and {len(mean_views)} mean"
            " views"
        )


def check_attribution(attribution: Tensor, images: Tensor) -> None:
    """Raise a ValueError unless the attribution is finite, with the images' shape or with one
    channel for all."""
    n, channels, height, width = images.shape
    if attribution.shape not in ((n, channels, height, width), (n, 1, height, width)):
        raise ValueError(
            f"expected an attribution of shape {tuple(images.shape)} or with one channel, got"
            f" {tuple(attribution.shape)}"
        )
    if not attribution.isfinite().all():
        raise ValueError("expected a finite attribution, got NaN or infinity")


def warn_zero_maps(attribution: Tensor, method: str) -> Tensor:
    """Return the attribution; warn where it is zero everywhere, since then it ranks no pixel above
    another.

    That is what an all-black image gets from every method that multiplies by the pixel, and a
    constant image from an edge map.
    """
    zero = (attribution == 0).flatten(1).all(1)
    if zero.any():
        warnings.warn(
            f"{method}: the attribution of {zero.sum()} of {len(zero)} images is zero everywhere",
            stacklevel=3,
        )
    return attribution
