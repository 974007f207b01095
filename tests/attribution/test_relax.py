import pytest
import torch

from lib.attribution.invariance_score import invariance_score
from lib.attribution.relax import relax, smooth_masks


def test_equals_a_loop(either, doubles, targets):
    mean = targets(either)
    found = relax(either, doubles, mean, count=7, seed=3, batch_size=4)
    masks = smooth_masks(7, (28, 28), 3).double()
    with torch.no_grad():
        scores = [invariance_score(either, doubles * mask, mean) for mask in masks]
    expected = sum(s[:, None, None, None] * m for s, m in zip(scores, masks, strict=True)) / sum(
        masks
    )
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-6)


def test_a_constant_similarity_gives_a_constant_map(formula_encoder, doubles):
    encoder = formula_encoder(
        lambda x: torch.cat([x.new_ones(len(x), 1), x.new_zeros(len(x), 1)], 1)
    )
    found = relax(
        encoder, doubles, torch.tensor([[0.6, 0.8]], dtype=torch.float64).expand(5, -1), count=40
    )
    torch.testing.assert_close(found, torch.full_like(doubles, 0.6))


@pytest.mark.parametrize("size", [(28, 28), (30, 17), (5, 5)])
def test_masks_are_smooth_balanced_and_shifted(size):
    masks = smooth_masks(800, size, seed=1)
    assert masks.shape == (800, 1, *size) and masks.min() >= 0 and masks.max() <= 1
    # every pixel is shown half of the time; standard error 0.018
    assert (masks.mean(0) - 0.5).abs().max() < 0.1
    if size == (28, 28):
        assert masks.diff(dim=3).abs().max() <= 0.25 + 1e-6  # cells of 4 px, linear in between
        assert len(masks[:, 0, 0].unique(dim=0)) > 100
    assert masks.equal(smooth_masks(800, size, seed=1)) and not masks.equal(
        smooth_masks(800, size, seed=2)
    )


def test_bad_input_is_refused(vit, doubles, targets):
    with pytest.raises(ValueError, match="0 masks"):
        relax(vit, doubles, targets(vit), count=0)
