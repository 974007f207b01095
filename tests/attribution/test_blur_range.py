import inspect

import pytest
import torch

from lib.attribution.blur_range import blur_range
from lib.attribution.views import augmented_views, draw_mean_views
from lib.data.images import Images
from lib.pretrain import augment


@pytest.mark.parametrize("side", [28, 32, 56, 57, 112, 224, 384])
def test_views_blur_as_much_as_those_of_the_training(monkeypatch, side):
    seen, images = [], torch.rand(2, 3, side, side)
    monkeypatch.setattr(
        augment,
        "gaussian_blur",
        lambda images, generator, sigma, probability: seen.append(sigma) or images,
    )
    augment.contrastive_view(Images(images, torch.zeros(2), None, ("a",)), torch.Generator())
    assert seen == [blur_range(images)]


@pytest.mark.parametrize("function", [augmented_views, draw_mean_views])
def test_small_images_are_blurred_as_by_default(function):
    default = inspect.signature(function).parameters["blur"].default
    assert [blur_range(torch.zeros(1, 1, side, side)) == default for side in (28, 32, 56, 57)] == [
        True,
        True,
        True,
        False,
    ]
