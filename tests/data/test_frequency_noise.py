import math

import numpy as np
import pytest
import torch

from lib.data.frequency_noise import FREQUENCIES, frequency_noise, ring_bounds


def noise(frequency, n=6, channels=1, side=28, seed=0, **options):
    return frequency_noise(torch.arange(n), frequency, channels, side, seed, **options)


def author(x, f, s):
    """The author's mask, step by step, on noise ``(n, channels, side, side)``: shift, cut the
    square out, shift back."""
    side = x.shape[-1]
    half = side // 2
    spectrum = np.roll(np.fft.fft2(x), (half, half), axis=(2, 3))
    masks = []
    for edge in (f + s, f - s):
        width = min(max(int(edge * side / (2 * math.pi)) * 2, 0), side)
        masks.append(np.pad(np.ones((width, width)), (side - width) // 2))
    return np.fft.ifft2(np.roll(spectrum * (masks[0] - masks[1]), (half, half), axis=(2, 3))).real


def radius(side):
    """Larger of the two absolute frequencies, in cycles per image, of each entry of a numpy FFT."""
    wave = abs(np.fft.fftfreq(side, 1 / side))
    return np.maximum(wave, wave[:, None])


@pytest.mark.parametrize("f", FREQUENCIES)
@pytest.mark.parametrize("side", [28, 56])
def test_equals_the_authors_recipe_on_random_signs(f, side):
    # the whole plane is kept
    signs = frequency_noise(torch.arange(3), math.pi / 2, 2, side, seed=4, half_width=9.0).numpy()
    assert np.allclose(abs(signs), 0.7, atol=1e-5) and abs(signs.mean()) < 0.03
    assert np.allclose(noise(f, 3, 2, side, seed=4).numpy(), author(signs, f, 0.2), atol=1e-5)


@pytest.mark.parametrize("f", FREQUENCIES)
def test_energy_lies_in_the_ring(f):
    power = abs(np.fft.fft2(noise(f, 200).numpy())) ** 2
    inner, outer = ring_bounds(f, 28)
    inside = (radius(28) >= inner) & (radius(28) <= outer)
    assert (
        power[..., ~inside].sum() < 1e-9 * power.sum() and power[..., inside].mean((0, 1)).min() > 0
    )
    wave = np.fft.fftfreq(28, 1 / 28)
    kept = lambda sign: (abs(sign * wave + 0.5) < outer)[:, None] & (abs(sign * wave + 0.5) < outer)  # noqa: E731
    cut = lambda sign: (abs(sign * wave + 0.5) < inner)[:, None] & (abs(sign * wave + 0.5) < inner)  # noqa: E731
    # the real part of a real noise's masked spectrum
    weight = sum((kept(sign) & ~cut(sign)) / 2 for sign in (1, -1))
    # the expectation, by Parseval
    assert power.mean() == pytest.approx(0.7**2 * (weight**2).sum(), rel=0.1)


@pytest.mark.parametrize("side", [28, 56])
def test_rings_of_two_bins_are_equally_wide(side):
    bounds = [ring_bounds(f, side, half_width=2 * math.pi / side) for f in FREQUENCIES]
    assert [outer - inner for inner, outer in bounds] == [2] * 9


def test_disjoint_rings_are_orthogonal_and_one_ring_is_not():
    low, middle, high = (noise(f).flatten(1) for f in (0.1 * math.pi, 0.5 * math.pi, 0.9 * math.pi))
    cosine = lambda a, b: torch.cosine_similarity(a, b, dim=1).abs()  # noqa: E731
    assert max(cosine(a, b).max() for a, b in ((low, middle), (low, high), (middle, high))) < 1e-5
    assert cosine(low, noise(0.12 * math.pi).flatten(1)).min() > 0.9  # the same signs


def test_noise_belongs_to_the_image_and_the_seed():
    whole = noise(0.5 * math.pi, 6, 3)
    part = frequency_noise(torch.tensor([4, 1]), 0.5 * math.pi, 3, 28, seed=0)
    assert torch.allclose(part, whole[[4, 1]], atol=1e-6)
    flat = torch.cat([whole.reshape(-1, 784), noise(0.5 * math.pi, 6, 3, seed=1).reshape(-1, 784)])
    # 52 frequencies, 36 independent rows
    assert (torch.corrcoef(flat) - torch.eye(36)).abs().max() < 0.6


@pytest.mark.parametrize(
    ("f", "side", "half_width", "strength"),
    [(0.3, 16, 0.5, 2.0), (2.9, 16, 1.0, 0.007), (1.2, 28, 0.4, 1.3)],
)
def test_is_proportional_to_the_strength(f, side, half_width, strength):
    one = noise(f, 2, side=side, half_width=half_width, strength=1.0)
    assert torch.allclose(
        noise(f, 2, side=side, half_width=half_width, strength=strength), strength * one, atol=1e-5
    )
    assert one.shape == (2, 1, side, side) and one.dtype == torch.float32


@pytest.mark.parametrize(
    ("f", "side", "half_width", "message"),
    [
        (1.0, 27, 0.2, "even side, got 27"),
        (0.0, 28, 0.2, "between 0 and π, got 0"),
        (4.0, 28, 0.2, "between 0 and π"),
        (0.1, 28, 0.05, "no frequency of 28 pixels lies within 0.05 of 0.1"),
        (1.0, 28, 0.0, "no frequency"),
        (math.nan, 28, 0.2, "between 0 and π"),
    ],
)
def test_refusals(f, side, half_width, message):
    with pytest.raises(ValueError, match=message):
        noise(f, side=side, half_width=half_width)
