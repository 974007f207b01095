"""Gradient attributions of the invariance score, by captum.

Each takes (encoder, images, mean views) and returns a map of the images' shape. With f(x)/‖f(x)‖ as
mean view the target is cos(f(x'), f(x)), whose gradient at x' = x is exactly 0: saliency and input
× gradient then hold rounding errors alone.
"""

from collections.abc import Callable

import torch
from captum.attr import GradientAttribution, InputXGradient, IntegratedGradients, Saliency
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.attribution.invariance_score import invariance_score
from lib.data.normal_draws import normal_draws
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder
from lib.encoders.memory import images_that_fit


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


def _attribute(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    batch_size: int,
    method: GradientAttribution,
) -> Tensor:
    """Apply a method of captum to copies of the images that ask for gradients, batch by batch."""
    check_images(images, mean_views)

    def of_batch(x: Tensor, z: Tensor) -> Tensor:
        x = x.detach().clone().requires_grad_()
        return method.attribute(x, additional_forward_args=(z,)).detach()

    return in_batches(encoder, of_batch, images, mean_views, batch_size=batch_size, gradients=True)


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
    return _attribute(encoder, images, mean_views, batch_size, method)


def input_x_gradient(
    encoder: Encoder, images: Tensor, mean_views: Tensor, batch_size: int = 256
) -> Tensor:
    """A = x · ∂S/∂x, signed. Shrikumar et al. (2016), *Not Just a Black Box*.

    A black pixel gets 0; an all-black image gets a zero map, with a warning. Arguments and return
    as :func:`saliency`.
    """
    method = InputXGradient(score_function(encoder))
    found = _attribute(encoder, images, mean_views, batch_size, method)
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
    at_once = min(batch_size, images_that_fit(encoder, images.shape[1:], gradients=True))
    # steps of a pass, fewer images in it where the memory runs out all the same
    together = max(1, at_once // len(images))

    def integrate(x: Tensor, b: Tensor, z: Tensor) -> Tensor:
        options = dict(n_steps=steps, internal_batch_size=together * len(x))
        return method.attribute(x, b, additional_forward_args=(z,), **options).detach()

    columns = images.detach(), baselines, mean_views
    found = in_batches(encoder, integrate, *columns, batch_size=at_once, gradients=True)
    return warn_zero_maps(found, "integrated gradients")


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
    check_images(images, mean_views)
    units = normal_draws(torch.arange(samples, device=images.device), images[0].numel(), seed)
    offsets = (noise * units).to(images).reshape(samples, *images.shape[1:])
    score = score_function(encoder)

    def mean_gradient(x: Tensor, z: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for part in offsets.to(x).split(max(1, batch_size // len(x))):
            noisy = (x[:, None] + part).flatten(0, 1).requires_grad_()
            scores = score(noisy, z.repeat_interleave(len(part), 0))
            total += torch.autograd.grad(scores.sum(), noisy)[0].unflatten(0, (len(x), -1)).sum(1)
        return (total / samples).abs()

    options = dict(batch_size=max(1, batch_size // samples), copies=samples, gradients=True)
    return in_batches(encoder, mean_gradient, images.detach(), mean_views, **options)
