import itertools

import pytest
import torch
import torch.nn.functional as F

from lib.probes.cosine import pairwise_cosine
from lib.probes.similarity import head_similarity, step_similarity


def test_heads_against_a_naive_loop():
    torch.manual_seed(0)
    v = torch.randn(2, 3, 5, 4)
    for b in range(2):
        pairs = [
            F.cosine_similarity(v[b, h, t], v[b, g, t], dim=0)
            for h, g in itertools.combinations(range(3), 2)
            for t in range(5)
        ]
        assert head_similarity(v)[b].item() == pytest.approx(
            torch.stack(pairs).mean().item(), abs=1e-5
        )


def test_tokens_against_a_naive_loop():
    torch.manual_seed(0)
    v = torch.randn(2, 5, 4)
    for b in range(2):
        pairs = [
            F.cosine_similarity(v[b, t], v[b, u], dim=0)
            for t, u in itertools.combinations(range(5), 2)
        ]
        assert pairwise_cosine(v)[b].item() == pytest.approx(
            torch.stack(pairs).mean().item(), abs=1e-5
        )


def test_steps_against_a_naive_loop():
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 5, 4)
    expected = [
        sum(F.cosine_similarity(a[i, t], b[i, t], dim=0) for t in range(5)).item() / 5
        for i in range(2)
    ]
    assert step_similarity(a, b).tolist() == pytest.approx(expected, abs=1e-5)
    assert step_similarity(a, -3 * a).tolist() == pytest.approx([-1, -1])


def test_the_number_of_tokens_and_of_heads_must_fit():
    with pytest.raises(ValueError, match="at least 2 vectors"):
        head_similarity(torch.ones(1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"\(1, 2, 3\) and \(1, 3, 3\)"):
        step_similarity(torch.ones(1, 2, 3), torch.ones(1, 3, 3))
