import math
from itertools import product

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lib.encoders.architecture import STEM_VIT, VIT, build, vit_arguments
from lib.pretrain.mae import MAE
from lib.pretrain.masking import blank, block_mask
from lib.pretrain.simmim import SimMIM


def masks(n, grid, rate, block=2, seed=0):
    return block_mask(n, grid, rate, torch.Generator().manual_seed(seed), block)


@pytest.mark.parametrize("block", [1, 2, 3, 4])
@given(
    rows=st.integers(1, 14),
    columns=st.integers(1, 14),
    rate=st.floats(0.01, 0.99),
    seed=st.integers(0, 999),
)
@example(rows=14, columns=14, rate=0.6, seed=0)
@example(rows=7, columns=7, rate=0.6, seed=0)
@example(rows=8, columns=8, rate=0.5, seed=1)
def test_masks_exactly_the_share(block, rows, columns, rate, seed):
    found = masks(6, (rows, columns), rate, block, seed)
    assert found.shape == (6, rows * columns) and found.dtype == torch.bool
    assert (found.sum(1) == math.ceil(rate * rows * columns)).all()


def cut_tiles(mask, offset, block):
    """How many tiles of the blocks' tiling at an offset are masked in part."""
    tiles = {}
    for row, column in product(*map(range, mask.shape)):
        tiles.setdefault(((row + offset[0]) // block, (column + offset[1]) // block), set()).add(
            mask[row, column].item()
        )
    return sum(len(values) == 2 for values in tiles.values())


@pytest.mark.parametrize(
    ("grid", "block"),
    [((8, 8), 2), ((8, 6), 2), ((7, 7), 2), ((9, 9), 3), ((9, 6), 3), ((8, 8), 4)],
)
@pytest.mark.parametrize("rate", [0.25, 0.6])
def test_blocks_are_masked_whole_but_for_one(grid, block, rate):
    cuts = [
        min(
            cut_tiles(mask.reshape(grid), offset, block)
            for offset in product(range(block), repeat=2)
        )
        for mask in masks(20, grid, rate, block)
    ]
    assert max(cuts) <= 1, cuts


def test_blocks_differ_from_single_patches():
    scattered = masks(50, (8, 8), 0.5, block=1)
    assert min(cut_tiles(mask.reshape(8, 8), (0, 0), 2) for mask in scattered) > 1


def test_the_tiling_shifts_from_image_to_image():
    aligned = [
        tuple(
            cut_tiles(mask.reshape(8, 8), offset, 2) <= 1 for offset in product(range(2), repeat=2)
        )
        for mask in masks(100, (8, 8), 0.5)
    ]
    assert all(15 <= sum(column) <= 35 for column in zip(*aligned, strict=True)), aligned


@pytest.mark.parametrize(("grid", "block"), [((7, 7), 2), ((5, 8), 2), ((7, 7), 1), ((6, 6), 3)])
def test_each_patch_is_masked_about_as_often(grid, block):
    rate = masks(4000, grid, 0.6, block).float().mean(0)
    expected = math.ceil(0.6 * grid[0] * grid[1]) / (grid[0] * grid[1])
    assert (rate - expected).abs().max() < 0.05, rate.reshape(grid)


def test_images_differ_and_the_seed_decides():
    found = masks(50, (7, 7), 0.6)
    assert len(found.unique(dim=0)) == 50
    assert torch.equal(masks(50, (7, 7), 0.6), found) and not torch.equal(
        masks(50, (7, 7), 0.6, seed=1), found
    )


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan")])
def test_refuses_a_rate_that_is_no_share(rate):
    with pytest.raises(ValueError, match=rf"share in \(0, 1\), got {rate}"):
        masks(1, (7, 7), rate)


@pytest.mark.parametrize("architecture", [VIT, STEM_VIT])
def test_visible_patches_know_nothing_of_masked_pixels(architecture):
    """No stem looks into what is masked: the prediction is the same whatever the masked pixels
    are."""
    torch.manual_seed(0)
    encoder = build(architecture, vit_arguments("ti", 3, 64, 8)).eval()
    images, mask = torch.randn(2, 3, 64, 64), masks(2, (8, 8), 0.6)
    other = torch.where(
        blank(torch.ones_like(images), mask, (8, 8)) == 0, torch.randn_like(images), images
    )
    assert not torch.equal(images, other)
    for model in (SimMIM(encoder, 48), MAE(encoder, 48).eval()):
        assert torch.equal(model.reconstruct(images, mask), model.reconstruct(other, mask))


def test_blank_pixels_equal_a_loop():
    images, mask = torch.rand(2, 1, 6, 4) + 1, torch.rand(2, 6) < 0.5
    found = blank(images, mask, (3, 2))
    for n, row, column in product(range(2), range(6), range(4)):
        hidden = mask[n, row // 2 * 2 + column // 2]
        assert found[n, 0, row, column] == (0 if hidden else images[n, 0, row, column])
