import itertools

import pytest
import torch
import torch.nn.functional as F

from lib.probes.cosine import pairwise_cosine


def test_equals_the_mean_over_all_pairs():
    vectors = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    for found, rows in zip(pairwise_cosine(vectors), vectors, strict=True):
        pairs = [
            F.cosine_similarity(rows[i], rows[j], dim=0)
            for i, j in itertools.combinations(range(5), 2)
        ]
        assert found == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-6)


def test_ignores_length_and_reaches_its_bounds():
    vectors = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    scaled = vectors * torch.tensor([[0.1], [2.0], [5.0], [1.0]])
    assert pairwise_cosine(scaled) == pytest.approx(pairwise_cosine(vectors).item(), abs=1e-6)
    corners = torch.eye(3) - 1 / 3  # a regular triangle: the smallest possible mean, -1 / (n - 1)
    assert pairwise_cosine(corners) == pytest.approx(-0.5, abs=1e-6)


def test_one_vector_is_refused():
    with pytest.raises(ValueError, match="at least 2 vectors"):
        pairwise_cosine(torch.ones(1, 3))
