import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.probes.normalized_mutual_information import normalized_mutual_information


def naive(attention, base):
    """The definition in loops, for one map, with logarithms to any base."""
    tokens = len(attention)
    key = [sum(attention[q, k].item() for q in range(tokens)) / tokens for k in range(tokens)]
    information = 0.0
    for q in range(tokens):
        for k in range(tokens):
            joint = attention[q, k].item() / tokens
            if joint > 0:
                information += joint * math.log(attention[q, k].item() / key[k], base)
    return information / math.sqrt(
        math.log(tokens, base) * -sum(p * math.log(p, base) for p in key if p > 0)
    )


@pytest.mark.parametrize("base", [2, math.e])
@pytest.mark.parametrize("sharpness", [0.3, 2, 200])  # 200 underflows to exact zeros
def test_equals_loops_with_any_base(make_attention, base, sharpness):
    attention = make_attention(8, sharpness=sharpness)
    expected = torch.tensor(
        [[naive(one, base) for one in heads] for heads in attention], dtype=torch.float64
    )
    assert torch.allclose(normalized_mutual_information(attention), expected, rtol=1e-9)


def test_official_values(official_attention):
    # calculate_nmi of github.com/naver-ai/cl-vs-mim, commit eafe516, self_attention_analysis.ipynb,
    # run on this attention; it adds 1e-8 to every entry, which moves these values by at most 6e-7
    expected = torch.tensor(
        [[0.39756238, 0.36952806, 0.34554538], [0.39386180, 0.33926946, 0.36938196]]
    )
    assert torch.allclose(normalized_mutual_information(official_attention), expected, atol=2e-6)


def halves(tokens):
    """Each query attends uniformly to its own half of the tokens."""
    return torch.block_diag(*[torch.full((tokens // 2, tokens // 2), 2 / tokens)] * 2)


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        (torch.eye(7), 1),
        (torch.eye(7)[[3, 0, 6, 1, 5, 2, 4]], 1),  # another key of its own for each query
        (torch.full((7, 7), 1 / 7), 0),
        (torch.eye(7)[2].expand(7, 7), 0),  # one single key: H(k) = 0
        (torch.tensor([0.5, 0.5, 0, 0]).expand(4, 4), 0),
        (torch.tensor([0.1, 0.2, 0.3, 0.4]).expand(4, 4), 0),
        (halves(4), 1 / 2),  # log 2 / log 4
        (halves(8), 1 / 3),
        (torch.eye(4)[[0, 0, 1, 1]], math.sqrt(0.5)),  # I = H(k) = log 2, H(q) = log 4
        (torch.ones(1, 1), 0),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_closed_forms(attention, expected, dtype):
    tolerance = 0.04 if dtype.itemsize == 2 else 1e-6
    assert normalized_mutual_information(attention[None, None].to(dtype)).item() == pytest.approx(
        expected, abs=tolerance
    )


def test_null_line_of_random_attention():
    # rows drawn from a flat Dirichlet: E H(k|q) = ψ(197) − ψ(2) = 4.858, H(k) ≈ log 196 = 5.278
    rows = (
        torch.rand(1, 20, 196, 196, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        .log()
        .neg()
    )
    assert normalized_mutual_information(
        rows / rows.sum(-1, keepdim=True)
    ).mean().item() == pytest.approx(0.079, abs=0.001)


@given(
    tokens=st.integers(1, 9),
    seed=st.integers(0, 999),
    sharpness=st.floats(0, 300),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_in_unit_interval_and_blind_to_the_order_of_queries_and_keys(
    make_attention, tokens, seed, sharpness, dtype
):
    attention = make_attention(tokens, 1, 2, seed, sharpness, dtype)
    found = normalized_mutual_information(attention)
    assert (found >= 0).all() and (found <= 1).all()
    order = torch.randperm(tokens, generator=torch.Generator().manual_seed(seed))
    # a ratio of two small numbers where H(k) is near 0
    tolerance = 1e-3 if dtype == torch.float32 else 1e-9
    assert torch.allclose(
        normalized_mutual_information(attention[..., order]), found, atol=tolerance
    )
    assert torch.allclose(
        normalized_mutual_information(attention[:, :, order]), found, atol=tolerance
    )


def test_same_value_and_right_gradient_where_gradients_are_asked_for(make_attention):
    attention = make_attention(6, sharpness=2)
    assert torch.allclose(
        normalized_mutual_information(attention.clone().requires_grad_()),
        normalized_mutual_information(attention),
        atol=1e-6,
    )
    logits = torch.randn(
        1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: normalized_mutual_information(x.softmax(-1)), logits)


@pytest.mark.parametrize("sharpness", [0.3, 2, 200])  # 200: the diagonal underflows
def test_from_logits_it_is_the_same(sharpness):
    logits = sharpness * torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    attention = logits.softmax(-1)
    exact = normalized_mutual_information(logits.double().softmax(-1))
    found = normalized_mutual_information(attention, logits)
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-5)
    shifted = normalized_mutual_information(attention, logits + 7)  # a softmax does not see it
    torch.testing.assert_close(shifted, found, atol=1e-5, rtol=1e-5)


def test_logits_of_another_shape_are_refused(make_attention):
    with pytest.raises(ValueError, match="logits of the attention's shape"):
        normalized_mutual_information(make_attention(4), torch.zeros(2, 3, 5, 5))
