import pytest
import torch

from lib.data.mosaic import mosaic
from lib.encoders.encoder import Encoder
from lib.probes.linear_probe import fit_linear_probe
from lib.probes.mean_iou import mean_iou
from lib.probes.segmentation import fine_tuned_segmentation, frozen_segmentation

CLASSES = 4  # squares with stripes across, stripes down, or none, and the background


def squares(m, seed, patch_size=4):
    """Mosaics of 32 × 32 pixels, 8 × 8 patches: another grid than the encoder's own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (4 * m,), generator=generator)
    masks = torch.zeros(4 * m, 1, 16, 16, dtype=torch.bool)
    masks[:, :, 4:12, 4:12] = True
    stripes = (torch.arange(16) % 4 < 2).float().expand(16, 16)
    patterns = torch.stack([stripes, stripes.T, torch.ones(16, 16)]).unsqueeze(1)
    images = 0.8 * masks * patterns[labels] + 0.1 * torch.rand(masks.shape, generator=generator)
    return mosaic(images, masks, labels, patch_size, background=CLASSES - 1)


@pytest.fixture
def plain(make_vit):
    return Encoder(make_vit(shaken=False), [0.3], [0.35], "class_token", name="tiny")


def test_frozen_tokens_equal_a_linear_probe_of_every_patch(plain):
    train, test = squares(10, 1), squares(6, 2)
    found = frozen_segmentation(plain, train, test, CLASSES)
    assert found.shape == (6, CLASSES, CLASSES) and (found.sum((1, 2)) == 64).all()
    probe = fit_linear_probe(
        plain.patch_tokens(train.images).reshape(-1, 24),
        train.patch_labels.reshape(-1),
        groups=torch.arange(10).repeat_interleave(64),
    )
    for i in range(6):
        predicted = probe.predict(plain.patch_tokens(test.images[i : i + 1])[0].numpy()).reshape(
            8, 8
        )
        for true in range(CLASSES):
            for guess in range(CLASSES):
                assert (
                    found[i, true, guess]
                    == ((predicted == guess) & (test.patch_labels[i].numpy() == true)).sum()
                )
    assert mean_iou(found.sum(0)) > 0.9  # a random encoder keeps the pattern of a patch


def test_fine_tuning_learns_and_leaves_the_encoder(plain):
    before = plain.patch_tokens(squares(2, 0).images)
    found = fine_tuned_segmentation(
        plain,
        squares(12, 1),
        squares(6, 2),
        CLASSES,
        least_steps=25,
        epochs=1,
        batch_size=6,
        layer_decay=1.0,
    )
    assert found.shape == (6, CLASSES, CLASSES) and (found.sum((1, 2)) == 64).all()
    assert mean_iou(found.sum(0)) > 0.9
    assert torch.equal(plain.patch_tokens(squares(2, 0).images), before)


@pytest.mark.parametrize("segment", [frozen_segmentation, fine_tuned_segmentation])
def test_refuses_labels_of_another_patch_size(plain, segment):
    with pytest.raises(
        ValueError, match=r"tiny cuts the mosaics into \(8, 8\) patches, their labels into \(4, 4\)"
    ):
        segment(plain, squares(2, 1), squares(2, 1, patch_size=8), CLASSES)
