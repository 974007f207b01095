import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.probes.attention_distance import (
    attention_distance,
    patch_distances,
    uniform_attention_distance,
)

grids = st.tuples(st.integers(1, 4), st.integers(1, 4))


def naive(attention, grid, patch_size):
    """The definition in loops, for one map."""
    patches = grid[0] * grid[1]
    total = 0.0
    for q in range(patches):
        for k in range(patches):
            down, across = q // grid[1] - k // grid[1], q % grid[1] - k % grid[1]
            total += attention[q, k].item() * patch_size * math.sqrt(down**2 + across**2)
    return total / patches


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (2, 5), (5, 2)])
def test_equals_loops(make_attention, grid):
    attention = make_attention(grid[0] * grid[1])
    expected = torch.tensor(
        [[naive(one, grid, 14) for one in heads] for heads in attention], dtype=torch.float64
    )
    assert torch.allclose(attention_distance(attention, grid, 14), expected, rtol=1e-12)


def test_official_values(official_attention):
    # calculate_mean_attention_dist of github.com/naver-ai/cl-vs-mim, commit eafe516,
    # self_attention_analysis.ipynb, run on this attention
    expected = torch.tensor(
        [[58.06600008, 58.96956590, 54.65147027], [58.29916937, 57.58634236, 55.63459960]]
    )
    assert torch.allclose(attention_distance(official_attention, (7, 7), 16), expected, atol=1e-3)


def shift(rows, columns):
    """Each query looks at its right neighbour, the last of a row at the first."""
    return (
        torch.eye(rows * columns).reshape(rows, columns, -1).roll(-1, 1).reshape(rows * columns, -1)
    )


@pytest.mark.parametrize(
    ("attention", "grid", "expected"),
    [
        (torch.eye(12), (3, 4), 0),
        # Σ (14 − |r|) (14 − |c|) √(r² + c²) · 16 / 14⁴
        (torch.full((196, 196), 1 / 196), (14, 14), 116.4922),
        # mean |i - j| of n points on a line: (n² − 1) / 3n
        (torch.full((6, 6), 1 / 6), (1, 6), 16 * (36 - 1) / (3 * 6)),
        (shift(3, 4), (3, 4), 16 * (3 * 1 + 3) / 4),
        (shift(1, 12), (1, 12), 16 * (11 * 1 + 11) / 12),
        # collapsed on the centre
        (torch.eye(9)[4].expand(9, 9), (3, 3), 16 * (4 * 1 + 4 * math.sqrt(2)) / 9),
        # and on a corner
        (
            torch.eye(9)[0].expand(9, 9),
            (3, 3),
            16 * (2 + 4 + 2 * math.sqrt(5) + math.sqrt(2) + math.sqrt(8)) / 9,
        ),
    ],
)
def test_closed_forms(attention, grid, expected):
    assert attention_distance(attention[None, None], grid, 16).item() == pytest.approx(
        expected, abs=5e-4
    )


@pytest.mark.parametrize("grid", [(1, 1), (7, 7), (3, 5)])
def test_uniform_line_is_the_distance_of_uniform_attention(grid):
    patches = grid[0] * grid[1]
    uniform = torch.full((1, 1, patches, patches), 1 / patches, dtype=torch.float64)
    assert uniform_attention_distance(grid, 4) == pytest.approx(
        attention_distance(uniform, grid, 4).item()
    )


def test_largest_distance_is_the_diagonal():
    # 294.2
    assert patch_distances((14, 14), 16).max().item() == pytest.approx(16 * 13 * math.sqrt(2))


@given(
    grid=grids, seed=st.integers(0, 999), sharpness=st.floats(0, 20), patch_size=st.floats(0.5, 64)
)
def test_flips_leave_it_and_the_patch_size_scales_it(
    make_attention, grid, seed, sharpness, patch_size
):
    rows, columns = grid
    attention = make_attention(rows * columns, 1, 2, seed, sharpness)
    found = attention_distance(attention, grid, 1.0)
    on_grid = attention.reshape(1, 2, rows, columns, rows, columns)
    for axes in [(2, 4), (3, 5), (2, 3, 4, 5)]:  # flips of queries and keys alike
        assert torch.allclose(
            attention_distance(on_grid.flip(axes).reshape_as(attention), grid, 1.0), found
        )
    transposed = on_grid.permute(0, 1, 3, 2, 5, 4).reshape_as(attention)
    assert torch.allclose(attention_distance(transposed, (columns, rows), 1.0), found)
    assert torch.allclose(attention_distance(attention, grid, patch_size), patch_size * found)
    assert (found >= 0).all() and (found <= math.hypot(rows - 1, columns - 1) + 1e-9).all()


def test_refuses_another_grid(make_attention):
    with pytest.raises(ValueError, match="2 × 4 has 8 patches, the attention has 6"):
        attention_distance(make_attention(6), (2, 4), 16)
