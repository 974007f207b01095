import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from lib.attribution.controls import centre_prior, edge_magnitude, pixel_value


def test_edges_equal_scipy():
    images = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = edge_magnitude(None, images)
    for image, edges in zip(images.flatten(0, 1).numpy(), found.flatten(0, 1).numpy(), strict=True):
        np.testing.assert_allclose(
            edges,
            np.hypot(sobel(image, 0, mode="nearest"), sobel(image, 1, mode="nearest")),
            atol=1e-12,
        )


def test_centre_prior_is_symmetric_and_falls(images):
    prior = centre_prior(None, images[..., :20])
    assert (
        prior.shape == (5, 1, 28, 20)
        and prior.allclose(prior.flip(2))
        and prior.allclose(prior.flip(3))
    )
    assert (prior[0, 0, 14:, 10:].diff(dim=0) < 0).all() and (
        prior[0, 0, 14:, 10:].diff(dim=1) < 0
    ).all()
    side = centre_prior(None, torch.zeros(1, 1, 4001, 1))[0, 0, :, 0]
    # a quarter of the side is one standard deviation
    assert side[3000].item() == pytest.approx(np.exp(-0.5), abs=1e-3)


def test_pixel_value_is_the_image(images):
    assert pixel_value(None, images).equal(images)
