"""Shared by all tests: tiny Vision Transformers, images, attention; hypothesis without deadlines, since the cores may be busy."""

import pytest
import timm
import torch
from hypothesis import settings

from lib.data.images import Images
from lib.encoders.encoder import Encoder

settings.register_profile("study", deadline=None, derandomize=True, database=None, max_examples=25)
settings.load_profile("study")

TINY = dict(img_size=28, patch_size=4, in_chans=1, embed_dim=24, depth=2, num_heads=3, num_classes=0, dynamic_img_size=True)


@pytest.fixture
def make_vit():
    """Factory of tiny timm ViTs; ``shaken`` moves every parameter off its initial value, so that no 0, 1 or flat map hides a mistake."""

    def make(seed: int = 0, shaken: bool = True, **arguments):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            vit = timm.create_model("vit_tiny_patch16_224", **(TINY | arguments))
            if shaken:
                for parameter in vit.parameters():
                    parameter.data.add_(0.3 * torch.randn_like(parameter))
        return vit

    return make


@pytest.fixture
def encoder(make_vit):
    """A tiny encoder of 28 × 28 grey images: grid 7 × 7, 2 blocks, 3 heads, width 24."""
    return Encoder(make_vit(), [0.3], [0.35], "class_token", name="tiny", family="CL")


@pytest.fixture
def images():
    """Five grey images in [0, 1]."""
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def batch(images):
    """The five images as training data with masks."""
    return Images(images, torch.tensor([0, 1, 2, 0, 1]), images > 0.4, ("a", "b", "c"))


@pytest.fixture(scope="session")
def make_attention():
    """Factory of random row-stochastic attention ``(batch, heads, tokens, tokens)``; higher ``sharpness`` is nearer to one key a query."""

    def make(tokens: int, batch: int = 2, heads: int = 3, seed: int = 0, sharpness: float = 2.0, dtype: torch.dtype = torch.float64):
        logits = torch.randn(batch, heads, tokens, tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return logits.mul(sharpness).softmax(-1).to(dtype)

    return make


@pytest.fixture(scope="session")
def official_attention():
    """The attention on which the official notebook's formulas were run: class token dropped, grid 7 × 7."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attention = torch.randn(2, 3, 50, 50).mul(2).softmax(-1)
    patches = attention[:, :, 1:, 1:]
    return patches / patches.sum(-1, keepdim=True)
