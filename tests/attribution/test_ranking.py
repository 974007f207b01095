import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.attribution.ranking import feature_count, importance_rank
from lib.data.draws import draws


@given(
    seed=st.integers(0, 999),
    channels=st.sampled_from([1, 3]),
    unit=st.sampled_from(["pixel", "entry"]),
    levels=st.integers(1, 50),
)
def test_is_a_permutation_that_descends(seed, channels, unit, levels):
    attribution = torch.randint(
        -levels, levels, (4, channels, 5, 6), generator=torch.Generator().manual_seed(seed)
    ).double()
    rank = importance_rank(attribution, torch.arange(4), seed, unit)
    values = attribution.sum(1, keepdim=True) if unit == "pixel" else attribution
    assert rank.shape == values.shape
    for ranks, value in zip(rank.flatten(1), values.flatten(1), strict=True):
        assert ranks.sort().values.equal(torch.arange(ranks.numel()))
        assert (value[ranks.argsort()].diff() <= 0).all()


def test_ties_are_random_but_belong_to_the_index():
    flat, indices = torch.zeros(300, 1, 6, 6), torch.arange(300)
    rank = importance_rank(flat, indices)
    # no side is favoured; standard error 0.6
    assert rank.double().mean(0).sub(17.5).abs().max() < 3
    assert importance_rank(flat[:1], indices[7:8]).equal(rank[7:8])
    assert not importance_rank(flat, indices, seed=1).equal(rank)


def test_channels_are_summed_for_pixels():
    attribution = torch.tensor([[[[3.0, 0.0]], [[-3.0, 1.0]]]])
    assert importance_rank(attribution, torch.tensor([0])).flatten().tolist() == [1, 0]
    assert importance_rank(attribution, torch.tensor([0]), unit="entry").flatten().tolist() == [
        0,
        2,
        3,
        1,
    ]


def test_bad_input_is_refused():
    flat, indices = torch.zeros(2, 1, 3, 3), torch.arange(2)
    with pytest.raises(ValueError, match="'pixel' or 'entry', got 'channel'"):
        importance_rank(flat, indices, unit="channel")
    with pytest.raises(ValueError, match="1 indices and 2 attributions"):
        importance_rank(flat, indices[:1])
    with pytest.raises(ValueError, match="finite"):
        importance_rank(flat / 0, indices)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            feature_count(share, 10)


def test_ties_among_the_random_keys_keep_their_order():
    """Draws of 24 bits repeat among the entries of an image of photographic size."""
    keys = draws(torch.tensor([3]), 3 * 224 * 224, 0).numpy()[0]
    assert len(np.unique(keys)) < len(keys)
    found = importance_rank(torch.zeros(1, 3, 224, 224), torch.tensor([3]), unit="entry")
    assert found.flatten().argsort().tolist() == np.argsort(keys, kind="stable").tolist()
