import numpy as np
import pytest
import torch

from lib.probes.token_clusters import image_silhouette, token_map


def clusters(distance, seed=0):
    noise = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(seed))
    return noise + distance * torch.arange(4.0)[:, None, None]


def test_against_the_definition():
    tokens = clusters(1.0)
    distance = torch.cdist(tokens.flatten(0, 1), tokens.flatten(0, 1)).reshape(4, 6, 4, 6)
    for i in range(4):
        values = []
        for t in range(6):
            a = distance[i, t, i].sum() / 5
            b = min(distance[i, t, j].mean() for j in range(4) if j != i)
            values.append(((b - a) / max(a, b)).item())
        assert image_silhouette(tokens)[i] == pytest.approx(np.mean(values), abs=1e-5)


def test_far_images_are_clusters_and_mingled_ones_are_not():
    assert image_silhouette(clusters(100.0)).min() > 0.95
    assert image_silhouette(clusters(0.0)).max() < 0.2


def test_the_map_keeps_clusters_apart_and_is_seeded():
    tokens = clusters(100.0)
    first = token_map(tokens, perplexity=4, seed=0)
    assert first.shape == (4, 6, 2) and np.array_equal(first, token_map(tokens, perplexity=4, seed=0))
    assert not np.array_equal(first, token_map(tokens, perplexity=4, seed=2))
    assert image_silhouette(torch.tensor(first)).min() > 0.3


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(1, 6, 3\)"):
        image_silhouette(clusters(0.0)[:1])
