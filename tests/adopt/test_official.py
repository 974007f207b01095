"""Encoders adopted from official files give the representations and patch tokens that the official
code gives with the same weights.

``golden_official.json`` holds, for each layout, repository and commit (``source``), names and
shapes of the tensors of a small network as the official code saves them, and what that code
computed from the weights and images of :mod:`official`: representations of two images (of
ResNets the first 128 numbers) and two patch tokens. Where the official code needs xformers or apex
(EVA-02), their SwiGLU and LayerNorm were torch's.
"""

import pytest
import torch
from official import GOLDEN, images, write

from lib.adopt import __main__ as command
from lib.adopt import adopt as module
from lib.adopt.layouts import LAYOUTS
from lib.encoders.card import read_card
from lib.encoders.load import load_encoder

# no official code could be run here for these: renamed tensors and torchvision's networks stand in,
# see test_layouts.py
UNTESTED = {"mmpretrain", "solo-learn", "lightly", "backbone", "encoder of a wrapper", "plain"}
RESNETS = {"MoCo v2", "SimSiam", "Barlow Twins", "VICReg", "torchvision ResNet"}  # ditto, exact


def close(found, expected):
    expected = torch.tensor(expected)
    difference = (found[:, : expected.shape[1]] - expected).abs().max()
    return difference <= 1e-4 * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("case", GOLDEN)
def test_features_equal_those_of_the_official_code(case, tmp_path, monkeypatch, capsys):
    golden = GOLDEN[case]
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    options = [
        text for key, value in golden["options"].items() for text in (f"--{key}", str(value))
    ]
    assert command.main([str(write(golden, tmp_path)), "--name", "official", *options]) == 0
    said = capsys.readouterr().out
    assert "normalisation" in said and "pooling" in said and "family" in said
    card, encoder = (
        read_card(tmp_path / "custom/official.yaml"),
        load_encoder("custom/official", tmp_path),
    )
    expected = dict(golden["card"])
    mean = expected.pop("mean")
    assert {key: getattr(card, key) for key in expected} == expected and card.mean == mean
    encoder.input_size = None  # of DINOv3 timm does not keep it
    assert close(encoder(images()), golden["pooled"])
    if "patches" in golden:
        tokens = encoder.patch_tokens(images())
        assert close(torch.stack([tokens[0, 0], tokens[1, -1]]), golden["patches"])


def test_every_layout_is_compared_with_official_code_or_named_as_not():
    names = {layout.name for layout in LAYOUTS}
    of_golden = {
        name
        for name in names
        if any(golden["card"].get("method") == name for golden in GOLDEN.values())
    }
    of_transformers = {
        layout.name
        for layout in LAYOUTS
        if layout.model_types
        and any(
            g.get("config", {}).get("model_type") in layout.model_types for g in GOLDEN.values()
        )
    }
    by_case = {
        name for name in names if any(case.startswith(name.split(" or ")[0]) for case in GOLDEN)
    }
    assert names - of_golden - of_transformers - by_case == UNTESTED | RESNETS
