"""Insertion and deletion: the representation's similarity while pixels come or go in the order of
an attribution."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from lib.attribution.checks import check_attribution, check_images
from lib.attribution.invariance_score import invariance_score
from lib.attribution.ranking import feature_count, importance_rank
from lib.encoders.batches import Rows, in_batches
from lib.encoders.encoder import Encoder

Substrate = Literal["blurred", "mean"]


@dataclass(frozen=True)
class InsertionDeletion:
    """Curves of cos(f(x), f(x')).

    Attributes:
        shares: ``(steps + 1,)``, share of the pixels that came or went, 0 … 1.
        insertion: ``(n, steps + 1)``, from the substrate to the image; a larger area is better.
        deletion: ``(n, steps + 1)``, from the image to the substrate; a smaller area is better.
    """

    shares: Tensor
    insertion: Tensor
    deletion: Tensor

    @property
    def insertion_area(self) -> Tensor:
        """Area under the insertion curve, ``(n,)``, by the trapezoidal rule."""
        return torch.trapezoid(self.insertion, self.shares.to(self.insertion))

    @property
    def deletion_area(self) -> Tensor:
        """Area under the deletion curve, ``(n,)``, by the trapezoidal rule."""
        return torch.trapezoid(self.deletion, self.shares.to(self.deletion))


def substrate_image(images: Tensor, substrate: Substrate) -> Tensor:
    """What stands in place of a missing pixel: the image blurred with σ = an eighth of its side, or
    the mean of each channel.

    Raises:
        ValueError: an unknown substrate.
    """
    if substrate == "mean":
        return images.mean((2, 3), keepdim=True).expand_as(images)
    if substrate != "blurred":
        raise ValueError(f"substrate is 'blurred' or 'mean', got {substrate!r}")
    sigma = min(images.shape[2:]) / 8
    # a reflected border is narrower than the image
    kernel = 2 * min(round(3 * sigma), min(images.shape[2:]) - 1) + 1
    # one axis after the other: the same, with 2 · kernel instead of kernel² products a pixel
    across = gaussian_blur(images, [kernel, 1], sigma)
    return gaussian_blur(across, [1, kernel], sigma).clamp(0, 1)


@torch.no_grad()
def insertion_deletion(
    encoder: Encoder, images: Tensor, attribution: Tensor, indices: Tensor,
    substrate: Substrate = "blurred", steps: int = 28, seed: int = 0, batch_size: int = 256,
) -> InsertionDeletion:  # fmt: skip
    """Put the most important pixels into a substrate, or take them out of the image, and follow
    cos(f(x), f(x')).

    After step j the round(j/steps · pixels) most important pixels are x (insertion) or the
    substrate (deletion), the others the reverse.

    Petsiuk et al. (2018), *RISE*, section 4.1, with the cosine in place of a class probability.

    Args:
        encoder: f.
        images: ``(n, channels, height, width)`` in [0, 1].
        attribution: of that shape, or with one channel; channels are summed.
        indices: ``(n,)`` integer indices of the images in their data set; with the seed they break
            ties.
        substrate: ``"blurred"`` or ``"mean"``.
        steps: points of a curve besides the first.
        seed: of ties.
        batch_size: images per forward pass.

    Returns:
        :class:`InsertionDeletion`.

    Raises:
        ValueError: an unknown substrate, no steps, an attribution that does not fit, images outside
            [0, 1] or NaN.
    """
    check_images(images)
    check_attribution(attribution, images)
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    rank = importance_rank(attribution, indices, seed)
    fill = partial(substrate_image, substrate=substrate)
    missing = in_batches(encoder, fill, images, batch_size=batch_size)
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device=images.device)
    counts = torch.tensor(
        [feature_count(share, rank[0].numel()) for share in shares.tolist()], device=images.device
    )
    anchors = F.normalize(encoder.representations(images, batch_size), dim=1)
    pair = torch.arange(2 * len(images) * len(counts), device=images.device)
    deleting, image, step = (
        pair >= len(images) * len(counts),
        pair // len(counts) % len(images),
        pair % len(counts),
    )

    def score(x: Tensor, hidden: Tensor, anchor: Tensor, order: Tensor, count: Tensor, out: Tensor):
        shown = (order < count[:, None, None, None]) ^ out[:, None, None, None]
        return invariance_score(encoder, torch.where(shown, x, hidden), anchor)

    columns = (
        *(Rows(t, image) for t in (images, missing, anchors, rank)),
        Rows(counts, step),
        deleting,
    )
    desc = f"insertion and deletion on {encoder.name}"
    curves = in_batches(encoder, score, *columns, batch_size=batch_size, desc=desc)
    insertion, deletion = curves.reshape(2, len(images), len(counts))
    return InsertionDeletion(shares, insertion, deletion)
