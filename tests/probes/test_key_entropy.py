import math

import pytest
import torch

from lib.probes.key_entropy import key_entropy


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        (torch.full((4, 4), 0.25), 1.0),
        (torch.eye(4), 1.0),  # every key is received once
        (torch.tensor([[1.0, 0, 0, 0]] * 4), 0.0),  # one key receives everything; 0 log 0 = 0
        (torch.tensor([[0.5, 0.5, 0, 0]] * 4), 0.5),
    ],
    ids=["uniform", "identity", "one key", "two keys"],
)
def test_closed_forms(attention, expected):
    assert key_entropy(attention[None, None]).item() == pytest.approx(expected, abs=1e-6)


def test_equals_a_naive_loop():
    attention = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)).softmax(-1)
    for b in range(2):
        for h in range(3):
            received = [sum(attention[b, h, q, k].item() for q in range(6)) / 6 for k in range(6)]
            entropy = -sum(p * math.log2(p) for p in received) / math.log2(6)
            assert key_entropy(attention)[b, h].item() == pytest.approx(entropy, abs=1e-5)


def test_one_token_is_refused():
    with pytest.raises(ValueError, match="at least 2 tokens"):
        key_entropy(torch.ones(1, 1, 1, 1))
