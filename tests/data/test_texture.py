import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from lib.data.texture import (
    CONTRASTS,
    TEXTURE_KINDS,
    WAVELENGTHS,
    interior,
    texture,
    texture_parameters,
)


def of_kind(kind: str, n: int = 12, seed: int = 0):
    parameters = texture_parameters(torch.arange(n), seed)
    return replace(parameters, kind=torch.full_like(parameters.kind, TEXTURE_KINDS.index(kind)))


def spectrum(images, side):
    """Power without the mean, with the two frequencies in cycles per pixel (Hann window against
    leakage)."""
    window = np.hanning(side)[:, None] * np.hanning(side)
    images = images[:, 0].numpy()
    power = abs(np.fft.fft2((images - images.mean((1, 2), keepdims=True)) * window)) ** 2
    frequency = np.fft.fftfreq(side)
    return power, frequency[:, None] + np.zeros((1, side)), frequency[None] + np.zeros((side, 1))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=20), st.integers(0, 20), st.integers(0, 99)
)
def test_does_not_depend_on_the_batch_and_stays_in_range(indices, cut, seed):
    indices = torch.tensor(indices)
    whole = texture(texture_parameters(indices, seed))
    parts = torch.cat(
        [texture(texture_parameters(part, seed)) for part in (indices[:cut], indices[cut:])]
    )
    assert whole.shape == (len(indices), 1, 28, 28) and whole.dtype == torch.float32
    torch.testing.assert_close(whole, parts, rtol=0, atol=2e-7)
    assert whole.min() >= 0 and whole.max() <= 1


def test_parameters_cover_their_ranges_uniformly():
    p = texture_parameters(torch.arange(8000), seed=1)
    counts = p.kind.bincount(minlength=4)
    assert len(counts) == 4 and (counts - 2000).abs().max() < 200  # five standard errors
    for values, low, high in (
        (p.wavelength, *WAVELENGTHS),
        (p.angle, 0, math.pi),
        (p.phase[:, 0], 0, 2 * math.pi),
        (p.contrast, *CONTRASTS),
    ):
        assert kstest(values.numpy(), "uniform", (low, high - low)).pvalue > 1e-3


@pytest.mark.parametrize("kind", TEXTURE_KINDS)
def test_contrast_bounds_the_range_around_the_middle(kind):
    p = of_kind(kind, 40)
    depth = (texture(p, (64, 64)) - 0.5).abs().amax((1, 2, 3))
    assert (depth <= p.contrast / 2 + 1e-6).all() and (depth > 0.4 * p.contrast).all()
    flat = texture(replace(p, contrast=torch.zeros_like(p.contrast)))
    assert (flat == 0.5).all()


def test_stripes_have_the_wavelength_and_the_angle():
    side, p = 128, of_kind("stripes")
    power, down, across = spectrum(texture(p, (side, side)), side)
    for i, image in enumerate(power):
        peak = np.unravel_index(image.argmax(), image.shape)
        expected = np.array([math.sin(p.angle[i]), math.cos(p.angle[i])]) / p.wavelength[i].item()
        found = np.array([down[peak], across[peak]])
        assert min(abs(found - expected).max(), abs(found + expected).max()) < 1 / side


@pytest.mark.parametrize(
    "kind, directions", [("checks", (math.pi / 4, 3 * math.pi / 4)), ("dots", (0, math.pi / 2))]
)
def test_lattices_have_two_perpendicular_directions(kind, directions):
    side, p = 128, of_kind(kind)
    power, down, across = spectrum(texture(p, (side, side)), side)
    # sin a · sin b is the sum of two diagonal waves
    scale = math.sqrt(2) if kind == "checks" else 1
    for i, image in enumerate(power):
        near = np.zeros(image.shape, bool)
        for turn in directions:
            angle, frequency = p.angle[i] + turn, scale / p.wavelength[i]
            for sign in (1, -1):
                distance = np.hypot(
                    down - sign * (frequency * angle.sin()).item(),
                    across - sign * (frequency * angle.cos()).item(),
                )
                near |= distance < 2.5 / side
                assert image[distance < 2.5 / side].sum() > 0.1 * image.sum()
        assert image[near].sum() > (0.98 if kind == "checks" else 0.6) * image.sum()


