"""Cards that cannot be meant are refused before anything is built; none reaches the network."""

import socket
from dataclasses import asdict

import pytest
import torch
import yaml
from safetensors.torch import save_file

from lib.encoders.architecture import build
from lib.encoders.card import Card, file_sha256, read_card
from lib.encoders.load import load_encoder

NAN, INF = float("nan"), float("inf")
VIT = dict(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0)
GOOD = dict(
    method="MAE", family="MIM", architecture="vit_base_patch16_224", arguments=VIT, patch_size=8,
    prefix_tokens=1, mean=[0.5] * 3, std=[0.5] * 3, pooling="patch_mean", images_seen=None,
    seconds=None, command="", commit="", data="", seed=None, licence="", source="", sha256="",
    input_size=32,
)  # fmt: skip
BAD = {
    "std of 0": (dict(std=[0.5, 0, 0.5]), "of 'std' positive"),
    "negative std": (dict(std=[-1, 1, 1]), "of 'std' positive"),
    "mean of NaN": (dict(mean=[NAN, 0, 0]), "'mean' holds finite numbers"),
    "infinite std": (dict(std=[INF, 1, 1]), "'std' holds finite numbers"),
    "no mean": (dict(mean=[]), "'mean' holds finite numbers"),
    "mean of words": (dict(mean=["a", "b", "c"]), "'mean' holds finite numbers"),
    "mean of booleans": (dict(mean=[True] * 3), "'mean' holds finite numbers"),
    "mean alone": (dict(mean=0.5), "'mean' is of type"),
    "two and three": (dict(mean=[0.5, 0.5]), "one number a channel each"),
    "another family": (dict(family="supervised"), "'family' is one of"),
    "another pooling": (dict(pooling="max"), "'pooling' is one of"),
    "pooling of a list": (dict(pooling=["patch_mean"]), "'pooling' is of type str"),
    "architecture of a number": (dict(architecture=3), "'architecture' is of type str"),
    "pretrained": (dict(arguments=VIT | dict(pretrained=True)), "may not hold pretrained"),
    "pretrained_cfg": (
        dict(arguments=VIT | dict(pretrained_cfg="x")),
        "may not hold pretrained_cfg",
    ),
    "overlay": (dict(arguments=VIT | dict(pretrained_cfg_overlay={})), "may not hold"),
    "checkpoint_path": (
        dict(arguments=VIT | dict(checkpoint_path="/x")),
        "may not hold checkpoint",
    ),
    "arguments of a list": (dict(arguments=[1]), "'arguments' is of type dict"),
    "patch of 0": (dict(patch_size=0), "'patch_size' is at least 1"),
    "patch of words": (dict(patch_size="8"), "'patch_size' is of type"),
    "tokens below 0": (dict(prefix_tokens=-1), "'prefix_tokens' is at least 0"),
    "tokens of a half": (dict(prefix_tokens=0.5), "'prefix_tokens' is of type int"),
    "size of 0": (dict(input_size=0), "'input_size' is at least 1"),
    "size of a boolean": (dict(input_size=True), "'input_size' is of type"),
    "no method": (dict(method=None), "'method' is of type str"),
    "extras of numbers": (dict(extras=[1]), "'extras' is of type"),
    "no hash": (dict(sha256=None), "'sha256' is of type str"),
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a card reached for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def write(folder, **changes):
    torch.manual_seed(0)
    state = build(GOOD["architecture"], VIT).state_dict()
    save_file(
        {f"encoder.{name}": tensor for name, tensor in state.items()}, folder / "a.safetensors"
    )
    values = asdict(Card(**GOOD)) | dict(sha256=file_sha256(folder / "a.safetensors")) | changes
    (folder / "a.yaml").write_text(yaml.safe_dump(values))
    return folder / "a.yaml"


@pytest.mark.parametrize("case", BAD)
def test_cards_that_cannot_be_meant(case, tmp_path):
    changes, message = BAD[case]
    path = write(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_card(path)
    assert str(caught.value).count("\n") == 0
    with pytest.raises(ValueError, match=message):
        load_encoder("a", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(architecture="vit_of_nobody"), "timm has no model 'vit_of_nobody'"),
        (dict(architecture="hf-hub:a/b"), "timm has no model 'hf-hub:a/b'.* nothing is fetched"),
        (dict(architecture="timm/vit_base_patch16_224"), "nothing is fetched"),
        (dict(architecture="local-dir:/tmp"), "nothing is fetched"),
        (dict(architecture="../x"), "nothing is fetched"),
        (dict(arguments=VIT | dict(colour="red")), "cannot be built with"),
        (dict(arguments=VIT | dict(num_heads=0)), "cannot be built with"),
        (dict(arguments=VIT | dict(depth="two")), "cannot be built with"),
        (dict(mean=[0.5], std=[0.5]), "mean for 1 channel.*the model takes 3"),
        (dict(prefix_tokens=2), "the card says"),
        (dict(pooling="attention_pool"), "no attention to pool with"),
    ],
)
def test_cards_that_do_not_fit_their_network(changes, message, tmp_path):
    write(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        load_encoder("a", tmp_path)


def test_the_card_as_it_should_be(tmp_path):
    assert read_card(write(tmp_path)).mean == [0.5] * 3
    assert load_encoder("a", tmp_path)(torch.rand(1, 3, 32, 32)).shape == (1, 32)
    assert len(BAD) >= 20
