"""Measures of one map, and of two maps of the same image."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, rankdata

from lib.attribution.concentration import effective_area
from lib.attribution.map_similarity import rank_correlation, structural_similarity
from lib.attribution.mean_frequency import mean_frequency
from lib.attribution.outline_share import outline, outline_share


def maps(seed, channels=1, n=3, side=12):
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 999), channels=st.sampled_from([1, 3]))
def test_rank_correlation_is_pearsons_of_the_ranks_inside_the_mask(seed, channels):
    first, second, masks = (
        maps(seed, channels),
        maps(seed + 1, channels).round(decimals=1),
        maps(seed + 2) > 0.3,
    )
    found = rank_correlation(first, second, masks)
    for i in range(3):
        inside = masks[i, 0].numpy()
        ranks = [rankdata(m[i].sum(0).numpy()[inside]) for m in (first, second)]
        assert found[i].item() == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-5)


def test_rank_correlation_ignores_what_lies_outside_the_mask_and_any_increasing_change():
    first, masks = maps(0), maps(2) > 0
    second = torch.where(masks, first.exp(), -first)
    assert torch.allclose(rank_correlation(first, second, masks), torch.ones(3))


def test_a_map_that_is_constant_on_the_mask_has_no_rank_correlation():
    masks = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert rank_correlation(torch.zeros(1, 1, 4, 4), torch.rand(1, 1, 4, 4), masks).isnan().all()
    assert rank_correlation(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4), ~masks).isnan().all()


def window(y, x, side, sigma=1.5):
    """Weights of the pixels of a reflected image around (y, x)."""
    g = np.exp(-((np.arange(-5, 6) / sigma) ** 2) / 2)
    g /= g.sum()
    reflect = lambda i: -i if i < 0 else 2 * (side - 1) - i if i >= side else i  # noqa: E731
    w = np.zeros((side, side))
    for j, a in enumerate(g):
        for k, b in enumerate(g):
            w[reflect(y + j - 5), reflect(x + k - 5)] += a * b
    return w


def test_structural_similarity_equals_a_loop_over_windows():
    first, second = maps(4, n=1), maps(5, n=1)
    a, b = (m[0, 0].double().numpy() / m.abs().max().item() for m in (first, second))
    values = []
    for y in range(12):
        for x in range(12):
            w = window(y, x, 12)
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb, cov = (
                (w * (a - ma) ** 2).sum(),
                (w * (b - mb) ** 2).sum(),
                (w * (a - ma) * (b - mb)).sum(),
            )
            values.append(
                (2 * ma * mb + 1e-4)
                * (2 * cov + 9e-4)
                / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
            )
    assert structural_similarity(first, second).item() == pytest.approx(np.mean(values), abs=1e-5)


def test_structural_similarity_ignores_scale():
    first = maps(6)
    assert torch.allclose(structural_similarity(first, 3 * first), torch.ones(3), atol=1e-5)
    assert (structural_similarity(first, maps(7)) < 0.9).all()
    assert structural_similarity(0 * first, 0 * first).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("wavelength", "axis"), [(2, -1), (4, -2), (6, -1), (12, -2)])
def test_mean_frequency_of_a_wave(wavelength, axis):
    wave = torch.cos(2 * math.pi * torch.arange(12) / wavelength)
    image = wave.expand(12, 12) if axis == -1 else wave[:, None].expand(12, 12)
    for constant in (0.0, 5.0):
        assert mean_frequency(image[None, None] + constant).item() == pytest.approx(
            1 / wavelength, rel=1e-5
        )


def test_mean_frequency_equals_a_loop_and_sums_channels():
    image = maps(7, channels=2, n=1, side=5)
    grey = image[0].sum(0).double().numpy()
    power, total = 0.0, 0.0
    for v in range(-2, 3):
        for u in range(-2, 3):
            if u or v:
                y, x = np.mgrid[:5, :5]
                p = abs((grey * np.exp(-2j * np.pi * (u * x + v * y) / 5)).sum()) ** 2
                power, total = power + p, total + p * np.hypot(u, v) / 5
    assert mean_frequency(image).item() == pytest.approx(total / power, rel=1e-5)
    assert mean_frequency(torch.ones(1, 1, 4, 4)).isnan().all()


@given(seed=st.integers(0, 999), patch=st.sampled_from([1, 2, 3, 4]))
def test_effective_area_is_the_perplexity_of_the_patches(seed, patch):
    attribution = maps(seed, channels=2)
    found = effective_area(attribution, patch)
    for i in range(3):
        mass = (
            attribution[i]
            .abs()
            .sum(0)
            .reshape(12 // patch, patch, 12 // patch, patch)
            .sum((1, 3))
            .flatten()
        )
        assert found[i].item() == pytest.approx(np.exp(entropy(mass.numpy())) / len(mass), rel=1e-4)
    one = torch.zeros(1, 1, 12, 12)
    one[0, 0, 5, 5] = 1
    assert (
        effective_area(one, patch).item() == pytest.approx((patch / 12) ** 2)
        and effective_area(one + 1e-9 - 1e-9, 12).item() == 1
    )


def test_outline_equals_a_loop_over_neighbours():
    masks = maps(8) > -0.8
    for width in (1, 2, 3):
        found = outline(masks, width)
        for i in range(3):
            for y in range(12):
                for x in range(12):
                    near = [
                        (j, k)
                        for j in range(y - width, y + width + 1)
                        for k in range(x - width, x + width + 1)
                    ]
                    outside = any(
                        not (0 <= j < 12 and 0 <= k < 12) or not masks[i, 0, j, k] for j, k in near
                    )
                    assert found[i, 0, y, x] == (masks[i, 0, y, x] and outside)


def test_outline_share_of_a_square():
    masks = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    masks[..., 2:10, 2:10] = True
    assert outline_share(torch.ones(1, 1, 12, 12), masks).item() == pytest.approx(1 - 16 / 64)
    assert outline_share(outline(masks).float() + (~masks).float(), masks).item() == 1
    assert outline_share((masks & ~outline(masks)).float(), masks).item() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: outline(a > 0, 0), "width of at least 1"),
        (lambda a: outline(a, 1), "bool masks"),
        (lambda a: effective_area(a, 5), "patch size that divides 12 × 12, got 5"),
        (lambda a: mean_frequency(a / 0), "finite"),
        (lambda a: rank_correlation(a, a, a), "bool masks"),
        (lambda a: structural_similarity(a, a[:2]), "shape"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(maps(0))
