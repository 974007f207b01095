import pytest
import torch

from lib.attribution.mask_and_attack import Attack, mask_and_attack
from lib.attribution.separation import separation

ATTACK = Attack(3, 0.02)


def test_equals_the_difference_of_both_curves(either, doubles, indices):
    attribution = torch.rand(
        doubles.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    found = separation(either, doubles, attribution, ATTACK, indices, rates=[0.2, 0.7], seed=4)
    curve = lambda s: mask_and_attack(
        either, doubles, attribution, [0.2, 0.7], s, ATTACK, indices, seed=4
    )  # noqa: E731
    assert torch.allclose(found, (curve("important") - curve("unimportant")).mean(1))


def test_a_map_and_its_negative_are_opposite(either, doubles, indices):
    attribution = torch.rand(
        doubles.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    first, second = (
        separation(either, doubles, a, ATTACK, indices) for a in (attribution, -attribution)
    )
    assert torch.allclose(first, -second)


def test_the_patch_that_an_encoder_reads_separates(planted, images, indices):
    encoder, patch = planted
    on_patch, beside = (
        separation(encoder, images, m.float().expand_as(images), ATTACK, indices)
        for m in (patch, patch.roll(8, dims=2))
    )
    assert (on_patch > 1e-6).all() and (beside.abs() < on_patch / 2).all()


def test_an_unknown_rate_is_refused(either, doubles, indices):
    with pytest.raises(ValueError, match="share in"):
        separation(either, doubles, doubles, ATTACK, indices, rates=[1.5])