def test_noise_is_band_passed_and_isotropic():
    side, p = 128, of_kind("noise", 40)
    power, down, across = spectrum(texture(p, (side, side)), side)
    radius = np.hypot(down, across) * p.wavelength.numpy()[:, None, None]  # 1 at the wavelength
    inside = (radius > 0.78) & (radius < 1.32)  # 1/1.2 to 1/0.8, and the window's width
    # clipping spreads the rest
    assert ((power * inside).sum((1, 2)) / power.sum((1, 2))).min() > 0.85
    quarter = (abs(across) > abs(down)) * inside
    share = (power * quarter).sum((1, 2)) / (power * inside).sum((1, 2))
    assert abs(share.mean() - 0.5) < 0.1


def test_unknown_kind():
    p = of_kind("dots")
    with pytest.raises(ValueError, match="kind is an index into .*got \\[4\\]"):
        texture(replace(p, kind=p.kind * 2))


def naive_interiors(image, mask, largest):
    """The definition, with loops: image ``(height, width)``; one result for each place that is
    nearest to the centroid."""
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    for s in range(min(largest, height, width), 0, -1):
        corners = [
            (y, x)
            for y in range(height - s + 1)
            for x in range(width - s + 1)
            if mask[y : y + s, x : x + s].all()
        ]
        if corners:
            break
    distance = [
        (y + (s - 1) / 2 - ys.mean()) ** 2 + (x + (s - 1) / 2 - xs.mean()) ** 2 for y, x in corners
    ]
    # float32 may order equals either way
    nearest = [
        corner for corner, d in zip(corners, distance, strict=True) if d < min(distance) + 1e-4
    ]
    return [
        np.pad(image[y : y + s, x : x + s], [(0, height), (0, width)], mode="symmetric")[
            :height, :width
        ]
        for y, x in nearest
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.floats(0.1, 0.9))
def test_interior_equals_the_definition(seed, largest, edge):
    generator = np.random.default_rng(seed)
    coarse = np.kron(generator.random((3, 4, 4)) < edge, np.ones((3, 3)))[:, :11, :12].astype(bool)
    coarse[:, 3:5, 4] = True
    images = generator.random((3, 11, 12)).astype(np.float32)
    found = interior(torch.from_numpy(images)[:, None], torch.from_numpy(coarse)[:, None], largest)
    for i in range(3):
        ys, xs = np.nonzero(coarse[i])
        assert any(
            np.array_equal(found[i, 0].numpy(), naive)
            for naive in naive_interiors(images[i], coarse[i], largest)
        )


def test_interior_uses_the_mask_alone():
    images = torch.rand(5, 3, 20, 16, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(5, 1, 20, 16, dtype=torch.bool)
    masks[:, :, 4:15, 3:12] = True
    changed = torch.where(masks, images, torch.full_like(images, 9.0))
    assert interior(images, masks).equal(interior(changed, masks))
    assert interior(images, masks).shape == images.shape
    square = interior(images, masks)[:, :, :9, :9]  # 9 columns fit, rows 5 to 13 are in the middle
    assert square.equal(images[:, :, 5:14, 3:12])


def test_interior_does_not_depend_on_the_batch():
    generator = torch.Generator().manual_seed(1)
    images, masks = (
        torch.rand(9, 1, 14, 14, generator=generator),
        torch.rand(9, 1, 14, 14, generator=generator) < 0.9,
    )
    assert interior(images, masks).equal(
        torch.cat([interior(i[None], m[None]) for i, m in zip(images, masks, strict=True)])
    )


def test_interior_refuses_bad_input():
    images, masks = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4).bool()
    with pytest.raises(ValueError, match="empty mask at position 1"):
        interior(images, torch.stack([masks[0], ~masks[1]]))
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        interior(images, masks, largest=0)
    with pytest.raises(ValueError, match="expected bool masks"):
        interior(images, masks[:1])
    with pytest.raises(ValueError, match="expected bool masks"):
        interior(images, masks.float())
