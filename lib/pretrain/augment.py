"""Augmentations as batched tensor operations: every image of a batch draws its own parameters.

The recipe is MoCo v3's (Chen, Xie, He 2021, section 4;
https://github.com/facebookresearch/moco-v3/blob/c349e6e24f40d3fedb22d973f92defa4cedf37a7/main_moco.py#L256-L285),
scaled to small images. Colour operations act only on colour images. Random parameters are drawn on
the CPU, pixels stay on their device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.data.fashion import on_background
from lib.data.images import Images
from lib.pretrain.distributed import rand_rows


def _uniform(images: Tensor, low: float, high: float, generator: Generator) -> Tensor:
    return rand_rows(len(images), generator).to(images.device) * (high - low) + low


def _chosen(images: Tensor, probability: float, generator: Generator) -> Tensor:
    return (rand_rows(len(images), generator).to(images.device) < probability).reshape(-1, 1, 1, 1)


def random_background(batch: Images, generator: Generator, probability: float = 1 / 3) -> Tensor:
    """Put the objects of a random share of the images on a random grey level; images without masks
    stay as they are."""
    if batch.masks is None:
        return batch.images
    level = _uniform(batch.images, 0, 1, generator)
    chosen = _chosen(batch.images, probability, generator).flatten()
    return on_background(
        batch.images, batch.masks, torch.where(chosen, level, torch.zeros_like(level))
    )


def random_resized_crop(
    images: Tensor,
    generator: Generator,
    scale: tuple[float, float] = (0.2, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: bool = True,
) -> Tensor:
    """Crop a random area and aspect ratio, resize to the input size (bilinear), flip half of the
    images.

    Args:
        images: ``(n, channels, height, width)``.
        scale: smallest and largest share of the area.
        ratio: smallest and largest width / height of the crop, drawn log-uniformly.
    """
    area = _uniform(images, *scale, generator)
    aspect = torch.exp(_uniform(images, math.log(ratio[0]), math.log(ratio[1]), generator))
    # in grid_sample's units the whole image has half-width 1
    half_width = (area * aspect).sqrt().clamp(max=1)
    half_height = (area / aspect).sqrt().clamp(max=1)
    centre_x = _uniform(images, -1, 1, generator) * (1 - half_width)
    centre_y = _uniform(images, -1, 1, generator) * (1 - half_height)
    if flip:
        half_width = torch.where(_chosen(images, 0.5, generator).flatten(), -half_width, half_width)
    zero = torch.zeros_like(half_width)
    affine = torch.stack(
        [
            torch.stack([half_width, zero, centre_x], 1),
            torch.stack([zero, half_height, centre_y], 1),
        ],
        1,
    )
    grid = F.affine_grid(affine.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _grey(images: Tensor) -> Tensor:
    weights = images.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def shift_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of colour images ``(n, 3, height, width)`` by ``turn`` ``(n,)`` of the colour
    circle; value and chroma in HSV stay.

    channel = V − C · clamp(min(k, 4 − k), 0, 1), k = (6 hue + 6 turn + (5, 3, 1)) mod 6 for red,
    green and blue.

    >>> shift_hue(torch.tensor([0.8, 0.2, 0.2]).reshape(1, 3, 1, 1), torch.tensor([1 / 3])).flatten()  # red to green
    tensor([0.2000, 0.8000, 0.2000])
    """
    value, least = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = value - least
    red, green, blue = images.split(1, dim=1)
    of_green, of_blue = (blue - red) / chroma + 2, (red - green) / chroma + 4
    # grey has no hue
    sextant = torch.where(
        red == value, (green - blue) / chroma, torch.where(green == value, of_green, of_blue)
    ).nan_to_num()
    k = (
        sextant + 6 * turn.reshape(-1, 1, 1, 1) + images.new_tensor([5, 3, 1]).reshape(1, 3, 1, 1)
    ) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def color_jitter(
    images: Tensor,
    generator: Generator,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.2,
    hue: float = 0.1,
    probability: float = 0.8,
) -> Tensor:
    """Scale brightness, contrast and, for colour images, saturation by factors in [1 − s, 1 + s];
    turn the hue by up to ± ``hue`` of the circle.

    The operations come in this order and the result is clamped once; torchvision draws an order and
    clamps after each.
    """
    factor = lambda strength: _uniform(images, 1 - strength, 1 + strength, generator).reshape(
        -1, 1, 1, 1
    )  # noqa: E731
    jittered = images * factor(brightness)
    grey = _grey(jittered) if images.shape[1] == 3 else jittered
    mean = grey.mean((1, 2, 3), keepdim=True)
    jittered = (jittered - mean) * factor(contrast) + mean
    if images.shape[1] == 3:
        grey = _grey(jittered)
        jittered = (jittered - grey) * factor(saturation) + grey
        jittered = shift_hue(jittered, _uniform(images, -hue, hue, generator))
    return torch.where(_chosen(images, probability, generator), jittered.clamp(0, 1), images)


def random_grayscale(images: Tensor, generator: Generator, probability: float = 0.2) -> Tensor:
    """Drop the colour of a random share of the images; grey images stay as they are."""
    if images.shape[1] == 1:
        return images
    return torch.where(
        _chosen(images, probability, generator), _grey(images).expand_as(images), images
    )


def gaussian_blur(
    images: Tensor,
    generator: Generator,
    sigma: tuple[float, float] = (0.1, 0.5),
    probability: float = 0.5,
) -> Tensor:
    """Blur each chosen image with its own standard deviation, in pixels (separable kernel, radius 2
    × the largest)."""
    n, channels, _, _ = images.shape
    radius = max(1, round(2 * sigma[1]))
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.softmax(
        -0.5 * (offsets / _uniform(images, *sigma, generator).reshape(-1, 1)) ** 2, dim=1
    )
    kernel = kernel.repeat_interleave(channels, 0).to(images)
    flat = F.pad(images, [radius] * 4, mode="replicate").reshape(
        1, n * channels, *[s + 2 * radius for s in images.shape[2:]]
    )
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=n * channels)
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=n * channels)
    return torch.where(_chosen(images, probability, generator), flat.reshape(images.shape), images)


def solarize(
    images: Tensor, generator: Generator, threshold: float = 0.5, probability: float = 0.2
) -> Tensor:
    """Invert the pixels above a threshold, x → 1 − x, in a random share of the images."""
    chosen = _chosen(images, probability, generator)
    return torch.where(chosen & (images > threshold), 1 - images, images)


def contrastive_view(batch: Images, generator: Generator, second: bool = False) -> Tensor:
    """One view of MoCo v3's asymmetric pair: the first always blurs, the second blurs rarely and
    may solarize.

    The largest blur is 2 px at 224 px, as in the official code, in proportion at other sizes, and
    at least half a pixel.

    Args:
        batch: images in [0, 1], with object masks for the background augmentation where there are
            any.
        generator: source of every random parameter.
        second: draw the second kind of view.
    """
    view = random_background(batch, generator)
    view = random_resized_crop(view, generator)
    view = color_jitter(view, generator)
    view = random_grayscale(view, generator)
    view = gaussian_blur(
        view,
        generator,
        sigma=(0.1, max(0.5, 2 * view.shape[-1] / 224)),
        probability=0.1 if second else 1.0,
    )
    return solarize(view, generator) if second else view


def contrastive_views(batch: Images, generator: Generator) -> tuple[Tensor, Tensor]:
    """The pair of views, one of each kind, that every joint-embedding objective draws."""
    return contrastive_view(batch, generator), contrastive_view(batch, generator, second=True)
