"""Other people's files: what is read, what is refused, and that nothing in them runs."""

import argparse
import hashlib
import os
import pickle
import sys
import types
from contextlib import nullcontext
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from lib.adopt import __main__ as command
from lib.adopt import adopt as module
from lib.adopt import load_model
from lib.adopt.adopt import adopt
from lib.adopt.normalisation import NORMALISATIONS
from lib.adopt.read_file import read_source, verified
from lib.encoders.card import read_card
from lib.encoders.equivalent import equivalent
from lib.encoders.load import load_encoder, random_encoder
from lib.encoders.randomise import cascade

VIT = dict(
    img_size=32,
    patch_size=8,
    embed_dim=128,
    depth=2,
    num_heads=2,
    num_classes=0,
    dynamic_img_size=True,
)

ASKED = dict(heads=2, normalisation="imagenet")  # what a plain Vision Transformer does not tell


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return timm.create_model("vit_base_patch16_224", **VIT).eval()


@pytest.fixture
def saved(tmp_path, vit):
    """Factory: a PyTorch file, of the ViT's tensors unless others are given."""

    def save(content=None, name="weights.pth"):
        path = tmp_path / name
        torch.save(vit.state_dict() if content is None else content, path)
        return path

    return save


@pytest.mark.parametrize("kind", ["pth", "safetensors", "fp16", "bf16"])
def test_a_file_becomes_an_encoder_with_the_same_representation(tmp_path, saved, vit, kind):
    state = vit.state_dict()
    if kind == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(state, path)
    else:
        half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(kind, torch.float32)
        path = saved({name: tensor.to(half) for name, tensor in state.items()})
    card = adopt(str(path), "mine", root=tmp_path, family="CL", **ASKED)
    assert (card.family, card.pooling, card.input_size, card.patch_size, card.method) == (
        "CL",
        "class_token",
        32,
        8,
        "plain",
    )
    encoder = load_encoder("custom/mine", tmp_path)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in NORMALISATIONS["imagenet"])
    with torch.no_grad():
        expected = vit.forward_features((x - mean) / std)[:, 0]
    assert torch.allclose(encoder(x), expected, atol={"fp16": 0.02, "bf16": 0.1}.get(kind, 1e-5))
    assert read_card(tmp_path / "custom" / "mine.yaml") == card


def test_grey_images_of_another_size_are_resized(tmp_path, saved):
    adopt(str(saved()), "mine", root=tmp_path, **ASKED)
    encoder, x = load_encoder("custom/mine", tmp_path), torch.rand(2, 1, 28, 28)
    large = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    assert torch.allclose(
        encoder(x), encoder(large.expand(-1, 3, -1, -1)), atol=1e-5
    ) and encoder.grid(x) == (4, 4)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad((encoder(x) * torch.arange(128)).sum(), x)
    assert gradient.shape == x.shape and gradient.abs().sum() > 0
    blocks = []
    encoder.observe(x.detach(), blocks.append)
    assert len(blocks) == 2


def test_a_supervised_torchvision_resnet(tmp_path):
    torch.manual_seed(0)
    resnet = torchvision.models.resnet18(num_classes=7).eval()
    torch.save(resnet.state_dict(), tmp_path / "resnet.pth")
    card = adopt(
        str(tmp_path / "resnet.pth"), "r18", root=tmp_path, input_size=64, normalisation="imagenet"
    )
    assert (card.architecture, card.pooling, card.patch_size) == (
        "resnet18",
        "global_average",
        None,
    )
    encoder, x = load_encoder("custom/r18", tmp_path), torch.rand(2, 3, 64, 64)
    resnet.fc = torch.nn.Identity()
    assert torch.allclose(encoder(x), resnet(encoder.normalise(x)), atol=1e-4)


