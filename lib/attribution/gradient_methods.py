"""Gradient attributions of the invariance score, by captum.

Each takes (encoder, images, mean views) and returns a map of the images' shape. With f(x)/‖f(x)‖ as
mean view the target is cos(f(x'), f(x)), whose gradient at x' = x is exactly 0: saliency and input
× gradient then hold rounding errors alone.
"""

from collections.abc import Callable

import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.attribution.invariance_score import invariance_score
from lib.data.normal_draws import normal_draws
from lib.encoders.encoder import Encoder


def score_function(encoder: Encoder) -> Callable[[Tensor, Tensor], Tensor]:
    """The invariance score of (images, mean views) as captum wants it: ``(n,)``, other methods'
    arguments bound.

    Images that a method moves out of [0, 1] (noise, rounding) enter the encoder clipped; the
    gradient passes the clip unchanged, since a clip's own gradient would halve the noisy gradients
    of black pixels.
    """

    def score(images: Tensor, mean_views: Tensor) -> Tensor:
        clipped = images - (images - images.clamp(0, 1)).detach()  # exact in floating point
        return invariance_score(encoder, clipped, mean_views)

    return score


def _in_batches(
    images: Tensor,
    mean_views: Tensor,
    batch_size: int,
    attribute: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Apply ``attribute`` to copies of the images that ask for gradients, batch by batch."""
    check_images(images, mean_views)
    batches = zip(images.split(batch_size), mean_views.split(batch_size), strict=True)
    return torch.cat(
        [attribute(x.detach().clone().requires_grad_(), z).detach() for x, z in batches]
    )


def saliency(encoder: Encoder, images: Tensor, mean_views: Tensor, batch_size: int = 256) -> Tensor:
    """Magnitude of the gradient: A = |∂S/∂x|. Simonyan, Vedaldi, Zisserman (2014),
    *Deep Inside Convolutional Networks*.

    Args:
        encoder: f.
        images: ``(n, channels, height, width)`` in [0, 1].
        mean_views: z̄, ``(n, width)``.
        batch_size: images per forward-backward pass.

    Returns:
        ``(n, channels, height, width)``, ≥ 0.
    """
    method = Saliency(score_function(encoder))
    return _in_batches(
        images,
        mean_views,
        batch_size,
        lambda x, z: method.attribute(x, additional_forward_args=(z,)),
    )


def input_x_gradient(
    encoder: Encoder, images: Tensor, mean_views: Tensor, batch_size: int = 256
) -> Tensor:
    """A = x · ∂S/∂x, signed. Shrikumar et al. (2016), *Not Just a Black Box*.

    A black pixel gets 0; an all-black image gets a zero map, with a warning. Arguments and return
    as :func:`saliency`.
    """
    method = InputXGradient(score_function(encoder))
    found = _in_batches(
        images,
        mean_views,
        batch_size,
        lambda x, z: method.attribute(x, additional_forward_args=(z,)),
    )
    return warn_zero_maps(found, "input × gradient")


def integrated_gradients(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    baseline: float | Tensor = 0.0,
    steps: int = 32,
    batch_size: int = 256,
) -> Tensor:
    """A = (x − b) · ∫₀¹ ∂S(b + α (x − b))/∂x dα, signed, by Gauss-Legendre quadrature; ΣA ≈ S(x) −
    S(b).

    Sundararajan, Taly, Yan (2017), *Axiomatic Attribution for Deep Networks*. A pixel of the
    baseline's value gets 0; an image equal to its baseline gets a zero map, with a warning.

    Args:
        encoder, images, mean_views: as :func:`saliency`.
        baseline: b, a grey level (0 is black) or ``(n, channels, height, width)`` in [0, 1].
        steps: forward-backward passes per image.
        batch_size: images at once, over all steps.

    Returns:
        ``(n, channels, height, width)``.
    """
    method = IntegratedGradients(score_function(encoder))
    baselines = torch.as_tensor(baseline).to(images).expand_as(images)
    check_images(images, mean_views)
    batches = zip(
        *(t.split(batch_size) for t in (images.detach(), baselines, mean_views)), strict=True
    )
    found = [
        method.attribute(
            x, b, additional_forward_args=(z,), n_steps=steps, internal_batch_size=batch_size
        ).detach()
        for x, b, z in batches
    ]
    return warn_zero_maps(torch.cat(found), "integrated gradients")


def smoothgrad(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    samples: int = 16,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = 256,
) -> Tensor:
    """Magnitude of the mean gradient of noisy copies: A = |(1/n) Σ ∂S(x + N(0, σ²))/∂x|.

    Smilkov et al. (2017), *SmoothGrad: removing noise by adding noise*. All images share the noise,
    so that no image depends on another.

    Args:
        encoder, images, mean_views: as :func:`saliency`.
        samples: noisy copies per image.
        noise: σ, as a share of the pixel range.
        seed: of the noise, the same bits on every machine (captum's own noise is not).
        batch_size: noisy copies at once.

    Returns:
        ``(n, channels, height, width)``, ≥ 0.
    """
    method = Saliency(score_function(encoder))
    units = normal_draws(torch.arange(samples), images[0].numel(), seed)
    offsets = (noise * units).to(images).reshape(samples, *images.shape[1:])

    def attribute(x: Tensor, z: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for part in offsets.split(batch_size):
            noisy, views = (x.detach() + part).requires_grad_(), z.expand(len(part), -1)
            gradients = method.attribute(noisy, abs=False, additional_forward_args=(views,))
            total += gradients.sum(0, keepdim=True)
        return (total / samples).abs()

    return _in_batches(images, mean_views, 1, attribute)
