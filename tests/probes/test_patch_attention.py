"""Dropping prefix tokens, and what every attention metric shares: refusals, dtypes, batch shapes,
gradients."""

import pytest
import torch

from lib.probes.attention_distance import attention_distance
from lib.probes.key_entropy import key_entropy
from lib.probes.local_attention import local_attention
from lib.probes.normalized_mutual_information import normalized_mutual_information
from lib.probes.patch_attention import check_attention, patch_attention
from lib.probes.query_similarity import query_similarity

METRICS = {  # of attention on a grid of 2 × 3
    "distance": lambda a: attention_distance(a, (2, 3), 16),
    "nmi": normalized_mutual_information,
    "similarity": query_similarity,
    "entropy": key_entropy,
    "local": lambda a: local_attention(a, (2, 3)),
}
on_every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_patch_attention_equals_loops(make_attention, prefix):
    attention = make_attention(9)
    found = patch_attention(attention, prefix)
    assert found.shape == (2, 3, 9 - prefix, 9 - prefix)
    for b, h, q in torch.cartesian_prod(
        torch.arange(2), torch.arange(3), torch.arange(9 - prefix)
    ).tolist():
        row = [attention[b, h, q + prefix, k].item() for k in range(prefix, 9)]
        assert found[b, h, q].tolist() == pytest.approx([value / sum(row) for value in row])


def test_a_query_that_sees_no_patch_becomes_uniform_and_faint_attention_keeps_its_shape():
    attention = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [1.0, 1e-30, 3e-30]])[None, None]
    assert torch.allclose(
        patch_attention(attention, 1)[0, 0], torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_patch_attention_is_what_the_metrics_accept(make_attention, dtype):
    found = patch_attention(make_attention(7, sharpness=9, dtype=dtype), 1)
    assert found.dtype == dtype
    check_attention(found)


def planted(value: float) -> torch.Tensor:
    attention = torch.full((2, 3, 6, 6), 1 / 6)
    attention[1, 2, 3, 4:] = torch.tensor([value, 1 / 3 - value])  # every row still sums to 1
    return attention


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        (torch.full((6, 6), 1 / 6), r"\(batch, heads, tokens, tokens\), got shape \(6, 6\)"),
        (torch.full((1, 3, 6, 6, 6), 1 / 6), r"got shape \(1, 3, 6, 6, 6\)"),
        (torch.full((1, 1, 5, 6), 1 / 6), r"got shape \(1, 1, 5, 6\)"),
        (planted(-0.1), r">= 0, got -0\.1"),
        (planted(float("nan")), "got nan"),
        (torch.full((1, 1, 6, 6), float("inf")), "sum to 1, the worst is off by inf"),
        (
            torch.full((1, 1, 6, 6), 1 / 7),
            "sum to 1, the worst is off by 0.143; drop prefix tokens",
        ),
    ],
)
@on_every_metric
def test_refuses_what_is_not_row_stochastic(metric, attention, message):
    with pytest.raises(ValueError, match=message):
        metric(attention)


def test_tolerates_rounding_of_the_row_sums_alone(make_attention):
    check_attention(make_attention(6) * (1 + 5e-4))
    with pytest.raises(ValueError, match="sum to 1"):
        check_attention(make_attention(6) * (1 + 2e-3))


@on_every_metric
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 1)])
def test_one_value_for_each_image_and_head(metric, make_attention, shape):
    attention = make_attention(6, *shape)
    found = metric(attention)
    assert found.shape == shape and found.dtype == torch.float64
    for b, h in torch.cartesian_prod(torch.arange(shape[0]), torch.arange(shape[1])).tolist():
        assert found[b, h].item() == pytest.approx(
            metric(attention[b : b + 1, h : h + 1]).item(), abs=1e-12
        )


@on_every_metric
@pytest.mark.parametrize("sharpness", [0, 0.1, 2, 50])
def test_single_precision_follows_double(metric, make_attention, sharpness):
    single = metric(make_attention(6, sharpness=sharpness, dtype=torch.float32))
    assert single.dtype == torch.float32
    assert torch.allclose(
        single.double(), metric(make_attention(6, sharpness=sharpness)), rtol=1e-5, atol=3e-6
    )


@on_every_metric
def test_gradient(metric, make_attention):
    logits = make_attention(6, 1, 2).log().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: metric(x.softmax(-1)), logits)
    assert torch.autograd.grad(metric(logits.softmax(-1)).sum(), logits)[0].abs().max() > 1e-3


def test_gradient_of_patch_attention(make_attention):
    assert torch.autograd.gradcheck(
        lambda a: patch_attention(a, 1), make_attention(4, 1, 1).requires_grad_()
    )


def test_attention_that_passed_is_checked_again_once_it_has_changed():
    attention = torch.full((1, 1, 4, 4), 0.25)
    check_attention(attention)
    attention[0, 0, 0, 0] = -1
    with pytest.raises(ValueError, match=">= 0"):
        check_attention(attention)
    with torch.inference_mode():  # such tensors have no version
        frozen = torch.full((1, 1, 4, 4), 0.25)
        check_attention(frozen)
        frozen[0, 0, 0] = 1
        with pytest.raises(ValueError, match="sum to 1"):
            check_attention(frozen)
