import pytest
import torch

from lib.attribution.attention_rollout import attention_rollout
from lib.encoders.encoder import Encoder


@pytest.mark.parametrize(
    ("arguments", "pooling"), [(dict(), "class_token"), (dict(reg_tokens=2), "patch_mean")]
)
def test_equals_the_product_of_the_definition(make_vit, images, arguments, pooling):
    encoder = Encoder(make_vit(depth=3, **arguments), [0.3], [0.35], pooling)
    maps = []
    encoder.observe(images, lambda block: maps.append(block.attention.double()))
    found = attention_rollout(encoder, images, batch_size=2)
    prefix = encoder.prefix_tokens
    for i in range(5):
        rollout = torch.eye(maps[0].shape[-1], dtype=torch.float64)
        for attention in maps:
            rollout = (0.5 * sum(attention[i]) / 3 + 0.5 * torch.eye(len(rollout))) @ rollout
        row = rollout[0] if pooling == "class_token" else sum(rollout[prefix:]) / 49
        for patch in range(49):
            top, left = 4 * (patch // 7), 4 * (patch % 7)
            tile = found[i, 0, top : top + 4, left : left + 4]
            assert tile.unique().numel() == 1 and tile[0, 0].item() == pytest.approx(
                row[prefix + patch].item(), rel=1e-4
            )


def test_a_convolutional_network_is_refused(resnet, doubles):
    with pytest.raises(TypeError, match="resnet"):
        attention_rollout(resnet, doubles)
