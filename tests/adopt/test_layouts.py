"""Wrappers, branches and frameworks around a network: the right one is taken, at the right place,
and its features are those of the network itself (torchvision's ResNet, timm's Vision Transformer).
"""

import pytest
import timm
import torch
from official import images, weights
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

from lib.adopt.adopt import adopt
from lib.adopt.layouts import LAYOUTS, Layout
from lib.adopt.recognise import recognise, shape_fits
from lib.encoders.load import load_encoder

VIT = dict(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=2, num_classes=0)
IMAGENET = (
    torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1),
    torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1),
)


def named(model, prefix=""):
    """The network's tensors, each as its name decides, loaded into it, under a prefix."""
    state = {
        name: (
            weights(name, t.shape) * (10 / t[0].numel() ** 0.5 if t.ndim == 4 else 1)
            if t.is_floating_point()
            else t
        )
        for name, t in model.state_dict().items()
    }
    model.load_state_dict(state)
    model.eval()
    return under(prefix, state)


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def other(state):
    """The other branch, which must not be taken."""
    return {
        name: -tensor if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }


def vit(**changes):
    return timm.create_model("vit_base_patch16_224", **VIT | changes)


def resnet(stem=None, block=BasicBlock, pool=True):
    """torchvision's ResNet without its classifier; ``stem`` is the padding of a 3 × 3
    convolution."""
    model = TorchvisionResNet(
        block, [1, 1, 1, 1], width_per_group=16 if block is Bottleneck else 64
    )
    if stem is not None:
        model.conv1 = nn.Conv2d(3, 64, 3, 1, stem, bias=False)
    if not pool:
        model.maxpool = nn.Identity()
    model.fc = nn.Identity()
    return model


def numbered(state):
    """Names of ``nn.Sequential(*list(resnet.children())[:-1])``."""
    places = dict(conv1="0", bn1="1", layer1="4", layer2="5", layer3="6", layer4="7")
    return {
        f"{places[name.partition('.')[0]]}.{name.partition('.')[2]}": t for name, t in state.items()
    }


def mm_names(state):
    """mmpretrain's names of a Vision Transformer's tensors."""
    pairs = [
        ("patch_embed.proj.", "patch_embed.projection."),
        ("blocks.", "layers."),
        (".mlp.fc1.", ".ffn.layers.0.0."),
        (".mlp.fc2.", ".ffn.layers.1."),
        (".norm1.", ".ln1."),
        (".norm2.", ".ln2."),
    ]
    result = {}
    for name, tensor in state.items():
        name = f"ln1.{name[5:]}" if name.startswith("norm.") else name
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        result[name] = tensor
    return result


def head(prefix):
    return {f"{prefix}0.weight": torch.ones(4, 4), f"{prefix}2.bias": torch.ones(4)}


