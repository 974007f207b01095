import pytest
import torch

from lib.attribution.invariance_score import invariance_score
from lib.attribution.ssla import STEP_RULES, ssla


def closed_gradient(weights, x, target):
    """∂S/∂x of f(x) = W x and a fixed target: Wᵀ (z̄ − (ẑ·z̄) ẑ) / ‖W x‖."""
    z = weights @ x
    length = z.norm()
    return weights.T @ (target - (z @ target) / length**2 * z) / length


def naive_ssla(weights, x0, target, steps, step_rule, size, epsilon=1.0):
    """Algorithm 1 for one image in a plain loop with the closed gradient; A counts the distance
    moved."""
    score = lambda x: (weights @ x) @ target / (weights @ x).norm()  # noqa: E731
    x, attribution, scores = x0.clone(), torch.zeros_like(x0), [score(x0)]
    for _ in range(steps):
        g = closed_gradient(weights, x, target)
        scale = x0 / steps if step_rule == "pixel" else size
        move = scale * (g / (g @ g / len(g)).sqrt() if step_rule == "gradient" else g.sign())
        y = torch.minimum(
            torch.maximum(x - move, (x0 - epsilon).clamp(min=0)), (x0 + epsilon).clamp(max=1)
        )
        attribution += g * (x - y)
        x = y
        scores.append(score(x))
    return attribution, torch.stack(scores)


@pytest.fixture
def linear(formula_encoder):
    weights = torch.randn(6, 784, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return weights, formula_encoder(lambda x: x.flatten(1) @ weights.T)


@pytest.fixture
def linear_targets():
    return torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 4


@pytest.mark.parametrize(
    ("step_rule", "size", "epsilon"),
    [("pixel", None, 1.0), ("sign", 0.01, 1.0), ("sign", 0.03, 0.05), ("gradient", 0.02, 1.0)],
)
def test_equals_a_loop_with_closed_gradients(
    linear, linear_targets, doubles, step_rule, size, epsilon
):
    weights, encoder = linear
    found = ssla(encoder, doubles, linear_targets, 4, step_rule, size, epsilon, batch_size=2)
    for i in range(5):
        attribution, scores = naive_ssla(
            weights, doubles[i].flatten(), linear_targets[i], 4, step_rule, size, epsilon
        )
        torch.testing.assert_close(
            found.attribution[i].flatten(), attribution, atol=1e-12, rtol=1e-9
        )
        torch.testing.assert_close(found.scores[i], scores, atol=1e-12, rtol=0)


def test_first_step_is_pixel_times_gradient_magnitude(linear, linear_targets, doubles):
    weights, encoder = linear
    images = doubles / 2  # no pixel can leave [0, 1]
    found = ssla(encoder, images, linear_targets, steps=1).attribution
    for i in range(5):
        expected = (
            images[i].flatten()
            * closed_gradient(weights, images[i].flatten(), linear_targets[i]).abs()
        )
        torch.testing.assert_close(found[i].flatten(), expected, atol=1e-12, rtol=1e-9)


def test_limit_of_small_steps_where_the_gradient_keeps_its_sign(formula_encoder, doubles):
    # f(x) = (w·x, 20), w > 0, target (1, 0): S falls straight to the black image, where it is 0;
    # A_i → S(x) w_i x_i / (w·x)
    weights = torch.linspace(0.01, 0.5, 784, dtype=torch.float64)
    encoder = formula_encoder(
        lambda x: torch.stack([x.flatten(1) @ weights, x.new_full((len(x),), 20.0)], 1)
    )
    target = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(5, -1)
    part = weights * doubles.flatten(1)
    total = part.sum(1, keepdim=True)
    limit = part / total * (total / (total**2 + 400).sqrt())
    errors = []
    for steps in (25, 50, 100):
        found = ssla(encoder, doubles, target, steps)
        errors.append((found.attribution.flatten(1) - limit).abs().max().item())
        assert found.scores[:, -1].abs().max() < 1e-9
    # first order in 1/T
    assert errors[2] < 2e-4 and errors[0] / errors[2] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("step_rule", STEP_RULES)
def test_completeness_gap_is_of_first_order_in_the_step(smooth, doubles, step_rule):
    encoder, mean = smooth
    few, many = (
        ssla(encoder, doubles, mean, steps, step_rule).completeness_gap.mean() for steps in (20, 80)
    )
    assert many.item() == pytest.approx(few.item() / 4, rel=0.3)


@pytest.mark.parametrize("step_rule", ["sign", "gradient"])
def test_the_score_falls(either, doubles, targets, step_rule):
    scores = ssla(either, doubles, targets(either), 4, step_rule, step_size=1e-4).scores
    assert (scores.diff(dim=1) < 0).all()


def test_gap_is_sum_against_difference(either, doubles, targets):
    found = ssla(either, doubles, targets(either), 3)
    mean = targets(either)
    torch.testing.assert_close(found.scores[:, 0], invariance_score(either, doubles, mean))
    for i in range(5):
        expected = abs(found.attribution[i].sum() - (found.scores[i, 0] - found.scores[i, 3]))
        assert found.completeness_gap[i].item() == pytest.approx(expected.item(), abs=1e-12)


def test_sign_step_of_default_size_spans_the_usual_epsilon(linear, linear_targets, doubles):
    weights, encoder = linear
    default = ssla(encoder, doubles, linear_targets, 4, "sign")
    assert default.attribution.equal(
        ssla(encoder, doubles, linear_targets, 4, "sign", 16 / 255 / 4).attribution
    )


def test_equivalent_networks_get_the_same_attribution(
    formula_encoder, linear, linear_targets, doubles
):
    weights, encoder = linear
    # 2 W x
    twice = formula_encoder(
        lambda x: (x.flatten(1) @ (2 * weights).T).relu() - (x.flatten(1) @ (-2 * weights).T).relu()
    )
    torch.testing.assert_close(
        ssla(twice, doubles, linear_targets).attribution,
        ssla(encoder, doubles, linear_targets).attribution,
    )


def test_one_forward_a_step_and_one_at_the_end_whatever_the_views(
    either, doubles, targets, counted
):
    mean = targets(either)
    sizes = counted(either)
    ssla(either, doubles, mean, steps=3, batch_size=2)
    assert sizes == 4 * [2] + 4 * [2] + 4 * [1]


def test_a_black_image_gets_a_zero_map_with_a_warning(vit, doubles, targets):
    images = doubles.clone()
    images[1] = 0
    with pytest.warns(UserWarning, match="SSLA: the attribution of 1 of 5 images is zero"):
        found = ssla(vit, images, targets(vit), 2)
    assert found.attribution[1].eq(0).all() and found.attribution[0].ne(0).any()
    ssla(vit, images, targets(vit), 2, "sign")  # other rules move black pixels
    ssla(vit, torch.full_like(images, 0.5), targets(vit), 2)


def test_bad_input_is_refused(vit, doubles, targets):
    mean = targets(vit)
    with pytest.raises(ValueError, match="'pixel', 'sign', 'gradient'.*'fgsm'"):
        ssla(vit, doubles, mean, step_rule="fgsm")
    with pytest.raises(ValueError, match="at least one step, got 0"):
        ssla(vit, doubles, mean, steps=0)
    with pytest.raises(ValueError, match="takes no step_size"):
        ssla(vit, doubles, mean, step_size=0.1)
    with pytest.raises(ValueError, match="nan"):
        ssla(vit, doubles.index_fill(0, torch.tensor([1]), float("nan")), mean)
    with pytest.raises(ValueError, match="one mean view per image"):
        ssla(vit, doubles, mean[:4])
