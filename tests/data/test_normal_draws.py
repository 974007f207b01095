import hashlib

import numpy as np
import pytest
import torch
from scipy.special import erf, erfinv
from scipy.stats import kstest

from lib.data.draws import draws
from lib.data.normal_draws import inverse_erf, midpoint_draws, normal_draws


@pytest.mark.parametrize("bits", [8, 23, 48])
def test_midpoints_are_those_of_equal_parts(bits):
    indices = torch.arange(2000)
    found = midpoint_draws(indices, 3, 5, bits)
    parts = found.double() * 2**bits - 0.5
    assert torch.equal(parts, parts.round()) and 0 < found.min() and found.max() < 1
    if bits == 23:
        assert torch.equal(found.float().double(), found)
    first = draws(indices, 6, 5)[:, ::2].double()
    assert (found - first).abs().max() <= 2.0**-bits + 2.0**-24


@pytest.mark.parametrize("seed", [0, 1])
def test_normal(seed):
    numbers = normal_draws(torch.arange(50_000), 4, seed).numpy()
    for column in numbers.T:
        assert kstest(column, "norm").pvalue > 1e-3
    assert numbers.std() == pytest.approx(1, abs=0.005) and abs(numbers.mean()) < 0.01
    assert 4 < abs(numbers).max() < 6


def test_inverse_of_the_error_function():
    x = np.linspace(-1, 1, 200_001)[1:-1]
    assert np.abs(erf(inverse_erf(x)) - x).max() < 2e-4
    assert np.array_equal(inverse_erf(-x), -inverse_erf(x))
    tail = 1 - 2.0 ** -np.arange(1, 50)
    np.testing.assert_allclose(inverse_erf(tail), erfinv(tail), rtol=0.005)


@pytest.mark.parametrize(
    ("function", "sha256"),
    [
        (draws, "63662fdbf0043677"),
        (midpoint_draws, "fc6ec964fabdc14b"),
        (normal_draws, "08cb5b9dbecb7ced"),
    ],
)
def test_bits_are_the_same_everywhere(function, sha256):
    found = function(torch.arange(1000), 50, 3).numpy().tobytes()
    assert hashlib.sha256(found).hexdigest()[:16] == sha256
