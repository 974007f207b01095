"""The small encoders that this repository trains, as timm models."""

import math
from typing import Literal

import timm
import torch
from timm.layers import LayerNorm2d, PatchEmbed
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

VIT, SMALL_RESNET = "vit_tiny_patch16_224", "resnet18 with a small stem"
STEM_VIT = f"{VIT} with a convolutional stem"
WIDTHS = {"ti": 48, "s": 96, "b": 144}


def sincos_positions(grid: tuple[int, int], width: int, temperature: float = 10_000.0) -> Tensor:
    """Fixed two-dimensional sine-cosine position embedding.

    Each patch at (row, column) gets [sin(c ω), cos(c ω), sin(r ω), cos(r ω)], ω_i = temperature^(−4i / width).

    Chen, Xie, He (2021); https://github.com/facebookresearch/moco-v3/blob/c349e6e24f40d3fedb22d973f92defa4cedf37a7/vits.py#L53-L69

    Args:
        grid: patches (down, across).
        width: embedding width, a multiple of 4.

    Returns:
        ``(patches, width)``, row by row.

    >>> sincos_positions((1, 1), 4)
    tensor([[0., 1., 0., 1.]])
    """
    if width % 4:
        raise ValueError(f"a 2-D sine-cosine embedding needs a width that 4 divides, got {width}")
    omega = torch.exp(-math.log(temperature) * torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    across, down = column.reshape(-1, 1) * omega, row.reshape(-1, 1) * omega
    return torch.cat([across.sin(), across.cos(), down.sin(), down.cos()], dim=1)


def vit_arguments(size: Literal["ti", "s", "b"] = "s", channels: int = 1, side: int = 28, patch_size: int = 4) -> dict:
    """timm arguments of a ViT for small images: depth 8, 3 heads, width by ``size``."""
    if size not in WIDTHS:
        raise ValueError(f"size is one of {sorted(WIDTHS)}, got {size!r}")
    return dict(img_size=side, patch_size=patch_size, in_chans=channels, embed_dim=WIDTHS[size], depth=8, num_heads=3, num_classes=0, dynamic_img_size=True)


class ConvolutionalStem(PatchEmbed):
    """Patch tokens by 3 × 3 convolutions of stride 2 with normalisation and ReLU, then a 1 × 1 convolution, in place of one projection.

    A patch of side 2ᵏ takes k convolutions whose channels double up to the width. Xiao et al. (2021), *Early Convolutions Help Transformers
    See Better*, section 3. A token sees 2ᵏ − 1 pixels beyond its patch's upper and left edges: who hides a patch must blank its pixels too.
    The normalisation is over the channels of each position, not over the batch, so that blank pixels change nothing elsewhere.

    Args:
        arguments: of timm's PatchEmbed; the patch's side must be a power of 2.
    """

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        channels, width, patch = self.proj.in_channels, self.proj.out_channels, self.patch_size[0]
        steps = patch.bit_length() - 1
        if patch != 2**steps:
            raise ValueError(f"a convolutional stem halves the side again and again, got a patch of {patch} px")
        widths = [channels, *(width // 2**k for k in reversed(range(steps)))]
        layers = [layer for a, b in zip(widths, widths[1:], strict=False) for layer in (nn.Conv2d(a, b, 3, 2, 1, bias=False), LayerNorm2d(b), nn.ReLU())]
        self.proj = nn.Sequential(*layers, nn.Conv2d(width, width, 1))
        self.proj.in_channels = channels


def build_vit(arguments: dict) -> VisionTransformer:
    """A timm ViT with fixed sine-cosine positions (the class token's position is zero).

    Both objectives use the same positions, so that they differ in the objective alone; official SimMIM uses a relative
    position bias instead.
    """
    return fix_positions(timm.create_model(VIT, **arguments))


def fix_positions(vit: VisionTransformer) -> VisionTransformer:
    """The ViT itself, its position embedding now sine-cosine and fixed, zero for prefix tokens."""
    positions = sincos_positions(vit.patch_embed.grid_size, vit.embed_dim)
    vit.pos_embed.requires_grad_(False).zero_()[0, -len(positions) :] = positions
    return vit


def resnet_arguments(channels: int = 1) -> dict:
    """timm arguments of a ResNet with basic blocks for 28 × 28 images: about a million parameters, 160 features."""
    return dict(in_chans=channels, layers=[2, 2, 2, 1], channels=[32, 64, 128, 160], output_stride=16, num_classes=0)


def build_resnet(arguments: dict) -> ResNet:
    """timm's ResNet of basic blocks with a stem for small images: a 3 × 3 convolution of stride 1 before the max-pooling."""
    resnet = timm.create_model("resnet18", **arguments)
    resnet.conv1 = nn.Conv2d(arguments["in_chans"], resnet.conv1.out_channels, 3, padding=1, bias=False)
    return resnet


def build(architecture: str, arguments: dict) -> nn.Module:
    """The untrained model of a card's architecture: one of this repository's, or any timm name."""
    if architecture == SMALL_RESNET:
        return build_resnet(arguments)
    if architecture == STEM_VIT:
        return build_vit(arguments | {"embed_layer": ConvolutionalStem})
    return build_vit(arguments) if architecture == VIT else timm.create_model(architecture, **arguments)
