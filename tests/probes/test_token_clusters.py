import numpy as np
import pytest
import torch

from lib.probes.token_clusters import image_precision, token_map


def clusters(distance, seed=0):
    noise = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(seed))
    return noise + distance * torch.arange(4.0)[:, None, None]


def test_against_the_definition():
    tokens = clusters(1.0)
    flat = tokens.flatten(0, 1)
    for i in range(4):
        shares = []
        for t in range(6):
            distance = torch.linalg.vector_norm(flat - tokens[i, t], dim=1)
            distance[6 * i + t] = torch.inf
            nearest = distance.argsort()[:5]
            shares.append((nearest // 6 == i).double().mean().item())
        assert image_precision(tokens)[i] == pytest.approx(np.mean(shares))


def test_far_images_are_clusters_and_mingled_ones_are_not():
    assert image_precision(clusters(100.0)).tolist() == [1.0] * 4
    many = torch.randn(12, 20, 4, generator=torch.Generator().manual_seed(0))
    assert image_precision(many).mean() == pytest.approx(19 / 239, abs=0.03)  # by chance


def test_scale_and_shift_change_nothing():
    tokens = clusters(1.0)
    assert np.array_equal(image_precision(tokens), image_precision(4 * tokens + 8))


def test_the_map_keeps_clusters_apart_and_is_seeded():
    tokens = clusters(100.0)
    first = token_map(tokens, perplexity=4, seed=0)
    assert first.shape == (4, 6, 2) and np.array_equal(
        first, token_map(tokens, perplexity=4, seed=0)
    )
    assert not np.array_equal(first, token_map(tokens, perplexity=4, seed=2))
    assert image_precision(torch.tensor(first)).min() > 0.8


def test_bad_shapes_are_named():
    for bad in (clusters(0.0)[:1], clusters(0.0)[:, :1]):
        with pytest.raises(ValueError, match=rf"\({len(bad)}, {bad.shape[1]}, 3\)"):
            image_precision(bad)