R, RB, V = resnet(), resnet(block=Bottleneck), vit()
CIFAR, SOLO, POOLED = resnet(1, pool=False), resnet(2, pool=False), resnet(1)
r, rb, v = named(R), named(RB), named(V)
cifar, solo, pooled = named(CIFAR), named(SOLO), named(POOLED)
FC = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
ASKED = dict(normalisation="imagenet")
PLAIN = ASKED | dict(heads=2)
# case -> layout, family, network, file, what is asked for
FILES = {
    "MoCo v3, ResNet": (
        "MoCo v3",
        "CL",
        RB,
        {
            "state_dict": (
                under("module.base_encoder.", rb)
                | under("module.momentum_encoder.", other(rb))
                | head("module.predictor.")
                | head("module.base_encoder.fc.")
            )
        },
        {},
    ),
    "MoCo v2": (
        "MoCo v2",
        "CL",
        RB,
        {
            "state_dict": (
                under("module.encoder_q.", rb)
                | under("module.encoder_k.", other(rb))
                | head("module.encoder_q.fc.")
                | {"module.queue": torch.zeros(4, 4), "module.queue_ptr": torch.zeros(1).long()}
            )
        },
        {},
    ),
    "SimSiam": (
        "SimSiam",
        "CL",
        RB,
        {
            "state_dict": (
                under("module.encoder.", rb)
                | head("module.encoder.fc.")
                | head("module.predictor.")
            ),
            "arch": "resnet50",
        },
        {},
    ),
    "SwAV, bare": (
        "SwAV",
        "CL",
        RB,
        under("module.", rb)
        | head("module.projection_head.")
        | {"module.prototypes.weight": torch.ones(3, 4)},
        {},
    ),
    "BYOL, in parallel": (
        "BYOL",
        "CL",
        R,
        {
            "model": (
                under("module.online_network.encoder.", numbered(r))
                | under("module.target_network.encoder.", numbered(other(r)))
                | head("module.online_network.projetion.")
                | head("module.predictor.")
            ),
            "steps": 3,
        },
        {},
    ),
    "BYOL, bare": (
        "BYOL",
        "CL",
        R,
        under("online_network.encoder.", r)
        | head("online_network.projector.")
        | under("target_network.encoder.", other(r)),
        {},
    ),
    "Barlow Twins": (
        "Barlow Twins",
        "CL",
        RB,
        {
            "model": (
                under("module.backbone.", rb)
                | head("module.projector.")
                | {"module.bn.running_mean": torch.ones(4)}
            )
        },
        {},
    ),
    "VICReg": (
        "VICReg",
        "CL",
        RB,
        {"model": under("module.backbone.", rb) | head("module.projector.")},
        {},
    ),
    "mmpretrain, ResNet": (
        "mmpretrain",
        "other",
        R,
        {
            "state_dict": under("backbone.", r) | head("neck.") | under("target_net.0.", other(r)),
            "meta": {},
        },
        {},
    ),
    "mmpretrain, ViT": (
        "mmpretrain",
        "other",
        V,
        {"state_dict": under("backbone.", mm_names(v)) | head("head."), "meta": {}},
        dict(heads=2),
    ),
    "solo-learn": (
        "solo-learn",
        "other",
        R,
        {
            "state_dict": (
                under("backbone.", r)
                | under("momentum_backbone.", other(r))
                | head("projector.")
                | {"classifier.weight": torch.ones(3, 512)}
            ),
            "pytorch-lightning_version": "2",
        },
        {},
    ),
    "solo-learn, CIFAR": (
        "solo-learn",
        "other",
        SOLO,
        {
            "state_dict": (
                under("backbone.", solo)
                | head("projector.")
                | {"classifier.weight": torch.ones(3, 512)}
            )
        },
        ASKED,
    ),
    "lightly, SimSiam": (
        "lightly",
        "other",
        R,
        {
            "state_dict": (
                under("backbone.", numbered(r))
                | head("projection_head.layers.")
                | head("prediction_head.layers.")
            )
        },
        {},
    ),
    "lightly, MoCo": (
        "lightly",
        "other",
        R,
        {
            "state_dict": (
                under("backbone.", numbered(r))
                | under("backbone_momentum.", numbered(other(r)))
                | head("projection_head.layers.")
                | head("projection_head_momentum.layers.")
            )
        },
        {},
    ),
    "lightly, DINO": (
        "lightly",
        "other",
        V,
        {
            "state_dict": (
                under("student_backbone.", other(v))
                | under("teacher_backbone.", v)
                | head("student_head.")
                | head("teacher_head.")
            )
        },
        dict(heads=2),
    ),
    "backbone with any head": (
        "backbone",
        "other",
        V,
        {"state_dict": under("backbone.", v) | head("predictor.")},
        PLAIN,
    ),
    "encoder of a wrapper": (
        "encoder of a wrapper",
        "other",
        V,
        {"model": under("encoder.", v)},
        PLAIN,
    ),
    "torchvision": ("torchvision ResNet", "other", R, r | FC, {}),
    "DINO, teacher alone": (
        "DINO or iBOT",
        "CL",
        V,
        {"teacher": under("module.backbone.", v) | head("module.head.")},
        dict(heads=2, family="CL"),
    ),
    "DINO, student": (
        "DINO",
        "CL",
        V,
        {
            "student": under("module.backbone.", v) | head("module.head."),
            "dino_loss": {"center": torch.ones(1, 4)},
        },
        dict(heads=2),
    ),
    "iBOT, student": (
        "iBOT",
        "other",
        V,
        {
            "student": (
                under("module.backbone.", v | {"masked_embed": torch.ones(1, 64)})
                | head("module.head.")
            )
        },
        dict(heads=2),
    ),
    "plain": (
        "plain",
        "other",
        V,
        v | {"head.weight": torch.zeros(3, 64), "head.bias": torch.zeros(3)},
        PLAIN,
    ),
    "plain ResNet": ("plain", "other", R, r, ASKED),
    "model_state_dict": ("plain", "other", V, {"model_state_dict": v, "loss": 0.1}, PLAIN),
    "state_dict in model": ("plain", "other", V, {"model": {"state_dict": v}, "epoch": 4}, PLAIN),
    "compiled and parallel": ("plain", "other", V, under("_orig_mod.module.", v), PLAIN),
    "Lightning": (
        "plain",
        "other",
        V,
        {"state_dict": under("model.", v), "hparams": {"lr": 1}},
        PLAIN,
    ),
    "compiled inside": (
        "backbone",
        "other",
        V,
        {"state_dict": under("backbone._orig_mod.", v)},
        PLAIN,
    ),
    "average of weights, by entry": (
        "plain",
        "other",
        V,
        {"model": other(v), "model_ema": v},
        PLAIN | dict(entry="model_ema"),
    ),
    "stem for CIFAR": ("plain", "other", CIFAR, cifar, ASKED | dict(stem="cifar")),
    "stem for CIFAR, pooled": ("plain", "other", POOLED, pooled, ASKED | dict(stem="pooled")),
}


