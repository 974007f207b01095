import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from lib.data.draws import draws

SEEDS = st.integers(-(2**70), 2**70)
INDICES = st.lists(st.integers(0, 2**62), min_size=1, max_size=30)
QUICK = settings(max_examples=50, deadline=None)
WRAP = 2**64


def reference_splitmix64(state: int) -> int:
    """SplitMix64 in Python's unbounded integers."""
    z = (state + 0x9E3779B97F4A7C15) % WRAP
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % WRAP
    z = (z ^ z >> 27) * 0x94D049BB133111EB % WRAP
    return z ^ z >> 31


def reference_draw(index: int, column: int, seed: int) -> float:
    image = reference_splitmix64(reference_splitmix64(seed % WRAP) ^ index)
    return (reference_splitmix64((image + column * 0x9E3779B97F4A7C15) % WRAP) >> 40) / 2**24


def test_reference_is_splitmix64():
    # published test vector of the generator, seed 1234567
    golden, state = 0x9E3779B97F4A7C15, 1234567
    found = [reference_splitmix64((state + k * golden) % WRAP) for k in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@QUICK
@given(INDICES, st.integers(1, 5), SEEDS)
def test_equals_the_reference(indices, count, seed):
    found = draws(torch.tensor(indices), count, seed)
    assert found.tolist() == [[reference_draw(i, k, seed) for k in range(count)] for i in indices]


@QUICK
@given(INDICES, st.integers(0, 30), SEEDS)
def test_does_not_depend_on_the_batch(indices, cut, seed):
    indices = torch.tensor(indices)
    whole = draws(indices, 3, seed)
    parts = [draws(part, 3, seed) for part in (indices[:cut], indices[cut:])]
    assert whole.equal(torch.cat(parts))
    assert whole.flip(0).equal(draws(indices.flip(0), 3, seed))
    assert whole[:, :2].equal(draws(indices, 2, seed))
    assert whole.equal(draws(indices, 3, seed))


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_uniform(seed):
    numbers = draws(torch.arange(20_000), 4, seed).numpy()
    assert numbers.min() >= 0 and numbers.max() < 1
    for column in numbers.T:
        assert kstest(column, "uniform").pvalue > 1e-3
    assert kstest(draws(torch.tensor([5]), 20_000, seed)[0].numpy(), "uniform").pvalue > 1e-3


def test_columns_seeds_and_neighbours_are_uncorrelated():
    n = 20_000
    per_seed = [draws(torch.arange(n), 4, seed).numpy() for seed in range(4)]
    series = [*np.concatenate(per_seed, 1).T, np.roll(per_seed[0][:, 0], 1)]
    correlation = np.corrcoef(series)
    off_diagonal = correlation[~np.eye(len(series), dtype=bool)]
    # 136 pairs: about 4 standard errors are expected as the largest
    assert abs(off_diagonal).max() < 4.5 / n**0.5


def test_no_two_seeds_and_indices_share_their_numbers():
    # seed and index swapped, seed = index, seed + index equal
    rows = torch.cat([draws(torch.arange(50), 4, seed) for seed in range(50)])
    assert len(rows.unique(dim=0)) == 2500


@pytest.mark.parametrize(
    "indices", [torch.zeros(3), torch.zeros(3, 1).long(), torch.tensor(3), torch.tensor([True])]
)
def test_wrong_indices(indices):
    with pytest.raises(ValueError, match="expected integer indices"):
        draws(indices, 1, 0)


def test_wrong_count():
    with pytest.raises(ValueError, match="count of at least 0, got -1"):
        draws(torch.arange(3), -1, 0)


TORCH = """
import hashlib, torch
g = torch.Generator().manual_seed(5)
for t in (torch.rand(4097, generator=g), torch.rand(33, dtype=torch.float64, generator=g),
          torch.randperm(1000, generator=g), torch.randint(7, (999,), generator=g)):
    print(hashlib.sha256(t.numpy().tobytes()).hexdigest())
"""


def test_what_is_left_to_torch_does_not_depend_on_the_processor():
    """Uniform numbers, permutations and integers (masks, views, samples, orders) are integer
    operations on the Mersenne Twister; normal numbers are not, and are not asked of torch."""

    def run(**variables):
        environment = os.environ | variables
        command = [sys.executable, "-c", TORCH]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    found = {run(ATEN_CPU_CAPABILITY=level) for level in ("default", "avx2")}
    assert len(found) == 1 and len(found.pop().split()) == 4
