"""SSLA with the paper's step rule as it is printed: the path may leave [0, 1]."""

from torch import Tensor

from lib.attribution.ssla import SSLAResult, ssla
from lib.encoders.encoder import Encoder


def ssla_unclipped(
    encoder: Encoder, images: Tensor, mean_views: Tensor, steps: int = 10
) -> SSLAResult:
    """As :func:`lib.attribution.ssla.ssla` with the rule ``"pixel"``, without the clip.

    A pixel x₀ walks between 0 and 2·x₀, so the same path in half the units, y = x / 2, never
    leaves [0, 1]: for g(y) = f(2y) every gradient is twice as large and every step half as long,
    which leaves each contribution g_t · (x_t − x_{t+1}) as it is.

    SSLA (2025), Algorithm 1, which mentions no clip.

    Args:
        encoder: f.
        images: x₀, ``(n, channels, height, width)`` in [0, 1].
        mean_views: z̄, ``(n, width)``, of f.
        steps: T.

    Raises:
        ValueError: as ``ssla``.
    """
    mean, std = ((values / 2).flatten().tolist() for values in (encoder.mean, encoder.std))
    halved = Encoder(
        encoder.model, mean, std, encoder.pooling, encoder.name, encoder.family, encoder.input_size
    )
    return ssla(halved, images / 2, mean_views, steps)