class Runs:
    """Pickles to a call of os.system."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_code_in_a_file_does_not_run(tmp_path, saved, vit):
    trace = tmp_path / "trace"
    path = saved({"model": vit.state_dict(), "extra": Runs(trace)})
    with pytest.raises(ValueError, match="refused: it holds Python objects other than tensors"):
        adopt(str(path), "evil", root=tmp_path)
    assert not trace.exists() and not (tmp_path / "custom").exists()
    pickled = tmp_path / "plain.pth"
    pickled.write_bytes(pickle.dumps(Runs(trace)))
    with pytest.raises(ValueError, match="refused|not a complete PyTorch file"):
        read_source(pickled)
    assert not trace.exists()


def test_the_plain_containers_of_official_files_are_read(tmp_path, saved, vit, monkeypatch):
    # as SimMIM's file names it; yacs need not be installed to read it
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    config = node(a=1)
    config.__dict__["__immutable__"] = False
    yacs = types.ModuleType("yacs")
    yacs.config = types.ModuleType("yacs.config")
    yacs.config.CfgNode = node
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "yacs", yacs)
        context.setitem(sys.modules, "yacs.config", yacs.config)
        path = saved(
            {"model": vit.state_dict(), "config": config, "args": argparse.Namespace(epochs=3)}
        )
    assert "yacs" not in sys.modules
    assert set(read_source(path).content) == {"model", "config", "args"}
    assert adopt(str(path), "official", root=tmp_path, **ASKED).method == "plain"


def test_a_taken_name_is_refused(tmp_path, saved):
    adopt(str(saved()), "mine", root=tmp_path, **ASKED)
    with pytest.raises(ValueError, match="custom/mine exists"):
        adopt(str(saved()), "mine", root=tmp_path, **ASKED)


def test_a_timm_name_takes_its_own_normalisation_and_no_network_says_what_to_fetch(
    tmp_path, monkeypatch
):
    asked = []

    def create(name, pretrained=False, **arguments):
        asked.append((name, pretrained))
        return plain(name, **arguments)

    plain = timm.create_model
    monkeypatch.setattr(load_model.timm, "create_model", create)
    card = adopt("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", "tiny", root=tmp_path)
    assert asked == [("vit_tiny_patch16_224.augreg_in21k_ft_in1k", True)]
    assert (card.mean, card.std, card.input_size, card.licence) == (
        [0.5] * 3,
        [0.5] * 3,
        224,
        "apache-2.0",
    )
    assert load_encoder("custom/tiny", tmp_path)(torch.rand(1, 1, 28, 28)).shape == (1, 192)

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(load_model.timm, "create_model", offline)
    with pytest.raises(
        ValueError, match=r"no route to host.*model.safetensors of .*timm/vit_x by hand"
    ):
        adopt("timm:vit_x", "x", root=tmp_path)


def test_the_command_answers_in_one_paragraph(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        module,
        "adopt",
        lambda source, name, **options: (_ for _ in ()).throw(
            ValueError(f"{source} {name} {options['heads']}")
        ),
    )
    assert command.main(["a.pth", "--name", "b", "--heads", "12"]) == 2
    assert capsys.readouterr().err == "a.pth b 12\n"
    with pytest.raises(SystemExit):
        command.main(["a.pth"])


OTHERS = {
    "swin_tiny_patch4_window7_224": dict(
        img_size=56, embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=7
    ),
    "convnext_atto": dict(depths=(1, 1, 1, 1), dims=(8, 8, 16, 16)),
    "beit_base_patch16_224": dict(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=2),
}


@pytest.mark.parametrize("arch", OTHERS)
def test_other_architectures_are_adopted_by_name(tmp_path, saved, monkeypatch, arch):
    """With timm's own pooled features, other weights of the same function, and a random counterpart
    stage by stage."""
    create = timm.create_model
    small = lambda name, **options: create(name, **(OTHERS[name] | options))  # noqa: E731
    monkeypatch.setattr(timm, "create_model", small)
    torch.manual_seed(0)
    model = small(arch, num_classes=0).eval()
    card = adopt(
        str(saved(small(arch, num_classes=5).state_dict() | model.state_dict())),
        "mine",
        arch=arch,
        root=tmp_path,
        pooling="patch_mean" if arch.startswith("beit") else None,
    )
    encoder, random = load_encoder("custom/mine", tmp_path), random_encoder(card)
    side = card.input_size
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model((x - encoder.mean) / encoder.std)
    assert torch.allclose(encoder(x), expected, atol=1e-5) and torch.allclose(
        equivalent(encoder)(x), expected, atol=1e-4
    )
    assert encoder.has_attention == arch.startswith("beit") and len(cascade(encoder, random)) > 2
    assert torch.allclose(cascade(encoder, random)[0](x), expected, atol=1e-5)
    if not encoder.has_attention:
        with pytest.raises(TypeError, match="no blocks|attention"):
            encoder.observe(x, lambda block: None)


@pytest.mark.parametrize("by_name", [True, False])
def test_a_file_is_compared_with_its_sha256(by_name):
    content = b"weights"
    good, bad = hashlib.sha256(content).hexdigest(), "f" * 64
    for digest, expected in (
        (good, None),
        (bad, "has sha256 .*, expected ffffffff.*fetch it again"),
    ):
        name = f"resnet-{digest[:8]}.pth" if by_name else "resnet.pth"
        with pytest.raises(ValueError, match=expected) if expected else nullcontext():
            verified(name, content, None if by_name else digest)
    verified("run-20260131.pth", content)  # a date, not a hash


def test_what_is_hashed_is_what_is_loaded(tmp_path, saved, vit, monkeypatch):
    """A file that is exchanged while it is adopted is not mixed with the one that was compared."""
    path = saved()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    read = Path.read_bytes

    def exchange(self):
        data = read(self)
        if self == path:
            torch.save({name: -tensor for name, tensor in vit.state_dict().items()}, path)
        return data

    monkeypatch.setattr(Path, "read_bytes", exchange)
    adopt(str(path), "mine", root=tmp_path, sha256=digest, **ASKED)
    monkeypatch.undo()
    found = load_encoder("custom/mine", tmp_path).model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in vit.state_dict().items())


def test_what_was_assumed_is_said(tmp_path, saved):
    said = []
    adopt(str(saved()), "mine", root=tmp_path, say=said.append, **ASKED)
    (line,) = said
    for part in (
        "layout plain",
        "2 heads as given",
        "normalisation imagenet as given",
        "family other",
        "pooling class_token",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("arch", "mean"),
    [
        ("vit_tiny_patch16_224.augreg_in21k", [0.5] * 3),
        ("beit_base_patch16_224", [0.5] * 3),
        ("vit_base_patch16_siglip_224", [0.5] * 3),
        ("vit_base_patch16_clip_224.openai", [0.48145466, 0.4578275, 0.40821073]),
        ("vit_small_patch16_224.dino", [0.485, 0.456, 0.406]),
    ],
)
def test_an_architecture_by_name_brings_its_normalisation(arch, mean, tmp_path, saved, monkeypatch):
    """As timm's ``pretrained_cfg`` has it; the network itself is a small one of that name."""
    create = timm.create_model
    small = dict(img_size=32, patch_size=16, embed_dim=64, depth=1, num_heads=2)
    monkeypatch.setattr(
        timm, "create_model", lambda name, **options: create(name, **small | options)
    )
    path = saved(timm.create_model(arch, num_classes=0).state_dict())
    card = adopt(str(path), "mine", arch=arch, root=tmp_path)
    assert card.mean == mean and len(card.std) == 3


