"""The unclipped path against a naive loop."""

import pytest
import torch

from lib.attribution.ssla import ssla
from lib.attribution.unclipped import ssla_unclipped
from lib.encoders.encoder import Encoder


class Smooth(torch.nn.Module):
    num_prefix_tokens = 0

    def __init__(self):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(16, 6, generator=random).double())

    def forward_features(self, images):
        return torch.tanh(images.flatten(1) @ self.weight)[:, :, None, None]


def setting(scale=1.0):
    encoder = Encoder(Smooth(), [0.3], [0.4], "global_average")
    encoder.mean, encoder.std = encoder.mean.double(), encoder.std.double()
    x = scale * torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()
    views = torch.nn.functional.normalize(
        torch.randn(3, 6, generator=torch.Generator().manual_seed(2)).double(), dim=1
    )
    return encoder, x, views


def naive(encoder, x0, views, steps):
    """Algorithm 1 as it is printed, outside [0, 1] too, normalisation by hand."""
    x, attribution, scores = x0.clone(), torch.zeros_like(x0), []
    for _ in range(steps + 1):
        x.requires_grad_()
        z = encoder.model.forward_features((x - 0.3) / 0.4)[..., 0, 0]
        score = torch.cosine_similarity(z, views)
        scores.append(score.detach())
        (gradient,) = torch.autograd.grad(score.sum(), x)
        x = x.detach()
        if len(scores) <= steps:
            attribution += x0 / steps * gradient.abs()
            x = x - x0 / steps * gradient.sign()
    return attribution, torch.stack(scores, 1)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_against_the_algorithm_as_it_is_printed(steps):
    encoder, x, views = setting()
    found = ssla_unclipped(encoder, x, views, steps)
    attribution, scores = naive(encoder, x, views, steps)
    assert found.attribution.numpy() == pytest.approx(attribution.numpy(), abs=1e-6)
    assert found.scores.numpy() == pytest.approx(scores.numpy(), abs=1e-6)


def test_where_the_path_stays_inside_the_clip_changes_nothing():
    encoder, dark, views = setting(scale=0.45)  # at most 0.9 at the end of the path
    one, other = ssla(encoder, dark, views, 10), ssla_unclipped(encoder, dark, views, 10)
    assert one.attribution.numpy() == pytest.approx(other.attribution.numpy(), abs=1e-6)
    encoder, bright, views = setting()
    one, other = ssla(encoder, bright, views, 10), ssla_unclipped(encoder, bright, views, 10)
    assert (one.scores - other.scores).abs().max() > 1e-3


def test_the_gap_of_a_smooth_score_falls_as_one_over_the_length():
    encoder, x, views = setting()
    gaps = [ssla_unclipped(encoder, x, views, t).completeness_gap.sum().item() for t in (160, 640)]
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.3)
