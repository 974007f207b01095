import math

import numpy as np
import pytest
import torch

from lib.data.frequency_filter import frequency_filter


def images(n=2, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("keep", ["low", "high"])
@pytest.mark.parametrize("cutoff", [0.3, 1.0, 2.5, 4.0])
def test_equals_a_loop_over_frequencies(cutoff, keep):
    x = images(1)[:, :1]
    spectrum = np.fft.fft2(x[0, 0])
    for r, c in np.ndindex(16, 16):
        radius = math.hypot(*(2 * math.pi * min(k, 16 - k) / 16 for k in (r, c)))
        kept = radius <= cutoff if keep == "low" else radius > cutoff or radius == 0
        spectrum[r, c] *= kept
    assert np.allclose(
        frequency_filter(x, cutoff, keep)[0, 0], np.fft.ifft2(spectrum).real.clip(0, 1), atol=1e-5
    )


def test_low_and_high_add_up_to_the_image_and_its_mean():
    x = images() * 0.2 + 0.4  # nothing is clamped
    both = frequency_filter(x, 1.0, "low") + frequency_filter(x, 1.0, "high")
    assert torch.allclose(both, x + x.mean((2, 3), keepdim=True), atol=1e-5)


def test_grey_is_left_alone_by_both():
    grey = torch.full((1, 1, 8, 8), 0.6)
    assert all(
        torch.allclose(frequency_filter(grey, 1.0, keep), grey, atol=1e-6)
        for keep in ("low", "high")
    )


@pytest.mark.parametrize("cutoff", [0, -1, 4.5, math.nan])
def test_refuses_a_cutoff_outside_the_plane(cutoff):
    with pytest.raises(ValueError, match="expected a cutoff in"):
        frequency_filter(images(), cutoff, "low")


def test_refuses_another_word():
    with pytest.raises(ValueError, match="'low' or 'high', got 'mid'"):
        frequency_filter(images(), 1.0, "mid")
