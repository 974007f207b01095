import pytest
import torch

from lib.probes.normalized_mutual_information import normalized_mutual_information
from lib.probes.patch_attention import patch_attention
from lib.probes.stream import block_statistics


@pytest.mark.parametrize("batch_size", [1, 2, 5, 99])
def test_one_value_for_each_image_block_and_head_whatever_the_batches(encoder, images, batch_size):
    of_attention = {
        "nmi": normalized_mutual_information,
        "self": lambda a: a.diagonal(dim1=-2, dim2=-1).mean(-1),
    }
    of_blocks = {name: lambda block, f=f: f(block.attention) for name, f in of_attention.items()}
    found = block_statistics(
        encoder, images, of_blocks, {"mean": lambda tokens: tokens.mean(1)}, batch_size
    )
    assert {name: values.shape for name, values in found.items()} == {
        "nmi": (5, 2, 3),
        "self": (5, 2, 3),
        "mean": (5, 3, 24),
    }

    blocks = []
    encoder.observe(images, blocks.append)
    for name, statistic in of_attention.items():
        for block in blocks:
            assert torch.allclose(
                found[name][:, block.index - 1],
                statistic(patch_attention(block.attention, 1)),
                atol=1e-5,
            ), (name, block.index)
    tokens = [blocks[0].tokens_in, *(block.tokens_out for block in blocks)]
    for depth in range(3):
        assert torch.allclose(found["mean"][:, depth], tokens[depth][:, 1:].mean(1), atol=1e-5)
    # images, blocks and heads differ, so that a mix-up shows
    assert found["nmi"].std(0).min() > 1e-4
    assert not torch.allclose(found["nmi"][:, 0], found["nmi"][:, 1], atol=1e-3)


def test_the_statistics_see_patch_tokens_alone(encoder, images):
    shapes = []

    def statistic(block):
        shapes.append(tuple(block.attention.shape))
        assert torch.allclose(block.attention.sum(-1), torch.ones(()))
        for tokens in (block.tokens_in, block.tokens_attended, block.tokens_out):
            assert tokens.shape == (len(block.attention), 49, 24)
        assert block.head_outputs.shape == (len(block.attention), 3, 49, 8)
        return block.attention.mean((-2, -1))

    block_statistics(encoder, images, {"mean": statistic}, batch_size=3)
    assert shapes == [(3, 3, 49, 49)] * 2 + [(2, 3, 49, 49)] * 2
