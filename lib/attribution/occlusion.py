"""Occlusion: how far the invariance score falls when a window is covered, by captum."""

import torch
from captum.attr import Occlusion
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.attribution.gradient_methods import score_function
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder
from lib.encoders.memory import images_that_fit


@torch.no_grad()
def occlusion(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    window: int | None = None,
    stride: int | None = None,
    baseline: float = 0.0,
    batch_size: int = 256,
) -> Tensor:
    """A_p = mean over the windows that cover pixel p of S(x) − S(x with the window at the
    baseline), signed.

    Zeiler, Fergus (2014), *Visualizing and Understanding Convolutional Networks*. Where the image
    already has the baseline's value a window changes nothing; an image equal to the baseline gets a
    zero map, with a warning.

    Args:
        encoder: f.
        images: ``(n, channels, height, width)`` in [0, 1].
        mean_views: z̄, ``(n, width)``.
        window: side of the square window, which covers all channels, in pixels; a seventh of the
            image's where None.
        stride: distance between windows, in pixels; half a window where None.
        baseline: grey level of the window, 0 is black.
        batch_size: occluded images at once.

    Returns:
        ``(n, channels, height, width)``, the same in each channel.

    Raises:
        ValueError: a window larger than the image, a stride larger than the window, images outside
            [0, 1] or NaN.
    """
    check_images(images, mean_views)
    channels, height, width = images.shape[1:]
    window = max(1, min(height, width) // 7) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= stride <= window <= min(height, width):
        raise ValueError(
            f"expected 1 ≤ stride ≤ window ≤ {min(height, width)} (side of the image), got stride"
            f" {stride} and window {window}"
        )
    method = Occlusion(score_function(encoder))
    at_once = min(batch_size, images_that_fit(encoder, images.shape[1:], gradients=False))
    together = max(1, at_once // len(images))

    def cover(x: Tensor, z: Tensor) -> Tensor:
        shapes = (channels, window, window), (channels, stride, stride)
        options = dict(baselines=baseline, perturbations_per_eval=together)
        return method.attribute(x, *shapes, additional_forward_args=(z,), **options)

    found = in_batches(encoder, cover, images, mean_views, batch_size=at_once)
    # captum counts in single precision
    return warn_zero_maps(found.to(images), "occlusion")
