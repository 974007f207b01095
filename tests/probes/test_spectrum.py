import numpy as np
import pytest
import torch

from lib.probes.spectrum import image_spectrum, token_spectrum


@pytest.mark.parametrize(("n", "width"), [(20, 6), (5, 12)])
def test_equals_numpy_on_an_explicit_covariance(n, width):
    vectors = torch.randn(n, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.sort(np.linalg.eigvalsh(np.cov(vectors.numpy().T)))[::-1][: min(n - 1, width)]
    np.testing.assert_allclose(image_spectrum(vectors).exp(), expected, rtol=1e-9)
    np.testing.assert_allclose(token_spectrum(vectors[None])[0].exp(), expected, rtol=1e-9)


def test_token_spectrum_is_taken_image_by_image():
    tokens = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(1))
    shifted = tokens + torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(2))  # what images have in common does not count
    torch.testing.assert_close(token_spectrum(shifted), token_spectrum(tokens), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(token_spectrum(tokens)[1], token_spectrum(tokens[1:2])[0])


def test_identical_tokens_give_finite_logs():
    assert torch.isfinite(token_spectrum(torch.ones(1, 5, 3))).all()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="images, patches, width"):
        token_spectrum(torch.ones(4, 3))
    with pytest.raises(ValueError, match="at least 2"):
        image_spectrum(torch.ones(1, 3))
