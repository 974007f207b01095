"""Another network of the same function, and networks that have lost a part of what they learned."""

import copy

import pytest
import timm
import torch

from lib.encoders.architecture import build_resnet, build_vit, resnet_arguments, vit_arguments
from lib.encoders.encoder import Encoder
from lib.encoders.equivalent import equivalent
from lib.encoders.randomise import cascade, stages
from lib.encoders.window import behind_window, window


def shaken(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand(tensor.shape, generator=generator))
    return model.double()


@pytest.fixture(params=["vit", "resnet"])
def make(request):
    """Factory: an encoder in double precision, its weights by seed."""

    def make(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            vit = request.param == "vit"
            model = (
                build_vit(vit_arguments("ti") | {"depth": 2})
                if vit
                else build_resnet(resnet_arguments() | {"channels": [8, 12, 16, 20]})
            )
        return Encoder(
            shaken(model, seed),
            [0.3],
            [0.35],
            "class_token" if vit else "global_average",
            name="made",
            family="CL",
        )

    return make


def test_bottlenecks_are_permuted_too():
    model = shaken(timm.create_model("resnet26", num_classes=0, channels=[4, 8, 12, 16]), 0)
    encoder = Encoder(model, [0.3] * 3, [0.35] * 3, "global_average")
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    other = equivalent(encoder)
    assert torch.allclose(encoder(x), other(x), rtol=1e-9) and not torch.equal(
        model.layer1[0].conv1.weight, other.model.layer1[0].conv1.weight
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("convnextv2_atto", dict(depths=(1, 1, 1, 1), dims=(8, 8, 16, 16))),
        ("convnextv2_atto", dict(depths=(1, 1, 1, 1), dims=(8, 8, 16, 16), conv_mlp=True)),
        ("convnext_atto", dict(depths=(1, 1, 1, 1), dims=(8, 8, 16, 16))),
    ],
)
def test_every_block_of_a_convnext_is_permuted(name, arguments):
    encoder = Encoder(
        shaken(timm.create_model(name, num_classes=0, **arguments), 0),
        [0.3] * 3,
        [0.35] * 3,
        "global_average",
    )
    x = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    other = equivalent(encoder)
    assert torch.allclose(encoder(x), other(x), rtol=1e-9)
    for first, second in zip(encoder.model.stages, other.model.stages, strict=True):
        assert not torch.equal(first.blocks[0].mlp.fc1.weight, second.blocks[0].mlp.fc1.weight)


SMALL = dict(img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=2, num_classes=0)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("eva02_tiny_patch14_224", SMALL | dict(num_heads=3)),  # values and gates in one layer
        ("eva02_base_patch14_224", SMALL),  # in two layers, with a norm
        ("vit_small_patch16_dinov3", SMALL),
        ("vit_giant_patch14_dinov2", SMALL),
        ("beit_base_patch16_224", SMALL),
        ("deit_tiny_patch16_224", SMALL),
    ],
)
def test_every_kind_of_mlp_is_permuted_and_every_kind_of_vit_has_stages(name, arguments):
    model = shaken(timm.create_model(name, **arguments), 0)
    encoder, x = (
        Encoder(model, [0.3] * 3, [0.35] * 3, "class_token"),
        torch.rand(2, 3, 32, 32, dtype=torch.float64),
    )
    other = equivalent(encoder)
    assert torch.allclose(encoder(x), other(x), rtol=1e-9)
    for first, second in zip(encoder.model.blocks, other.model.blocks, strict=True):
        assert not torch.equal(first.mlp.fc2.weight, second.mlp.fc2.weight)
    assert len(stages(model)) == 4


@pytest.fixture
def batch():
    return torch.rand(3, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_an_equal_function_has_other_weights(make, batch):
    encoder = make(0)
    before = copy.deepcopy(encoder.model.state_dict())
    other = equivalent(encoder, seed=1)
    assert torch.allclose(encoder(batch), other(batch), rtol=1e-10)
    after = other.model.state_dict()
    assert sum(not torch.equal(before[name], after[name]) for name in before) >= 4
    # the given one is as it was
    assert all(
        torch.equal(before[name], tensor) for name, tensor in encoder.model.state_dict().items()
    )
    assert (other.name, other.family, other.pooling) == (encoder.name, "CL", encoder.pooling)
    assert not any(p.requires_grad for p in other.model.parameters())


def test_stages_are_randomised_from_the_output_down(make, batch):
    encoder, random = make(0), make(1)
    before = encoder(batch)
    found = cascade(encoder, random)
    count = len(stages(encoder.model))
    assert (
        len(found) == count + 1
        and torch.equal(found[0](batch), before)
        and torch.equal(encoder(batch), before)
    )
    for randomised, partly in enumerate(found):
        kept = count - randomised
        for number, (mine, first, second) in enumerate(
            zip(stages(partly.model), stages(encoder.model), stages(random.model), strict=True)
        ):
            expected = (first if number < kept else second).state_dict()
            assert all(
                torch.equal(tensor, expected[name]) for name, tensor in mine.state_dict().items()
            )
    assert all(
        not torch.allclose(a(batch), b(batch)) for a, b in zip(found, found[1:], strict=False)
    )


def test_all_but_class_token_and_positions_belong_to_a_stage(make):
    model = make(0).model
    inside = {id(p) for stage in stages(model) for p in stage.parameters()}
    left = [name for name, p in model.named_parameters() if id(p) not in inside]
    assert set(left) <= {"cls_token", "pos_embed"}


@pytest.mark.parametrize("call", [equivalent, lambda encoder: cascade(encoder, encoder)])
def test_other_networks_are_refused(call):
    encoder = Encoder(
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)),
        [0.0],
        [1.0],
        "global_average",
    )
    with pytest.raises(TypeError, match="expected a .*ViT.*ResNet.*, got Sequential"):
        call(encoder)
    pvt = timm.create_model("pvt_v2_b0", num_classes=0)
    with pytest.raises(
        TypeError,
        match="expected a timm ViT, ResNet, ConvNeXt or Swin, got PyramidVisionTransformerV2",
    ):
        call(Encoder(pvt, [0.0] * 3, [1.0] * 3, "global_average"))


def test_behind_a_window_nothing_outside_counts(make, batch):
    encoder = make(0)
    blind, inside = behind_window(encoder), window(batch)
    assert inside.sum() == 6 * 7 and torch.equal(
        blind(batch), blind(torch.where(inside > 0, batch, 1 - batch))
    )
    assert not torch.allclose(blind(batch), blind(torch.where(inside > 0, 1 - batch, batch)))
    assert torch.equal(
        blind(batch),
        encoder.holding(encoder.model)(torch.where(inside > 0, batch, encoder.mean.double())),
    )
