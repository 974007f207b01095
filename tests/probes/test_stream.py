import pytest
import torch

from lib.probes.normalized_mutual_information import normalized_mutual_information
from lib.probes.patch_attention import patch_attention
from lib.probes.stream import attention_statistics


@pytest.mark.parametrize("batch_size", [1, 2, 5, 99])
def test_one_value_for_each_image_block_and_head_whatever_the_batches(encoder, images, batch_size):
    statistics = {"nmi": normalized_mutual_information, "self": lambda a: a.diagonal(dim1=-2, dim2=-1).mean(-1)}
    found = attention_statistics(encoder, images, statistics, batch_size)
    assert {name: values.shape for name, values in found.items()} == {"nmi": (5, 2, 3), "self": (5, 2, 3)}

    attentions = []
    encoder.observe(images, lambda block: attentions.append(patch_attention(block.attention, 1)))
    for name, statistic in statistics.items():
        for block, attention in enumerate(attentions):
            assert torch.allclose(found[name][:, block], statistic(attention), atol=1e-5), (name, block)
    assert found["nmi"].std(0).min() > 1e-4  # images, blocks and heads differ, so that a mix-up shows
    assert not torch.allclose(found["nmi"][:, 0], found["nmi"][:, 1], atol=1e-3)


def test_the_statistics_see_patch_tokens_alone(encoder, images):
    shapes = []

    def statistic(attention):
        shapes.append(tuple(attention.shape))
        assert torch.allclose(attention.sum(-1), torch.ones(()))
        return attention.mean((-2, -1))

    attention_statistics(encoder, images, {"mean": statistic}, batch_size=3)
    assert shapes == [(3, 3, 49, 49)] * 2 + [(2, 3, 49, 49)] * 2
