import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.probes.query_similarity import query_similarity


def naive(attention):
    """The definition in loops, for one map."""
    tokens = len(attention)
    cosines = []
    for q in range(tokens):
        for other in range(tokens):
            if q != other:
                dot = sum(
                    a * b
                    for a, b in zip(attention[q].tolist(), attention[other].tolist(), strict=True)
                )
                cosines.append(
                    dot
                    / (math.hypot(*attention[q].tolist()) * math.hypot(*attention[other].tolist()))
                )
    return sum(cosines) / len(cosines)


@pytest.mark.parametrize("tokens", [2, 7])
@pytest.mark.parametrize("sharpness", [0.1, 2, 50])
def test_equals_loops(make_attention, tokens, sharpness):
    attention = make_attention(tokens, sharpness=sharpness)
    expected = torch.tensor(
        [[naive(one) for one in heads] for heads in attention], dtype=torch.float64
    )
    assert torch.allclose(query_similarity(attention), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        (torch.eye(6), 0),
        (torch.eye(6).roll(1, 0), 0),
        (torch.full((6, 6), 1 / 6), 1),
        (torch.eye(6)[2].expand(6, 6), 1),
        (torch.tensor([0.1, 0.2, 0.3, 0.4]).expand(4, 4), 1),
        # one of the three others shares the map
        (torch.block_diag(torch.full((2, 2), 0.5), torch.full((2, 2), 0.5)), 1 / 3),
        (torch.tensor([[1.0, 0.0], [0.5, 0.5]]), math.sqrt(0.5)),
    ],
)
def test_closed_forms(attention, expected):
    assert query_similarity(attention[None, None]).item() == pytest.approx(expected, abs=1e-6)


@given(tokens=st.integers(2, 9), seed=st.integers(0, 999), sharpness=st.floats(0, 300))
def test_in_unit_interval_and_blind_to_the_order_of_queries_and_keys(
    make_attention, tokens, seed, sharpness
):
    attention = make_attention(tokens, 1, 2, seed, sharpness)
    found = query_similarity(attention)
    assert (found >= -1e-12).all() and (found <= 1 + 1e-12).all()
    order = torch.randperm(tokens, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(query_similarity(attention[..., order]), found)
    assert torch.allclose(query_similarity(attention[:, :, order]), found)


def test_refuses_a_single_token():
    with pytest.raises(ValueError, match="at least 2 .* to compare, got 1"):
        query_similarity(torch.ones(1, 1, 1, 1))