def test_a_card_of_an_encoder_from_a_hub_names_an_architecture(tmp_path, monkeypatch):
    """So that nothing is looked up when it is loaded."""
    create = timm.create_model

    def fetched(name, pretrained=False, **options):
        model = create("vit_tiny_patch16_224", img_size=32, **options)
        assert pretrained and name == "hf-hub:somebody/small@main"
        return model

    monkeypatch.setattr(load_model.timm, "create_model", fetched)
    monkeypatch.setattr(
        load_model,
        "load_model_config_from_hf",
        lambda name: ({}, "vit_tiny_patch16_224", {"img_size": 32}),
    )
    card = adopt("hf-hub:somebody/small@main", "mine", root=tmp_path, input_size=32)
    monkeypatch.undo()
    assert (card.architecture, card.arguments["img_size"]) == ("vit_tiny_patch16_224", 32)
    assert load_encoder("custom/mine", tmp_path)(torch.rand(1, 3, 32, 32)).shape == (1, 192)


def test_a_named_network_of_fixed_size_takes_images_of_another(tmp_path, saved):
    torch.manual_seed(1)
    named = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    torch.nn.init.normal_(named.pos_embed)
    path, x = saved(named.state_dict()), torch.rand(2, 3, 64, 64)
    card = adopt(
        str(path), "small", root=tmp_path, arch="vit_tiny_patch16_224", family="CL", input_size=64
    )
    smaller = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64).eval()
    positions = timm.layers.resample_abs_pos_embed(named.pos_embed, (4, 4), num_prefix_tokens=1)
    smaller.load_state_dict(named.state_dict() | {"pos_embed": positions})
    found = load_encoder("custom/small", tmp_path)
    with torch.no_grad():
        expected = smaller(found.normalise(x))
        torch.testing.assert_close(found(x), expected, atol=1e-5, rtol=1e-5)
    assert card.input_size == 64
