import pytest
import torch

from lib.encoders.encoder import Encoder
from lib.probes.layers import around_self_attention, layer_representations, tokens_after


def test_both_tokens_at_every_depth_whatever_the_batches(encoder, images):
    blocks = []
    encoder.observe(images, blocks.append)
    tokens = [blocks[0].tokens_in, *(block.tokens_out for block in blocks)]
    for batch_size in (2, 99):
        found = layer_representations(encoder, images, batch_size)
        assert {name: values.shape for name, values in found.items()} == {
            "mean patch token": (5, 3, 24),
            "class token": (5, 3, 24),
        }
        for depth, expected in enumerate(tokens):
            assert torch.allclose(found["class token"][:, depth], expected[:, 0], atol=1e-5)
            assert torch.allclose(
                found["mean patch token"][:, depth], expected[:, 1:].mean(1), atol=1e-5
            )


def test_an_encoder_without_a_class_token(make_vit, images):
    encoder = Encoder(make_vit(class_token=False, global_pool="avg"), [0.3], [0.35], "patch_mean")
    assert list(layer_representations(encoder, images)) == ["mean patch token"]


def test_tokens_around_the_self_attention_of_one_block(encoder, images):
    blocks = []
    encoder.observe(images, blocks.append)
    for wanted, block in ((1, blocks[0]), (2, blocks[1]), (None, blocks[1])):
        before, after = around_self_attention(encoder, images, wanted)
        assert torch.equal(before, block.tokens_in[:, 1:]) and torch.equal(
            after, block.tokens_attended[:, 1:]
        )
        assert torch.equal(tokens_after(encoder, images, wanted), block.tokens_out[:, 1:])
    with pytest.raises(ValueError, match="blocks 1 to 2, got 3"):
        around_self_attention(encoder, images, 3)
