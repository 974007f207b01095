"""How a step of the encoder moves the tokens of an image: all together, or apart."""

import torch
from torch import Tensor

from lib.encoders.device import double


def _check(before: Tensor, after: Tensor) -> None:
    if before.shape != after.shape or before.ndim != 3 or before.shape[1] < 2:
        raise ValueError(
            "expected at least 2 tokens (batch, tokens, width) before and after, got shapes"
            f" {tuple(before.shape)} and {tuple(after.shape)}"
        )


def common_shift(before: Tensor, after: Tensor) -> Tensor:
    """Share of the tokens' shift that is common to all of them.

    c = ‖mean_t Δ_t‖² / mean_t ‖Δ_t‖², Δ_t = after_t − before_t

    The number behind the picture of Park et al. (2023), Fig. 6.

    Args:
        before, after: ``(batch, tokens, width)``.

    Returns:
        ``(batch,)`` in [0, 1]: 1 when every token moves by the same vector; 0 when the shifts
        cancel, or nothing moves by more than rounding.

    Raises:
        ValueError: two different shapes, fewer than 2 tokens.

    >>> common_shift(torch.zeros(1, 2, 2), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])).item()
    0.5
    """
    _check(before, after)
    shift = after.double() - before.double()
    total = shift.square().sum((1, 2))
    common = shift.shape[1] * shift.mean(1).square().sum(-1) / total
    return torch.where(total > _rounding(before), common, 0).clamp(max=1).to(before.dtype)


def log_spread(before: Tensor, after: Tensor) -> Tensor:
    """Log ratio of the root mean squared distance between tokens after and before.

    s = ½ log(Σ_{t,t'} ‖a_t − a_t'‖² / Σ_{t,t'} ‖b_t − b_t'‖²); the sum over pairs is 2N times the
    squared distance from the mean.

    The number behind the picture of Park et al. (2023), Fig. 6.

    Args:
        before, after: ``(batch, tokens, width)``.

    Returns:
        ``(batch,)``, natural logarithm: above 0 when the tokens move apart, below when they draw
        together.

    Raises:
        ValueError: two different shapes, fewer than 2 tokens, tokens that are all the same.

    >>> before = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> round(log_spread(before, 5 + 2 * before).exp().item(), 4)
    2.0
    """
    _check(before, after)
    first, second = _spread(before), _spread(after)
    return ((second / first).log() / 2).to(before.dtype)


def _spread(tokens: Tensor) -> Tensor:
    """Sum of squared distances ``(batch,)`` from the mean token, in double precision."""
    exact = tokens.double()
    spread = (exact - exact.mean(1, keepdim=True)).square().sum((1, 2))
    if not (spread > _rounding(tokens)).all():
        raise ValueError(
            "expected tokens that differ from one another by more than rounding,"
            " got an image whose tokens are all the same"
        )
    return spread


def _rounding(tokens: Tensor) -> Tensor:
    """Sum of squares ``(batch,)`` that rounding alone makes in tokens of this size and type."""
    return torch.finfo(tokens.dtype).eps ** 2 * double(tokens).square().sum((1, 2))


def principal_axes(before: Tensor, after: Tensor, dimensions: int = 3) -> tuple[Tensor, Tensor]:
    """Tokens of one image before and after a step, on the first right singular vectors of both
    together.

    X = [before; after] − mean = U Σ Vᵀ; what is drawn is the first columns of X V.

    Park et al. (2023), Fig. 6, who draw three dimensions; how they centre, and whether the basis is
    of both sets, is not known.

    Args:
        before, after: ``(tokens, width)``.
        dimensions: how many axes, at most ``width``.

    Returns:
        two tensors ``(tokens, dimensions)``; along each axis the largest value is positive.
    """
    both = torch.cat([before, after])
    centred = both - both.mean(0)
    axes = torch.linalg.svd(double(centred), full_matrices=False).Vh[:dimensions].to(both)
    drawn = centred @ axes.T
    return tuple((drawn * drawn.gather(0, drawn.abs().argmax(0)[None]).sign()).split(len(before)))
