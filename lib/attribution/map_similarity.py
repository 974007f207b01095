"""How alike two attribution maps of the same image are."""

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from lib.attribution.checks import check_attribution
from lib.data.render import check_masks


def rank_correlation(first: Tensor, second: Tensor, masks: Tensor | None) -> Tensor:
    """Spearman's rank correlation of two maps, channels summed, over the pixels of a mask.

    Over the whole image two maps that only agree on where the object is already correlate; over the
    object alone they must agree on more.

    Args:
        first, second: ``(n, channels, height, width)``.
        masks: ``(n, 1, height, width)`` bool: the pixels that count; None where all do.

    Returns:
        ``(n,)`` in [−1, 1]; NaN where a map is constant on the mask.

    >>> maps = torch.tensor([[[[0.1, 0.2, 0.9, 5.0]]]])
    >>> rank_correlation(maps, -maps, torch.tensor([[[[True, True, True, False]]]])).item()
    -1.0
    """
    masks = torch.ones_like(first[:, :1], dtype=torch.bool) if masks is None else masks
    for attribution in (first, second):
        check_attribution(attribution, attribution)
        check_masks(attribution, masks)
    pairs = zip(first.sum(1), second.sum(1), masks[:, 0], strict=True)
    found = []
    for a, b, mask in pairs:
        a, b = a[mask], b[mask]
        constant = len(a) < 2 or (a == a[0]).all() or (b == b[0]).all()
        found.append(
            float("nan")
            if constant
            else float(spearmanr(a.numpy(force=True), b.numpy(force=True)).statistic)
        )
    return torch.tensor(found, device=first.device)


def structural_similarity(first: Tensor, second: Tensor, sigma: float = 1.5) -> Tensor:
    """Structural similarity (SSIM) of two maps, each first divided by its largest magnitude.

    SSIM = mean over pixels of (2 μ_a μ_b + c₁)(2 σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² +
    c₂)), c₁ = 0.01², c₂ = 0.03²

    Local moments are weighted by a Gaussian of standard deviation σ, eleven pixels wide. Wang et
    al. (2004), *Image Quality Assessment*; Adebayo et al. (2018),
    *Sanity Checks for Saliency Maps*, compare maps of trained and randomised models by it.

    Args:
        first, second: ``(n, channels, height, width)``, at least six pixels on each side; channels
            are summed.
        sigma: of the window, in pixels.

    Returns:
        ``(n,)`` in [−1, 1], 1 for proportional maps of the same sign.
    """
    check_attribution(first, first)
    check_attribution(second, first)
    a, b = (_to_unit(attribution) for attribution in (first, second))
    local_mean = lambda x: gaussian_blur(x, 11, sigma)  # noqa: E731
    mean_a, mean_b = local_mean(a), local_mean(b)
    var_a, var_b, covariance = (
        local_mean(a * a) - mean_a**2,
        local_mean(b * b) - mean_b**2,
        local_mean(a * b) - mean_a * mean_b,
    )
    c1, c2 = 0.01**2, 0.03**2
    similarity = (
        (2 * mean_a * mean_b + c1)
        * (2 * covariance + c2)
        / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    )
    return similarity.mean((1, 2, 3))


def _to_unit(attribution: Tensor) -> Tensor:
    summed = attribution.sum(1, keepdim=True)
    return summed / summed.abs().amax((2, 3), keepdim=True).clamp(
        min=torch.finfo(summed.dtype).tiny
    )
