"""Projection heads and momentum networks, shared by the joint-embedding objectives."""

import copy
import math

import torch
from torch import nn


def mlp(
    layers: int, inputs: int, hidden: int, outputs: int, last_norm: bool = True
) -> nn.Sequential:
    """Linear layers without bias, BatchNorm and ReLU between them, as MoCo v3, BYOL and SimSiam
    have them.

    Args:
        layers: number of linear layers.
        inputs, hidden, outputs: widths.
        last_norm: end with a BatchNorm without affine parameters; without it the last linear layer
            has a bias.
    """
    modules: list[nn.Module] = []
    for layer in range(layers):
        width_in, width_out = (
            inputs if layer == 0 else hidden,
            (outputs if layer == layers - 1 else hidden),
        )
        last = layer == layers - 1
        modules.append(nn.Linear(width_in, width_out, bias=last and not last_norm))
        if not last:
            modules += [nn.BatchNorm1d(width_out), nn.ReLU(inplace=True)]
        elif last_norm:
            modules.append(nn.BatchNorm1d(width_out, affine=False))
    return nn.Sequential(*modules)


def frozen_copy(network: nn.Module) -> nn.Module:
    """A copy that starts with the same weights and takes no gradient."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def momentum_update(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """Exponential moving average of the parameters: θ_target ← m θ_target + (1 − m) θ_online."""
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast, 1 - momentum)


def cosine_momentum(base: float, progress: float) -> float:
    """Momentum that rises from ``base`` to 1 along a half cosine; ``progress`` in [0, 1] is the
    share of the training done.

    m = 1 − (1 − base) (1 + cos(π progress)) / 2

    >>> cosine_momentum(0.99, 0.0), cosine_momentum(0.99, 1.0)
    (0.99, 1.0)
    """
    return 1 - (1 - base) * (1 + math.cos(math.pi * progress)) / 2
