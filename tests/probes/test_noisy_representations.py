import pytest
import timm
import torch

from lib.encoders.encoder import Encoder
from lib.probes.noisy_representations import noisy_representations


def test_no_noise_is_the_plain_representation(encoder, images):
    assert torch.equal(
        noisy_representations(encoder, images, torch.zeros_like(images), batch_size=5),
        encoder.representations(images),
    )


def test_noise_is_added_after_normalisation(encoder, images):
    inside = 0.3 + 0.4 * images
    noise = torch.linspace(-0.2, 0.2, images.numel()).reshape(images.shape)
    expected = encoder(inside + 0.35 * noise)  # the deviation undoes the unit
    assert torch.allclose(
        noisy_representations(encoder, inside, noise, batch_size=2), expected, atol=1e-4
    )
    assert not torch.allclose(expected, encoder(inside), atol=1e-2)


def test_values_beyond_white_are_kept(encoder, images):
    one, two = (
        noisy_representations(encoder, images, torch.full_like(images, level))
        for level in (5.0, 10.0)
    )
    assert not torch.allclose(one, two, atol=1e-2)


def test_a_colour_model_takes_noise_of_its_channels_on_grey_images(images):
    resnet = timm.create_model("resnet18", num_classes=0, channels=(8, 8, 16, 16))
    encoder = Encoder(resnet, [0.5] * 3, [0.5] * 3, "global_average", name="colour")
    assert noisy_representations(encoder, images, torch.zeros(5, 3, 28, 28)).shape == (5, 16)
    with pytest.raises(ValueError, match=r"shape \(5, 3, 28, 28\), got \(5, 1, 28, 28\)"):
        noisy_representations(encoder, images, torch.zeros(5, 1, 28, 28))


def test_keeps_no_graph(encoder, images):
    assert not noisy_representations(
        encoder, images.requires_grad_(), torch.zeros_like(images)
    ).requires_grad
