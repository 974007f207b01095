import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.data.draws import draws
from lib.data.patch_shuffle import patch_shuffle


def cut(image, tiles):
    """The tiles of ``(channels, height, width)``, row by row, by slices."""
    down, across = image.shape[1] // tiles, image.shape[2] // tiles
    return [
        image[:, r * down : (r + 1) * down, c * across : (c + 1) * across]
        for r in range(tiles)
        for c in range(tiles)
    ]


@given(tiles=st.sampled_from([1, 2, 4, 8]), seed=st.integers(0, 99))
def test_equals_a_loop_over_tiles(tiles, seed):
    images, indices = torch.rand(3, 2, 8, 16), torch.tensor([4, 0, 9])
    found = patch_shuffle(images, tiles, indices, seed)
    for image, shuffled, keys in zip(images, found, draws(indices, tiles**2, seed), strict=True):
        before, after = cut(image, tiles), cut(shuffled, tiles)
        order = sorted(range(tiles**2), key=lambda i, keys=keys: keys[i].item())
        assert all(torch.equal(after[place], before[source]) for place, source in enumerate(order))


def test_one_tile_changes_nothing_and_many_do():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(patch_shuffle(images, 1, torch.arange(2), 0), images)
    assert not torch.equal(patch_shuffle(images, 4, torch.arange(2), 0), images)


def test_an_images_order_does_not_depend_on_its_batch():
    images = torch.rand(5, 1, 8, 8)
    every = patch_shuffle(images, 4, torch.arange(5), 3)
    assert torch.equal(patch_shuffle(images[[3]], 4, torch.tensor([3]), 3), every[[3]])
    assert not torch.equal(patch_shuffle(images[[3]], 4, torch.tensor([2]), 3), every[[3]])


@pytest.mark.parametrize(
    ("tiles", "n", "words"),
    [(3, 2, "divide 8 × 8 px, got 3"), (0, 2, "got 0"), (2, 1, "got 1 indices for 2")],
)
def test_refuses_what_does_not_fit(tiles, n, words):
    with pytest.raises(ValueError, match=words):
        patch_shuffle(torch.rand(2, 1, 8, 8), tiles, torch.arange(n), 0)
