"""Encoders rebuilt from official files give the features that the official code gives with the same weights.

``golden_official.json`` holds the names and shapes of each official model's tensors, and its features of one input; it was made by running, with small
sizes and the weights of :func:`weights`,

- github.com/facebookresearch/moco-v3 at c349e6e, vits.py, ``VisionTransformerMoCo``: class token after the norm;
- github.com/microsoft/SimMIM at d3e29bc, models/simmim.py, ``VisionTransformerForSimMIM`` with nothing masked: mean patch token;
- github.com/facebookresearch/mae at efb2a80, models_mae.py, ``MaskedAutoencoderViT.forward_encoder`` with nothing masked: mean patch token.
"""

import json
import math
import zlib
from pathlib import Path

import pytest
import torch

from lib.encoders.adopt import adopt
from lib.encoders.load import load_encoder

GOLDEN = json.loads(Path(__file__).with_name("golden_official.json").read_text())
POOLING = {"MoCo v3": "class_token", "SimMIM": "patch_mean", "MAE": "patch_mean"}
CONTAINER = {"MoCo v3": "state_dict", "SimMIM": "model", "MAE": "model"}


def weights(name, shape):
    """A tensor that its name decides."""
    k = torch.arange(math.prod(shape), dtype=torch.float64)
    values = 0.2 * torch.sin(0.7 * k + zlib.crc32(name.encode()) % 1000)
    return ((1.0 if name.endswith(("norm1.weight", "norm2.weight", "norm.weight")) else 0.0) + values).reshape(shape).float()


@pytest.mark.parametrize("method", GOLDEN)
def test_features_equal_those_of_the_official_code(method, tmp_path):
    named = {name: weights(name.removeprefix("module.base_encoder."), shape) for name, shape in GOLDEN[method]["names"].items()}
    if method == "MoCo v3":  # the official file holds the other branch too
        named |= {name.replace("base_encoder", "momentum_encoder"): -tensor for name, tensor in named.items()}
    torch.save({CONTAINER[method]: named, "epoch": 1}, tmp_path / "official.pth")
    card = adopt(str(tmp_path / "official.pth"), "official", heads=4, root=tmp_path)
    assert (card.method, card.pooling) == (method, POOLING[method])
    x = torch.sin(0.05 * torch.arange(2 * 3 * 32 * 32, dtype=torch.float64) ** 1.1).reshape(2, 3, 32, 32).float()
    encoder = load_encoder("custom/official", tmp_path)
    encoder.mean, encoder.std = torch.full((1, 3, 1, 1), 0.5), torch.full((1, 3, 1, 1), 0.5)  # the input of the official code is in [−1, 1]
    assert torch.allclose(encoder(x / 2 + 0.5), torch.tensor(GOLDEN[method]["features"]), atol=1e-5, rtol=1e-5)
