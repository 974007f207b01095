"""SSLA: attribution of the invariance score along a path that lowers it.

SSLA (2025), Theorem 1 and Algorithm 1, https://openreview.net/forum?id=2bEjhK2vYp; its code was not
released.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lib.attribution.checks import check_images, warn_zero_maps
from lib.attribution.invariance_score import invariance_score
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder

StepRule = Literal["pixel", "sign", "gradient"]
STEP_RULES = ("pixel", "sign", "gradient")


@dataclass(frozen=True)
class SSLAResult:
    """Attribution and the path it was summed along.

    Attributes:
        attribution: ``(n, channels, height, width)``.
        scores: ``(n, steps + 1)``, S(x₀), …, S(x_T).
    """

    attribution: Tensor
    scores: Tensor

    @property
    def completeness_gap(self) -> Tensor:
        """|Σ_i A_i − (S(x₀) − S(x_T))|, ``(n,)``: the error of the first-order approximation, 0 in
        the limit of small steps."""
        return (self.attribution.flatten(1).sum(1) - (self.scores[:, 0] - self.scores[:, -1])).abs()


def _move(
    gradient: Tensor, images: Tensor, steps: int, step_rule: StepRule, step_size: float
) -> Tensor:
    """What a step subtracts from the image."""
    if step_rule == "pixel":
        return images / steps * gradient.sign()
    if step_rule == "sign":
        return step_size * gradient.sign()
    root_mean_square = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    return torch.where(root_mean_square > 0, step_size * gradient / root_mean_square, 0)


def walk(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    steps: int,
    step_rule: StepRule = "pixel",
    step_size: float = 0.0,
    epsilon: float = 1.0,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The path of :func:`ssla` point by point: x_t, the attribution summed before it, S(x_t).

    t = 0, …, T; arguments as there.
    """
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    x, attribution = images.clone(), torch.zeros_like(images)
    for _ in range(steps):
        x.requires_grad_()
        score = invariance_score(encoder, x, mean_views)
        (gradient,) = torch.autograd.grad(score.sum(), x)
        x = x.detach()
        yield x, attribution, score.detach()
        moved = (x - _move(gradient, images, steps, step_rule, step_size)).clamp(low, high)
        attribution, x = attribution + gradient * (x - moved), moved
    with torch.no_grad():
        score = invariance_score(encoder, x, mean_views)
    yield x, attribution, score


def _path(
    encoder: Encoder,
    images: Tensor,
    mean_views: Tensor,
    steps: int,
    step_rule: StepRule,
    step_size: float,
    epsilon: float,
) -> SSLAResult:
    scores = []
    points = walk(encoder, images, mean_views, steps, step_rule, step_size, epsilon)
    for _, attribution, score in points:  # noqa: B007
        scores.append(score)
    return SSLAResult(attribution, torch.stack(scores, 1))


def ssla(
    encoder: Encoder, images: Tensor, mean_views: Tensor, steps: int = 10,
    step_rule: StepRule = "pixel", step_size: float | None = None, epsilon: float = 1.0,
    batch_size: int = 256,
) -> SSLAResult:  # fmt: skip
    """Sum gradient times movement along a descent of the invariance score.

    g_t = ∂S(x_t)/∂x_t, x_{t+1} = clip(x_t − δ_t), A = Σ_t g_t · (x_t − x_{t+1}), so that Σ_i A_i =
    S(x₀) − S(x_T) to first order.

    - ``"pixel"``: δ_t = (x₀/T) · sign g_t, the paper's Algorithm 1 (A = Σ_t (x₀/T) · |g_t|). A
      black pixel never moves and gets 0.
    - ``"sign"``: δ_t = step_size · sign g_t.
    - ``"gradient"``: δ_t = step_size · g_t / √(mean g_t²), steepest descent, the direction that the
      theorem's proof derives.

    The clip keeps x in [0, 1] and within ε of x₀; A counts the distance that an entry has really
    moved.

    No label, no other image and no head enters, and nothing of the architecture but its gradient.

    Args:
        encoder: f.
        images: x₀, ``(n, channels, height, width)`` in [0, 1].
        mean_views: z̄, ``(n, width)``.
        steps: T; the paper does not state it.
        step_rule: how far each entry moves.
        step_size: of ``"sign"`` (each entry's move) and ``"gradient"`` (root mean square over
            entries), as a share of the pixel range; (16/255)/T where None: the whole path moves an
            entry by at most 16/255 (on average, for ``"gradient"``).
        epsilon: ε, largest distance of an entry from x₀; 1 is no limit.
        batch_size: images per forward-backward pass.

    Returns:
        :class:`SSLAResult`. An all-black image gets a zero map from ``"pixel"``, with a warning.

    Raises:
        ValueError: an unknown rule, no steps, a step size that the rule does not use, images
            outside [0, 1] or NaN.
    """
    if step_rule not in STEP_RULES:
        raise ValueError(f"step_rule is one of {STEP_RULES}, got {step_rule!r}")
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    if step_rule == "pixel" and step_size is not None:
        raise ValueError(
            "step_rule 'pixel' moves each pixel by a share of itself; it takes no step_size, got"
            f" {step_size}"
        )
    check_images(images, mean_views)
    images = images.detach()
    size = 16 / 255 / steps if step_size is None else step_size
    path = lambda x, z: _path(encoder, x, z, steps, step_rule, size, epsilon)  # noqa: E731
    options = dict(batch_size=batch_size, gradients=True, desc=f"SSLA of {encoder.name}")
    result = in_batches(encoder, path, images, mean_views, **options)
    warn_zero_maps(result.attribution, "SSLA")
    return result
