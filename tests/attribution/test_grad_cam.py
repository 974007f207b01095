import pytest
import torch
import torch.nn.functional as F

from lib.attribution.grad_cam import grad_cam


def test_equals_the_definition(resnet, doubles, targets):
    mean = targets(resnet)
    found = grad_cam(resnet, doubles, mean, batch_size=2)
    # the output of layer4
    activation = resnet.model.forward_features(resnet.normalise(doubles)).requires_grad_()
    (F.normalize(activation.mean((2, 3)), dim=1) * mean).sum().backward()
    coarse = (
        (activation.grad.mean((2, 3), keepdim=True) * activation)
        .sum(1, keepdim=True)
        .relu()
        .detach()
    )
    torch.testing.assert_close(
        found, F.interpolate(coarse, (28, 28), mode="bilinear"), atol=1e-12, rtol=1e-6
    )


def test_an_earlier_layer_is_finer(resnet, doubles, targets):
    late, early = (
        grad_cam(resnet, doubles, targets(resnet), layer) for layer in ("layer4", "layer1")
    )
    assert early[0].unique().numel() > late[0].unique().numel()


def test_a_map_without_positive_evidence_is_zero_with_a_warning(resnet, doubles):
    with pytest.warns(UserWarning, match="Grad-CAM.*5 of 5"):
        assert grad_cam(resnet, doubles, torch.zeros(5, 20, dtype=torch.float64)).eq(0).all()


def test_a_transformer_is_refused(vit, doubles, targets):
    with pytest.raises(ValueError, match="vit.*no module 'layer4'"):
        grad_cam(vit, doubles, targets(vit))
