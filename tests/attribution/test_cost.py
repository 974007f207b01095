import pytest
import torch

from lib.attribution.cost import cost
from lib.encoders.architecture import build_resnet, build_vit, resnet_arguments, vit_arguments
from lib.encoders.encoder import Encoder


@pytest.mark.parametrize("vit", [True, False])
def test_forward_passes_are_counted_by_image(vit):
    torch.manual_seed(0)
    model = (
        build_vit(vit_arguments("ti") | {"depth": 1}) if vit else build_resnet(resnet_arguments())
    )
    encoder = Encoder(model, [0.3], [0.35], "patch_mean" if vit else "global_average")
    x = torch.rand(4, 1, 28, 28)
    found = cost(encoder, lambda: [encoder(x), encoder(x[:2])], 4)
    assert found["evaluations per image"] == 1.5 and found["seconds per 1,000 images"] > 0
    assert not any(module._forward_hooks for module in model.modules())
