import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.probes.local_attention import local_attention, neighbourhood


def naive(attention, grid, radius):
    """The definition in loops, for one map."""
    patches = grid[0] * grid[1]
    total = 0.0
    for q in range(patches):
        for k in range(patches):
            if (
                abs(q // grid[1] - k // grid[1]) <= radius
                and abs(q % grid[1] - k % grid[1]) <= radius
            ):
                total += attention[q, k].item()
    return total / patches


@pytest.mark.parametrize("grid", [(4, 4), (2, 5), (5, 2), (1, 6)])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_equals_loops(make_attention, grid, radius):
    attention = make_attention(grid[0] * grid[1])
    expected = torch.tensor(
        [[naive(one, grid, radius) for one in heads] for heads in attention], dtype=torch.float64
    )
    assert torch.allclose(local_attention(attention, grid, radius), expected, atol=1e-12)


def looks_at(rows, columns, down, across):
    """Each query attends to one key, so many patches down and across, around the edges."""
    return (
        torch.eye(rows * columns)
        .reshape(rows, columns, -1)
        .roll((-down, -across), (0, 1))
        .reshape(rows * columns, -1)
    )


@pytest.mark.parametrize(
    ("attention", "grid", "radius", "expected"),
    [
        (torch.eye(20), (4, 5), 0, 1),
        # 3n − 2 neighbouring pairs along each side
        (torch.full((49, 49), 1 / 49), (7, 7), 1, 19 * 19 / 49**2),
        (torch.full((20, 20), 1 / 20), (4, 5), 1, 10 * 13 / 20**2),
        (torch.full((20, 20), 1 / 20), (4, 5), 4, 1),
        (looks_at(4, 5, 0, 1), (4, 5), 1, 4 / 5),  # the last column wraps around
        (looks_at(4, 5, 1, 0), (4, 5), 1, 3 / 4),
        (looks_at(4, 5, 1, 1), (4, 5), 1, 3 / 4 * 4 / 5),
        (looks_at(4, 5, 0, 2), (4, 5), 1, 0),
        (looks_at(4, 5, 0, 2), (4, 5), 2, 3 / 5),
        (looks_at(4, 5, 0, 1), (4, 5), 0, 0),
    ],
)
def test_closed_forms(attention, grid, radius, expected):
    assert local_attention(attention[None, None], grid, radius).item() == pytest.approx(
        expected, abs=1e-6
    )


def test_neighbourhood_of_the_centre_is_the_square_around_it():
    square = torch.zeros(5, 7, dtype=torch.bool)
    square[1:4, 2:5] = True
    assert torch.equal(neighbourhood((5, 7))[2 * 7 + 3].reshape(5, 7), square)


@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    seed=st.integers(0, 999),
    sharpness=st.floats(0, 100),
)
def test_in_unit_interval_and_grows_with_the_radius(make_attention, rows, columns, seed, sharpness):
    attention = make_attention(rows * columns, 1, 2, seed, sharpness)
    shares = torch.stack(
        [local_attention(attention, (rows, columns), radius) for radius in range(4)]
    )
    assert (
        (shares >= 0).all() and (shares <= 1 + 1e-12).all() and (shares.diff(dim=0) >= -1e-12).all()
    )
    assert torch.allclose(shares[0], attention.diagonal(dim1=-2, dim2=-1).mean(-1))
    assert torch.allclose(shares[3], torch.ones_like(shares[3]))  # the square covers the grid


def test_refuses_another_grid(make_attention):
    with pytest.raises(ValueError, match="2 × 4 has 8 patches, the attention has 6"):
        local_attention(make_attention(6), (2, 4))
