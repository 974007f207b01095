"""What every attribution shares: one signature, no effect of other images, no trace in the encoder,
the planted patch found."""

import pytest
import torch
import torch.nn.functional as F

from lib.attribution.attention_rollout import attention_rollout
from lib.attribution.controls import centre_prior, edge_magnitude, pixel_value, random_map
from lib.attribution.grad_cam import grad_cam
from lib.attribution.gradient_methods import (
    input_x_gradient,
    integrated_gradients,
    saliency,
    smoothgrad,
)
from lib.attribution.occlusion import occlusion
from lib.attribution.pointing_game import pointing_game
from lib.attribution.relax import relax
from lib.attribution.relevance_mass import relative_relevance_mass, relevance_mass_accuracy
from lib.attribution.ssla import ssla

GRADIENT_METHODS = {
    "SSLA": lambda *args: ssla(*args, steps=3).attribution,
    "SSLA, sign": lambda *args: ssla(*args, steps=3, step_rule="sign").attribution,
    "SSLA, gradient": (
        lambda *args: ssla(*args, steps=3, step_rule="gradient", step_size=0.01).attribution
    ),
    "saliency": saliency,
    "input × gradient": input_x_gradient,
    "integrated gradients": lambda *args: integrated_gradients(*args, steps=4),
    "SmoothGrad": lambda *args: smoothgrad(*args, samples=4),
}
ANY_ENCODER = GRADIENT_METHODS | {
    "occlusion": lambda *args: occlusion(*args, window=8, stride=8),
    "RELAX": lambda *args: relax(*args, count=6),
}
CONTROLS = {
    "pixel value": pixel_value,
    "edge magnitude": edge_magnitude,
    "centre prior": centre_prior,
    "random": random_map,
}
METHODS = ANY_ENCODER | CONTROLS | {"Grad-CAM": grad_cam, "attention rollout": attention_rollout}


@pytest.fixture
def encoder_for(request, planted):
    """An encoder that a method can run on."""
    return lambda name: request.getfixturevalue("resnet" if name == "Grad-CAM" else "vit")


def state(encoder):
    """Everything that a method could leave changed in an encoder."""
    modules = list(encoder.model.modules())
    hooks = [
        len(getattr(m, name))
        for m in modules
        for name in (
            "_forward_hooks",
            "_forward_pre_hooks",
            "_backward_hooks",
            "_backward_pre_hooks",
        )
    ]
    parameters = [(p.detach().clone(), p.requires_grad, p.grad) for p in encoder.model.parameters()]
    buffers = [b.clone() for b in encoder.model.buffers()]
    return (
        hooks,
        [m.training for m in modules],
        [getattr(m, "fused_attn", None) for m in modules],
        parameters,
        buffers,
    )


def assert_same_state(before, after):
    assert before[:3] == after[:3]
    for (value, requires_grad, grad), (value_after, requires_grad_after, grad_after) in zip(
        before[3], after[3], strict=True
    ):
        assert (
            value.equal(value_after)
            and requires_grad is requires_grad_after is False
            and grad is grad_after is None
        )
    assert all(b.equal(a) for b, a in zip(before[4], after[4], strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_leaves_no_trace(name, encoder_for, doubles, targets):
    encoder = encoder_for(name)
    mean, before, pixels = targets(encoder), state(encoder), doubles.clone()
    random_state = torch.get_rng_state()
    attribution = METHODS[name](encoder, doubles, mean)
    assert (
        attribution.shape == doubles.shape
        and attribution.isfinite().all()
        and not attribution.requires_grad
    )
    assert_same_state(before, state(encoder))
    assert (
        doubles.equal(pixels)
        and not doubles.requires_grad
        and doubles.grad is None
        and not mean.requires_grad
    )
    assert torch.get_rng_state().equal(random_state)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "random"])
def test_other_images_do_not_matter(name, encoder_for, doubles, targets):
    encoder = encoder_for(name)
    mean = targets(encoder)
    whole = METHODS[name](encoder, doubles, mean)
    alone = METHODS[name](encoder, doubles[2:3], mean[2:3])
    torch.testing.assert_close(alone, whole[2:3], atol=1e-9 * whole.abs().max().item(), rtol=1e-6)


