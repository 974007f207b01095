import pytest
import torch

from lib.probes.key_entropy import key_entropy
from lib.probes.received_attention import received_attention


def test_sums_to_one_and_agrees_with_a_loop():
    attention = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)).softmax(-1)
    found = received_attention(attention)
    for image in range(2):
        for key in range(5):
            loop = [attention[image, h, q, key].item() for h in range(3) for q in range(5)]
            assert found[image, key].item() == pytest.approx(sum(loop) / 15, abs=1e-6)
    assert found.sum(1).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_a_map_on_one_place_is_received_there():
    attention = torch.zeros(1, 2, 4, 4)
    attention[..., 2] = 1
    assert received_attention(attention).tolist() == [[0, 0, 1, 0]]
    assert key_entropy(attention).max() == 0


def test_refuses_rows_that_do_not_sum_to_one():
    with pytest.raises(ValueError):
        received_attention(torch.ones(1, 1, 2, 2))
