import numpy as np
import pytest
import torch

from lib.data.phase_amplitude import recombine


def photographs(n=3, channels=3, side=16, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_equals_numpy_channel_by_channel():
    p, a = photographs(seed=1), photographs(seed=2)
    expected = np.empty(p.shape)
    for i, c in np.ndindex(3, 3):
        of_p, of_a = np.fft.fft2(p[i, c]), np.fft.fft2(a[i, c])
        expected[i, c] = np.fft.ifft2(np.abs(of_a) * np.exp(1j * np.angle(of_p))).real.clip(0, 1)
    assert np.allclose(recombine(p, a), expected, atol=1e-5)


def test_an_image_with_itself_is_itself():
    x = photographs()
    assert torch.allclose(recombine(x, x), x, atol=1e-5)


def test_a_shifted_image_keeps_its_place_with_its_phase():
    x = photographs() * 0.2 + 0.4  # nothing is clamped
    shifted = x.roll(5, -1)
    assert torch.allclose(recombine(shifted, x), shifted, atol=1e-5)


def test_grey_gives_its_amplitude_to_any_phase():
    grey = torch.full((1, 3, 16, 16), 0.3)
    assert torch.allclose(recombine(photographs(1), grey), grey, atol=1e-5)
    assert (
        recombine(torch.zeros_like(grey), photographs(1)).isfinite().all()
    )  # no phase to speak of


def test_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match=r"one shape .* \(3, 3, 16, 16\) and \(3, 1, 16, 16\)"):
        recombine(photographs(), photographs(channels=1))
