"""Grad-CAM of the invariance score for convolutional encoders, by captum."""

from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.attribution.gradient_methods import score_function
from lib.encoders.batches import in_batches
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

    def cam(x: Tensor, z: Tensor) -> Tensor:
        coarse = method.attribute(
            x.detach().clone().requires_grad_(),
            additional_forward_args=(z,),
            relu_attributions=True,
        ).detach()
        return LayerAttribution.interpolate(coarse, tuple(x.shape[2:]), "bilinear").expand_as(x)

    found = in_batches(encoder, cam, images, mean_views, batch_size=batch_size, gradients=True)
    return warn_zero_maps(found, "Grad-CAM")
