"""Files in the layouts of official repositories give the same features as the same weights in the plain architecture."""

import timm
import torch
import pytest

from lib.encoders.infer import infer
from lib.encoders.layouts import recognise, timm_names

VIT = dict(img_size=32, patch_size=8, embed_dim=128, depth=2, num_heads=2, num_classes=0)


def seeded(name, **arguments):
    """A model whose every tensor is random, biases and positions too."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(name, **arguments)
        for tensor in model.parameters():
            tensor.data.add_(0.05 * torch.randn_like(tensor))
    return model.eval()


def vit(**changes):
    return seeded("vit_base_patch16_224", **VIT | changes)


def beit(**changes):
    own = dict(use_shared_rel_pos_bias=True, use_rel_pos_bias=False, use_abs_pos_emb=False, init_values=0.1, global_pool="token")
    return seeded("beit_base_patch16_224", **VIT | own | changes)


def resnet():
    return seeded("resnet50", num_classes=0)


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def head(prefix):
    return {f"{prefix}0.weight": random(4, 4), f"{prefix}2.bias": random(4)}


def dinov2():
    """timm's positions are those of the patches; the official file adds the class token's, which timm adds to the token itself."""
    model = vit(reg_tokens=4, no_embed_class=True, init_values=1e-5)
    state = dict(model.state_dict())
    of_class = random(1, 1, 128)
    state["register_tokens"] = state.pop("reg_token")
    state["cls_token"], state["pos_embed"] = state["cls_token"] - of_class, torch.cat([of_class, state["pos_embed"]], 1)
    return model, state | {"mask_token": random(1, 128)}


def mocov3(model):
    other = {name: -tensor for name, tensor in model.state_dict().items()}  # the momentum branch must not be taken
    return {"epoch": 300, "arch": "x", "state_dict": under("module.base_encoder.", model.state_dict()) | under("module.momentum_encoder.", other)
            | head("module.base_encoder.head.") | head("module.base_encoder.fc.") | head("module.predictor.")}  # fmt: skip


def simmim(model):
    extra = {"encoder.mask_token": random(1, 1, 128), "decoder.0.weight": random(4, 4), "encoder.rel_pos_bias.relative_position_index": torch.zeros(17, 17).long()}
    return {"model": under("encoder.", model.state_dict()) | extra, "epoch": 1}


V, B, R = vit(), beit(), resnet()
D, D_STATE = dinov2()
PLAIN = V.state_dict()
FILES = {
    "MoCo v3 ViT": ("MoCo v3", V, mocov3(V)),
    "MoCo v3 ResNet": ("MoCo v3", R, mocov3(R)),
    "SimMIM": ("SimMIM", B, simmim(B)),
    "MAE with decoder": ("MAE", V, {"model": PLAIN | head("decoder_blocks.0.") | {"mask_token": random(1, 1, 4), "decoder_pos_embed": random(1, 4)}}),
    "MAE without": ("MAE", V, {"model": PLAIN}),
    "BEiT": ("BEiT", B, {"model": B.state_dict() | head("lm_head.") | {"mask_token": random(1, 1, 4)}}),
    "DINO": ("DINO", V, {"teacher": under("backbone.", PLAIN) | head("head."), "student": under("module.backbone.", under("-", PLAIN)), "epoch": 3}),
    "DINO, student": ("DINO", V, {"student": under("module.backbone.", PLAIN) | head("module.head.")}),
    "iBOT": ("iBOT", V, {"teacher": under("backbone.", PLAIN) | head("head.") | {"backbone.masked_embed": random(1, 4)}}),
    "DINOv2": ("DINOv2", D, D_STATE),
    "SimSiam": ("SimSiam", R, {"state_dict": under("module.encoder.", R.state_dict()) | head("module.encoder.fc.") | head("module.predictor.")}),
    "BYOL": ("BYOL", R, under("online_network.encoder.", R.state_dict()) | head("online_network.projector.") | under("target_network.encoder.", R.state_dict())),
    "SwAV": ("SwAV", R, under("module.", R.state_dict()) | head("module.projection_head.") | {"module.prototypes.weight": random(3, 4)}),
    "Barlow Twins": ("Barlow Twins", R, {"model": under("module.backbone.", R.state_dict()) | head("module.projector.") | {"module.bn.running_mean": random(4)}}),
    "VICReg": ("VICReg", R, {"model": under("module.backbone.", R.state_dict()) | head("module.projector.")}),
    "mmpretrain": ("backbone", R, {"state_dict": under("backbone.", R.state_dict()) | head("neck."), "meta": {}}),
    "torchvision": ("plain", R, R.state_dict() | head("fc.")),
    "DeiT": ("plain", V, {"model": PLAIN | {"head.weight": random(3, 128), "head.bias": random(3)}}),
    "plain ViT": ("plain", V, PLAIN | {"head.weight": random(3, 128), "head.bias": random(3)}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "model", "content"), FILES.values(), ids=FILES)
def test_the_same_weights_give_the_same_features(name, model, content):
    layout, found = recognise(content)
    assert layout.name == name
    state = timm_names(found)
    architecture, arguments = infer(state)
    rebuilt = timm.create_model(architecture, **arguments).eval()
    rebuilt.load_state_dict(state)  # strict
    x = random(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(rebuilt.forward_features(x), model.forward_features(x), atol=1e-5, rtol=1e-5)


def test_heads_that_leave_no_trace_are_given():
    state = vit(num_heads=4).state_dict()
    assert infer(state)[1]["num_heads"] == 2 and infer(state, heads=4)[1]["num_heads"] == 4
    with pytest.raises(ValueError, match="width of 128 does not go into 5 heads"):
        infer(state, heads=5)


@pytest.mark.parametrize("changes", [dict(class_token=False, global_pool="avg"), dict(qkv_bias=False), dict(init_values=0.1), dict(mlp_ratio=2.0), dict(depth=3)])
def test_options_are_read_off_the_shapes(changes):
    model = vit(**changes)
    architecture, arguments = infer(timm_names(recognise(model.state_dict())[1]))
    rebuilt = timm.create_model(architecture, **arguments).eval()
    rebuilt.load_state_dict(model.state_dict())
    x = random(1, 3, 32, 32)
    assert torch.allclose(rebuilt.forward_features(x), model.forward_features(x), atol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weights": random(3, 3)}, "no layout known here fits .* weights"),
        ({"optimizer": {"lr": 1}, "epoch": 1}, "no layout known here"),
        ({"model": PLAIN | head("decoder_blocks.0.") | {"surprise": random(1)}}, None),
        (mocov3(V)["state_dict"] and {"state_dict": mocov3(V)["state_dict"] | {"module.queue": random(3)}}, "neither the encoder's nor a known head: module.queue"),
    ],
)
def test_what_is_not_understood_is_refused(content, message):
    if message is None:  # it passes as an encoder's tensor, and the strict loading refuses it
        state = timm_names(recognise(content)[1])
        architecture, arguments = infer(state)
        with pytest.raises(RuntimeError, match="surprise"):
            timm.create_model(architecture, **arguments).load_state_dict(state)
        return
    with pytest.raises(ValueError, match=message):
        recognise(content)


def test_an_unknown_resnet_is_refused():
    state = {name: tensor for name, tensor in R.state_dict().items() if not name.startswith("layer3.5")}
    with pytest.raises(ValueError, match=r"\(3, 4, 5, 3\) blocks"):
        infer(state)
    with pytest.raises(ValueError, match="Vision Transformer or a ResNet"):
        infer({"conv1.weight": random(1, 1, 3, 3)})
