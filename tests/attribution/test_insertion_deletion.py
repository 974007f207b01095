import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from lib.attribution.insertion_deletion import insertion_deletion, substrate_image


@pytest.fixture
def attribution(doubles):
    return torch.randn(
        doubles.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(8)
    )


@pytest.mark.parametrize("substrate", ["blurred", "mean"])
def test_equals_loops(either, doubles, attribution, indices, substrate):
    found = insertion_deletion(
        either, doubles, attribution, indices, substrate, steps=3, batch_size=7
    )
    missing = substrate_image(doubles, substrate)
    for i in (1, 4):
        order = attribution[i].flatten().argsort(descending=True)
        for j, count in enumerate([0, 261, 523, 784]):
            inserted, deleted = missing[i].flatten().clone(), doubles[i].flatten().clone()
            inserted[order[:count]] = doubles[i].flatten()[order[:count]]
            deleted[order[:count]] = missing[i].flatten()[order[:count]]
            for curve, image in ((found.insertion, inserted), (found.deletion, deleted)):
                expected = F.cosine_similarity(
                    either(image.reshape(1, 1, 28, 28)), either(doubles[i : i + 1])
                )
                assert curve[i, j].item() == pytest.approx(expected.item(), abs=1e-9)


def test_ends_meet_and_areas_are_trapezoids(vit, doubles, attribution, indices):
    found = insertion_deletion(vit, doubles, attribution, indices, steps=4)
    one = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(found.insertion[:, -1], one)
    torch.testing.assert_close(found.deletion[:, 0], one)
    torch.testing.assert_close(found.insertion[:, 0], found.deletion[:, -1])
    weights = torch.tensor([1, 2, 2, 2, 1], dtype=torch.float64) / 8
    torch.testing.assert_close(found.insertion_area, found.insertion @ weights)
    torch.testing.assert_close(found.deletion_area, found.deletion @ weights)


def test_the_opposite_order_swaps_the_curves(vit, doubles, attribution, indices):
    forth, back = (
        insertion_deletion(vit, doubles, a, indices, steps=4) for a in (attribution, -attribution)
    )
    torch.testing.assert_close(forth.insertion, back.deletion.flip(1))


def test_neither_the_batch_nor_other_images_matter(vit, doubles, attribution, indices):
    flat = torch.zeros_like(attribution)  # ties alone
    whole = insertion_deletion(vit, doubles, flat, indices, steps=2, batch_size=3)
    alone = insertion_deletion(vit, doubles[2:3], flat[2:3], indices[2:3], steps=2)
    torch.testing.assert_close(alone.insertion, whole.insertion[2:3], atol=1e-10, rtol=0)
    torch.testing.assert_close(alone.deletion, whole.deletion[2:3], atol=1e-10, rtol=0)


def test_finding_the_planted_patch_wins(planted, images, indices):
    encoder, mask = planted
    good, bad = (
        insertion_deletion(encoder, images, a.expand_as(images), indices)
        for a in (mask.float(), 1 - mask.float())
    )
    assert (good.insertion_area > bad.insertion_area).all() and (
        good.deletion_area < bad.deletion_area
    ).all()


def test_substrates(doubles):
    blurred, mean = substrate_image(doubles, "blurred"), substrate_image(doubles, "mean")
    expected = gaussian_filter(doubles[0, 0].numpy(), 3.5, mode="mirror", radius=10)
    assert abs(blurred[0, 0].numpy() - expected).max() < 1e-6
    assert mean[1].unique().item() == pytest.approx(doubles[1].mean().item())


def test_bad_input_is_refused(vit, doubles, attribution, indices):
    with pytest.raises(ValueError, match="'blurred' or 'mean', got 'black'"):
        insertion_deletion(vit, doubles, attribution, indices, "black")
    with pytest.raises(ValueError, match="at least one step"):
        insertion_deletion(vit, doubles, attribution, indices, steps=0)
    with pytest.raises(ValueError, match="expected an attribution of shape"):
        insertion_deletion(vit, doubles, attribution[..., :4], indices)