@pytest.mark.parametrize("case", FILES)
def test_the_same_weights_give_the_same_features(case, tmp_path):
    layout, family, network, file, asked = FILES[case]
    torch.save(file, tmp_path / "file.pth")
    card = adopt(str(tmp_path / "file.pth"), "mine", root=tmp_path, **asked)
    assert (card.method, card.family) == (layout, family)
    encoder = load_encoder("custom/mine", tmp_path)
    encoder.input_size = None
    with torch.no_grad():
        expected = network((images() - IMAGENET[0]) / IMAGENET[1])
    assert torch.allclose(encoder(images()), expected, atol=1e-4, rtol=1e-4)


def test_every_layout_of_no_official_file_has_a_case():
    from test_official import RESNETS, UNTESTED

    assert UNTESTED | RESNETS <= {layout for layout, *_ in FILES.values()}


@pytest.mark.parametrize(
    ("layout", "width", "heads"),
    [
        ("MoCo v3", 384, 12),
        ("MoCo v3", 768, 12),
        ("MAE", 768, 12),
        ("MAE", 1280, 16),
        ("DINO", 192, 3),
        ("DINO", 384, 6),
        ("DINOv2", 1536, 24),
        ("DINOv3", 1280, 20),
        ("DINOv3", 4096, 32),
        ("I-JEPA", 1408, 16),
        ("CLIP", 1024, 16),
        ("torchvision ViT", 1280, 16),
        ("DeiT-3", 512, 8),
        ("MSN", 384, 6),
        ("EVA-02", 192, 3),
    ],
)
def test_heads_of_the_published_sizes(layout, width, heads):
    """Of facebookresearch/moco-v3 vits.py, mae models_mae.py, dino vision_transformer.py, dinov2
    and dinov3 models/vision_transformer.py, ijepa vision_transformer.py, deit models_v2.py, msn
    deit.py, baaivision EVA-02 modeling_finetune.py, torchvision vision_transformer.py, OpenAI
    clip/model.py.
    """
    assert all(row.heads[width] == heads for row in LAYOUTS if row.name == layout)


def test_moco_v3s_small_network_has_twelve_heads_and_an_unknown_one_asks(tmp_path):
    small = named(vit(embed_dim=384, num_heads=12, depth=1))
    file = {
        "state_dict": (
            under("module.base_encoder.", small) | under("module.momentum_encoder.", small)
        )
    }
    torch.save(file, tmp_path / "official.pth"), torch.save(small, tmp_path / "bare.pth")
    assert adopt(str(tmp_path / "official.pth"), "a", root=tmp_path).arguments["num_heads"] == 12
    with pytest.raises(
        ValueError,
        match=(
            r"number of attention heads \(HEADS=; the width is 384\) nor how images are normalised"
        ),
    ):
        adopt(str(tmp_path / "bare.pth"), "b", root=tmp_path)


def test_a_row_of_its_own_is_all_that_a_new_layout_needs(monkeypatch):
    row = Layout(
        "mine", "CL", "half", ("net.",), marks=(r"^critic\.",), dropped=("critic.",), heads={64: 2}
    )
    monkeypatch.setattr("lib.adopt.recognise.LAYOUTS", (row, *LAYOUTS))
    found = recognise({"weights": under("net.", v) | head("critic.")})
    assert found.layout is row and set(found.state) == set(v)


def test_words_of_a_mark_are_checked():
    with pytest.raises(ValueError, match="no test 'round' of a tensor"):
        shape_fits("round", torch.ones(1))


@pytest.mark.parametrize(
    "options",
    [
        dict(class_token=False, global_pool="avg"),
        dict(qkv_bias=False),
        dict(init_values=0.1),
        dict(mlp_ratio=2.7),
        dict(depth=3),
        dict(global_pool="avg"),
        dict(no_embed_class=True),
        dict(reg_tokens=3, no_embed_class=True),
    ],
    ids=str,
)
def test_options_are_read_off_the_shapes(options, tmp_path):
    """Also what makes the representation: the mean patch token where a norm follows it."""
    model = vit(**options)
    torch.save(named(model), tmp_path / "file.pth")
    card = adopt(str(tmp_path / "file.pth"), "mine", root=tmp_path, **PLAIN)
    assert card.pooling == ("patch_mean" if model.global_pool == "avg" else "class_token")
    with torch.no_grad():
        expected = model((images() - IMAGENET[0]) / IMAGENET[1])
    assert torch.allclose(load_encoder("custom/mine", tmp_path)(images()), expected, atol=1e-4)
