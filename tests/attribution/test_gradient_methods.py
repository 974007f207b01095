import pytest
import torch
import torch.nn.functional as F

from lib.attribution.gradient_methods import (
    input_x_gradient,
    integrated_gradients,
    saliency,
    score_function,
    smoothgrad,
)
from lib.attribution.invariance_score import invariance_score
from lib.data.normal_draws import normal_draws


def gradient(encoder, images, mean):
    x = images.clone().requires_grad_()
    invariance_score(encoder, x, mean).sum().backward()
    return x.grad


def test_saliency_and_input_x_gradient_are_the_gradient(either, doubles, targets):
    mean = targets(either)
    expected = gradient(either, doubles, mean)
    torch.testing.assert_close(saliency(either, doubles, mean, batch_size=2), expected.abs())
    torch.testing.assert_close(
        input_x_gradient(either, doubles, mean, batch_size=2), doubles * expected
    )


def test_saliency_has_a_closed_form_for_a_linear_encoder(formula_encoder, doubles):
    generator = torch.Generator().manual_seed(0)
    weights, target = (
        torch.randn(4, 784, dtype=torch.float64, generator=generator),
        torch.randn(5, 4, dtype=torch.float64, generator=generator),
    )
    found = saliency(formula_encoder(lambda x: x.flatten(1) @ weights.T), doubles, target)
    z = doubles.flatten(1) @ weights.T
    unit = F.normalize(z, dim=1)
    expected = (
        (target - (unit * target).sum(1, keepdim=True) * unit)
        / z.norm(dim=1, keepdim=True)
        @ weights
    )
    torch.testing.assert_close(found.flatten(1), expected.abs())


@pytest.mark.parametrize("baseline", [0.0, 0.4, "negative"])
def test_integrated_gradients_equals_a_riemann_sum(smooth, doubles, baseline):
    encoder, mean = smooth
    start = 1 - doubles if baseline == "negative" else torch.full_like(doubles, baseline)
    found = integrated_gradients(
        encoder,
        doubles,
        mean,
        start if baseline == "negative" else baseline,
        steps=32,
        batch_size=30,
    )
    midpoints = (torch.arange(128) + 0.5) / 128
    total = sum(
        gradient(encoder, start + alpha * (doubles - start), mean) for alpha in midpoints.tolist()
    )
    expected = (doubles - start) * total / 128
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()
    difference = invariance_score(encoder, doubles, mean) - invariance_score(encoder, start, mean)
    torch.testing.assert_close(found.flatten(1).sum(1), difference, atol=1e-3, rtol=0)


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(either, doubles, targets):
    images, mean = doubles[:2], targets(either)[:2]
    found = smoothgrad(either, images, mean, samples=6, noise=0.3, seed=5, batch_size=4)
    noise = 0.3 * normal_draws(torch.arange(6), 784, 5).reshape(6, 1, 28, 28)
    for i in range(2):
        noisy = (images[i : i + 1] + noise).clamp(0, 1)
        expected = gradient(either, noisy, mean[i : i + 1].expand(6, -1)).mean(0).abs()
        torch.testing.assert_close(found[i], expected, atol=1e-9, rtol=1e-6)


def test_without_noise_smoothgrad_is_saliency(vit, doubles, targets):
    torch.testing.assert_close(
        smoothgrad(vit, doubles, targets(vit), samples=2, noise=0.0),
        saliency(vit, doubles, targets(vit)),
    )


def test_score_function_clips_exactly_and_lets_the_gradient_pass(formula_encoder):
    seen = []
    encoder = formula_encoder(
        lambda x: seen.append(x.detach()) or torch.cat([x.flatten(1), torch.ones(1, 1)], 1)
    )
    x = (
        torch.tensor([-7.3, -0.1, 1e-9, 0.3, 1.0000001, 1.7, 300.3])
        .reshape(1, 1, 1, 7)
        .requires_grad_()
    )
    score_function(encoder)(x, torch.ones(1, 8)).sum().backward()
    assert seen[0].flatten().equal(x.detach().flatten().clamp(0, 1))
    clipped = x.detach().clamp(0, 1).requires_grad_()
    score_function(encoder)(clipped, torch.ones(1, 8)).sum().backward()
    assert x.grad.equal(clipped.grad) and x.grad.ne(0).all()


def test_bad_input_is_refused(vit, doubles, targets):
    with pytest.raises(ValueError, match="n, channels, height, width"):
        saliency(vit, doubles[0], targets(vit))
