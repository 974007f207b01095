import pytest
import torch
import torch.nn.functional as F

from lib.attribution.views import augmented_views, draw_mean_views, masked_representations
from lib.encoders.encoder import Encoder
from lib.pretrain.mae import MAE
from lib.pretrain.masking import block_mask


@pytest.fixture
def masks():
    return block_mask(5, (7, 7), 0.75, torch.Generator().manual_seed(0), block=1)


def test_views_belong_to_the_index_and_not_to_the_batch(images, indices):
    whole = augmented_views(images, indices, 4)
    assert whole.shape == (5, 4, 1, 28, 28) and whole.min() >= 0 and whole.max() <= 1
    assert augmented_views(images[2:3], indices[2:3], 4).equal(whole[2:3])
    assert augmented_views(images.flip(0), indices.flip(0), 4).equal(whole.flip(0))
    same = augmented_views(images[:1].expand(5, -1, -1, -1), indices, 4)
    assert len(same.unique(dim=0)) == 5  # one image under five indices
    assert not augmented_views(images, indices, 4, seed=1).equal(whole)
    assert len(whole[0].unique(dim=0)) == 4


def test_every_augmentation_acts():
    index = torch.tensor([0])
    flat = augmented_views(torch.full((1, 1, 28, 28), 0.9), index, 600)[0, :, 0]
    assert 0.15 < (flat.amax((1, 2)) < 0.5).float().mean() < 0.25  # solarised: 20 %
    level = flat[:, 0, 0]
    # not jittered and not solarised: 0.2 · 0.8
    assert 0.1 < torch.isclose(level, torch.tensor(0.9)).float().mean() < 0.25
    point = torch.zeros(1, 1, 28, 28)
    point[..., 10:18, 10:18] = 0.3
    spread = (augmented_views(point, index, 100)[0] > 0.02).flatten(1).sum(1)
    assert spread.max() > 3 * spread.min()  # cropped and enlarged by different factors
    ramp = torch.linspace(0, 0.3, 28).expand(1, 1, 28, 28)
    rising = augmented_views(ramp, index, 100)[0].diff(dim=3)
    assert (rising > -1e-6).all()  # no flip


def test_colour_loses_saturation_and_grey_stays_grey(indices):
    colour = torch.rand(5, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    views = augmented_views(colour, indices, 40).flatten(0, 1)
    grey = (views.amax(1) - views.amin(1)).amax((1, 2)) < 1e-5
    assert 0.1 < grey.float().mean() < 0.3  # grayscale: 20 %
    views = augmented_views(colour[:, :1].expand(-1, 3, -1, -1), indices, 4).flatten(0, 1)
    assert (views.amax(1) - views.amin(1)).max() < 1e-5


def test_blur_widens_with_its_standard_deviation(images, indices):
    roughness = [
        augmented_views(images, indices, 30, blur=blur).diff(dim=4).abs().mean()
        for blur in [(0.1, 0.11), (2.0, 2.1)]
    ]
    assert roughness[1] < 0.9 * roughness[0]


def test_mean_is_that_of_the_views(encoder, images, indices):
    found = draw_mean_views(encoder, images, indices, count=4, batch_size=5)
    views = augmented_views(images, indices, 4)
    for i in range(5):
        expected = sum(F.normalize(encoder(views[i, k : k + 1]), dim=1) for k in range(4)) / 4
        torch.testing.assert_close(found[i : i + 1], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variation", ["augmentations", "masks"])
def test_mean_does_not_depend_on_other_images(vit, doubles, indices, variation):
    whole = draw_mean_views(vit, doubles, indices, count=3, variation=variation)
    alone = draw_mean_views(vit, doubles[3:4], indices[3:4], count=3, variation=variation)
    torch.testing.assert_close(alone, whole[3:4], atol=1e-10, rtol=0)
    assert whole.norm(dim=1).max() < 1 and not whole.requires_grad


@pytest.mark.parametrize("pooling", ["class_token", "patch_mean"])
def test_masked_representation_is_that_of_mae(make_vit, images, masks, pooling):
    encoder = Encoder(make_vit(), [0.3], [0.35], pooling)
    tokens = MAE(encoder.model, 24).encode(encoder.normalise(images), masks)
    expected = tokens[:, 0] if pooling == "class_token" else tokens[:, 1:].mean(1)
    found = masked_representations(encoder, images, masks)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not encoder.model.patch_drop._forward_hooks


def test_hidden_patches_do_not_matter(encoder, images, masks):
    hidden = masks.unflatten(1, (7, 7)).repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(1)
    painted = torch.where(hidden, 1 - images, images)
    torch.testing.assert_close(
        masked_representations(encoder, painted, masks),
        masked_representations(encoder, images, masks),
    )


def test_masks_hide_the_rate(encoder, images, indices, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "lib.attribution.views.masked_representations", lambda e, x, m: (seen.append(m), e(x))[1]
    )
    draw_mean_views(
        encoder, images, indices, count=4, variation="masks", mask_rate=0.6, batch_size=8
    )
    masks = torch.cat(seen)
    assert masks.sum(1).eq(30).all() and len(masks.unique(dim=0)) == 20 and max(map(len, seen)) <= 8


def test_bad_input_is_refused(encoder, resnet, images, indices):
    with pytest.raises(ValueError, match="augmentations"):
        draw_mean_views(encoder, images, indices, variation="crops")
    with pytest.raises(ValueError, match="5 images, 4 indices"):
        augmented_views(images, indices[:4], 2)
    with pytest.raises(ValueError, match="0 views"):
        draw_mean_views(encoder, images, indices, count=0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        augmented_views(torch.full((1, 1, 28, 28), float("nan")), indices[:1], 2)
    with pytest.raises(TypeError, match="no patches"):
        draw_mean_views(resnet, images.double(), indices, variation="masks")
    with pytest.raises(TypeError, match="no patches"):
        masked_representations(resnet, images.double(), torch.zeros(5, 49, dtype=torch.bool))