def test_random_map_belongs_to_the_index(doubles, indices):
    whole = random_map(None, doubles, indices=indices)
    assert random_map(None, doubles[2:3], indices=indices[2:3]).equal(whole[2:3])
    assert whole.min() >= 0 and whole.max() < 1 and abs(whole.mean().item() - 0.5) < 0.02


@pytest.mark.parametrize("name", ANY_ENCODER)
def test_both_architectures_run_and_no_head_is_touched(name, resnet, vit, doubles, targets):
    for encoder in (resnet, vit):  # their heads refuse to be called
        attribution = METHODS[name](encoder, doubles[:2], targets(encoder)[:2])
        assert attribution.flatten(1).std(1).min() > 0


@pytest.mark.parametrize("name", GRADIENT_METHODS)
def test_gradient_methods_find_the_planted_patch_and_nothing_else(
    name, planted, images, indices, targets
):
    encoder, mask = planted
    attribution = GRADIENT_METHODS[name](
        encoder, images, F.normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(0)))
    )
    torch.testing.assert_close(
        relevance_mass_accuracy(attribution, mask.expand(5, -1, -1, -1)), torch.ones(5)
    )
    assert pointing_game(attribution, mask.expand(5, -1, -1, -1)).eq(1).all()


def test_grad_cam_finds_the_planted_patch(planted, images):
    encoder, mask = planted
    target = F.normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(0)))
    attribution = grad_cam(encoder, images, target, "stage")
    # convolutions reach one pixel out
    near = F.max_pool2d(mask.float(), 3, stride=1, padding=1).bool().expand(5, -1, -1, -1)
    torch.testing.assert_close(relevance_mass_accuracy(attribution, near), torch.ones(5))


@pytest.mark.parametrize(
    "method",
    [lambda *args: occlusion(*args, window=5, stride=1), lambda *args: relax(*args, count=300)],
    ids=["occlusion", "RELAX"],
)
def test_perturbations_point_at_the_planted_patch(method, formula_encoder, planted, images):
    window = planted[1].float()
    encoder = formula_encoder(
        lambda x: torch.stack([(x * window).flatten(1).sum(1) / 25, torch.full((len(x),), 0.5)], 1)
    )
    # the score rises with the patch's brightness
    attribution = method(encoder, images, torch.tensor([[1.0, 0.0]]).expand(5, -1))
    assert pointing_game(attribution, planted[1].expand(5, -1, -1, -1)).eq(1).all()


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_do_not_find_the_planted_patch(name, planted, images):
    encoder, mask = planted
    attribution = CONTROLS[name](encoder, images)
    masks = mask.expand(5, -1, -1, -1)
    assert relevance_mass_accuracy(attribution, masks).max() < 0.1
    assert 0.3 < relative_relevance_mass(attribution, masks).mean() < 1.5


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name not in CONTROLS and name != "attention rollout"]
)
def test_one_mean_view_per_image(name, encoder_for, doubles, targets):
    encoder = encoder_for(name)
    for images, mean in ((doubles, targets(encoder)[:4]), (doubles[:4], targets(encoder))):
        with pytest.raises(ValueError, match="expected one mean view per image"):
            METHODS[name](encoder, images, mean)


@pytest.mark.parametrize(
    "name",
    [
        "SSLA",
        "input × gradient",
        "integrated gradients",
        "occlusion",
        "pixel value",
        "edge magnitude",
    ],
)
def test_a_black_image_gets_a_zero_map_with_a_warning(name, vit, doubles, targets):
    images = doubles.clone()
    images[3] = 0
    mean = targets(vit)
    with pytest.warns(UserWarning, match="1 of 5 images is zero everywhere"):
        attribution = METHODS[name](vit, images, mean)
    assert attribution[3].eq(0).all() and attribution[2].ne(0).any()


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_image_is_fine_and_nan_is_refused(name, encoder_for, doubles, targets):
    encoder = encoder_for(name)
    mean = targets(encoder)
    if name != "edge magnitude":
        assert METHODS[name](encoder, torch.full_like(doubles[:1], 0.5), mean[:1]).isfinite().all()
    doubles[1, 0, 4, 4] = float("nan")
    with pytest.raises(ValueError, match=r"expected images in \[0, 1\], got values from nan"):
        METHODS[name](encoder, doubles, mean)
