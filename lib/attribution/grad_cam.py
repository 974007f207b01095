"""Grad-CAM of the invariance score for convolutional encoders, by captum."""

import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.attribution.gradient_methods import score_function
from lib.encoders.encoder import Encoder


def grad_cam(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    layer: str = "layer4",
    batch_size: int = 256,
) -> Tensor:
    """Channels of a feature map, weighted by their mean gradient: A = ReLU(Σ_k mean_p(∂S/∂a_kp) ·
    a_k), upsampled bilinearly.

    Selvaraju et al. (2017), *Grad-CAM*.

    Args:
        encoder: a convolutional f.
        images: ``(n, channels, height, width)`` in [0, 1].
        mean_views: z̄, ``(n, width)``.
        layer: name of the module whose output is the feature map; ``"layer4"`` is the last stage of
            timm's ResNets.
        batch_size: images per forward-backward pass.

    Returns:
        ``(n, channels, height, width)``, ≥ 0, the same in each channel; a map of zeros, with a
        warning, where no channel helps.

    Raises:
        ValueError: no module of that name, images outside [0, 1] or NaN.
    """
    check_images(images, mean_views)
    modules = dict(encoder.model.named_modules())
    if layer not in modules:
        raise ValueError(
            f"{encoder.name} ({type(encoder.model).__name__}) has no module {layer!r}; Grad-CAM"
            " needs a convolutional stage"
        )
    method = LayerGradCam(score_function(encoder), modules[layer])
    found = []
    for x, z in zip(images.split(batch_size), mean_views.split(batch_size), strict=True):
        coarse = method.attribute(
            x.detach().clone().requires_grad_(),
            additional_forward_args=(z,),
            relu_attributions=True,
        ).detach()
        found.append(
            LayerAttribution.interpolate(coarse, tuple(images.shape[2:]), "bilinear").expand_as(x)
        )
    return warn_zero_maps(torch.cat(found), "Grad-CAM")
