import pytest
import torch

from lib.probes.raw_pixels import RawPixels, centred


def images(n=6, channels=1, side=28):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_images_of_28_pixels_stay_and_larger_ones_are_averaged():
    assert torch.equal(RawPixels().representations(images()), images().flatten(1))
    large = images(side=56, channels=3)
    found = RawPixels().representations(large).reshape(6, 3, 28, 28)
    assert found[2, 1, 3, 5].item() == pytest.approx(
        large[2, 1, 6:8, 10:12].mean().item(), abs=1e-6
    )


def test_patches_are_those_of_the_grid_row_by_row():
    raw = RawPixels(patch_size=4)
    tokens = raw.patch_tokens(images())
    assert raw.grid(images()) == (7, 7) and tokens.shape == (6, 49, 16)
    assert torch.equal(tokens[1, 7 * 2 + 3], images()[1, 0, 8:12, 12:16].flatten())


def test_the_mean_of_the_known_images_is_taken_from_both():
    """A common image hides which neighbour is nearer in cosine; without it, it shows."""
    common = 10 * torch.ones(4)
    known = common + torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [-1.0, -1.0, 0, 0]])
    asked = common * 0.5 + torch.tensor([[5.5, 5, 5, 5]])
    of_known, of_asked = centred(known, asked)
    assert torch.equal(of_known, known - known.mean(0))
    assert torch.equal(of_asked, asked - known.mean(0))
    assert of_known.mean(0).abs().max() < 1e-6
