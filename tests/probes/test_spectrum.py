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
    # what images have in common does not count
    shifted = tokens + torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(
        token_spectrum(shifted), token_spectrum(tokens), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(token_spectrum(tokens)[1], token_spectrum(tokens[1:2])[0])


def test_identical_tokens_give_finite_logs():
    assert torch.isfinite(token_spectrum(torch.ones(1, 5, 3))).all()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="images, patches, width"):
        token_spectrum(torch.ones(4, 3))
    with pytest.raises(ValueError, match="at least 2"):
        image_spectrum(torch.ones(1, 3))


def test_directions_that_only_rounding_fills_end_at_its_level():
    """Tokens of rank 3 in single precision: what is left are the roundings of a processor."""
    random = np.random.default_rng(0)
    exact = random.normal(size=(4, 49, 3)) @ random.normal(size=(3, 96)) + 5
    one = torch.from_numpy(exact).float()
    other = torch.nextafter(one, torch.where(torch.rand(one.shape) < 0.5, -9.0, 9.0))
    assert not torch.equal(one, other)
    found, again = token_spectrum(one), token_spectrum(other)
    torch.testing.assert_close(found, again, atol=1e-4, rtol=0)
    expected = np.linalg.svd(exact - exact.mean(1, keepdims=True), compute_uv=False)[:, :3]
    np.testing.assert_allclose(found[:, :3], np.log(expected**2 / 48), atol=1e-4)
    level = np.log(2.0**-46 * 96 * (exact**2).sum((1, 2)) / 48)
    np.testing.assert_allclose(found[:, 3:], np.repeat(level[:, None], 45, 1), atol=1e-4)
