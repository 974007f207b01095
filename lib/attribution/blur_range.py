"""How much the augmented views of SSLA blur, by the size of the images."""

from torch import Tensor


def blur_range(images: Tensor) -> tuple[float, float]:
    """Smallest and largest standard deviation in pixels: up to 2 at 224 px, in proportion at other
    sizes, and at least half a pixel.

    The rule of the training views, :func:`lib.pretrain.augment.contrastive_view`; up to 56 px it
    gives the default of :func:`lib.attribution.views.augmented_views`.

    Args:
        images: ``(n, channels, height, width)``.
    """
    return 0.1, max(0.5, 2 * images.shape[-1] / 224)
