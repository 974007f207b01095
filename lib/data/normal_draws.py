"""Normal random numbers that are the same bits on every machine.

Everything here is one of the five operations that IEEE 754 rounds exactly, + − × ÷ and √, one at a
time, on ``draws``: no logarithm or cosine of a library, whose last bits depend on the processor.
"""

import numpy as np
import torch
from torch import Tensor

from lib.data.draws import draws


def midpoint_draws(indices: Tensor, count: int, seed: int, bits: int = 48) -> Tensor:
    """Uniform numbers inside (0, 1): the midpoints of 2ᵇⁱᵗˢ equal parts, float64 ``(n, count)``.

    They are symmetric about ½ and never 0 or 1; up to 23 bits are exact in float32 too. Each is made
    of two of ``draws``, whose arguments and errors these are.

    Args:
        bits: 1 to 48.
    """
    high, low = draws(indices, 2 * count, seed).double().reshape(-1, count, 2).unbind(2)
    return (((high + low / 2**24) * 2**bits).floor() + 0.5) / 2**bits


def _logarithm(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive numbers, to 2e-15: 2 artanh((m − 1)/(m + 1)) + e log 2 with
    x = m · 2ᵉ, ½ ≤ m < 1."""
    mantissa, exponent = np.frexp(x)
    t = (mantissa - 1) / (mantissa + 1)
    series = np.zeros_like(t)
    for k in range(25, -1, -1):
        series = series * (t * t) + 1 / (2 * k + 1)
    return 2 * t * series + exponent * 0.6931471805599453


def inverse_erf(x: np.ndarray) -> np.ndarray:
    """Inverse of the error function in (−1, 1): within 0.2 %, the distribution within 1e-4.

    erf⁻¹(x) ≈ sign(x) √(√(h² − l/a) − h), l = log(1 − x²), h = 2/(π a) + l/2, a = 0.147

    Winitzki (2008), *A handy approximation for the error function and its inverse*. Initial weights
    and noise need no more, and a more exact one needs tables of coefficients.

    >>> round(float(inverse_erf(np.array(0.5))), 3)  # 0.4769…
    0.477
    """
    logarithm = _logarithm((1 - x) * (1 + x))
    half = 2 / (np.pi * 0.147) + logarithm / 2
    return np.sign(x) * np.sqrt(np.sqrt(half * half - logarithm / 0.147) - half)


def normal_draws(indices: Tensor, count: int, seed: int) -> Tensor:
    """Normal numbers of mean 0 and variance 1, float64 ``(n, count)``: √2 erf⁻¹(2 u − 1).

    Arguments and errors are those of ``draws``.
    """
    uniform = midpoint_draws(indices, count, seed).numpy()
    return torch.from_numpy(np.sqrt(2) * inverse_erf(2 * uniform - 1))
