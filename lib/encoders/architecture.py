"""The small encoders that this repository trains, as timm models."""

import math
from typing import Literal

import timm
import torch
from timm.layers import LayerNorm2d, PatchEmbed
from timm.models.resnet import Bottleneck, ResNet, make_blocks
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

VIT, SMALL_RESNET = "vit_tiny_patch16_224", "resnet18 with a small stem"
STEM_VIT = f"{VIT} with a convolutional stem"
WIDTHS = {"ti": 48, "s": 96, "b": 144}


def sincos_positions(grid: tuple[int, int], width: int, temperature: float = 10_000.0) -> Tensor:
    """Fixed two-dimensional sine-cosine position embedding.

    Each patch at (row, column) gets [sin(c ω), cos(c ω), sin(r ω), cos(r ω)], ω_i =
    temperature^(−4i / width).

    Chen, Xie, He (2021);
    https://github.com/facebookresearch/moco-v3/blob/c349e6e24f40d3fedb22d973f92defa4cedf37a7/vits.py#L53-L69

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
    frequency = torch.arange(width // 4).double() / (width // 4)
    omega = torch.exp(-math.log(temperature) * frequency)
    row, column = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    across, down = column.reshape(-1, 1) * omega, row.reshape(-1, 1) * omega
    found = torch.cat([across.sin(), across.cos(), down.sin(), down.cos()], dim=1)
    return found.round(decimals=6).float()  # below that, processors differ


def vit_arguments(
    size: Literal["ti", "s", "b"] = "s", channels: int = 1, side: int = 28, patch_size: int = 4
) -> dict:
    """timm arguments of a ViT for small images: depth 8, 3 heads, width by ``size``."""
    if size not in WIDTHS:
        raise ValueError(f"size is one of {sorted(WIDTHS)}, got {size!r}")
    return dict(
        img_size=side,
        patch_size=patch_size,
        in_chans=channels,
        embed_dim=WIDTHS[size],
        depth=8,
        num_heads=3,
        num_classes=0,
        dynamic_img_size=True,
    )


class ConvolutionalStem(PatchEmbed):
    """Patch tokens by 3 × 3 convolutions of stride 2 with normalisation and ReLU, then a 1 × 1
    convolution, in place of one projection.

    A patch of side 2ᵏ takes k convolutions whose channels double up to the width. Xiao et al.
    (2021), *Early Convolutions Help Transformers See Better*, section 3. A token sees 2ᵏ − 1 pixels
    beyond its patch's upper and left edges: who hides a patch must blank its pixels too. The
    normalisation is over the channels of each position, not over the batch, so that blank pixels
    change nothing elsewhere.

    Args:
        arguments: of timm's PatchEmbed; the patch's side must be a power of 2.
    """

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        channels, width, patch = self.proj.in_channels, self.proj.out_channels, self.patch_size[0]
        steps = patch.bit_length() - 1
        if patch != 2**steps:
            raise ValueError(
                f"a convolutional stem halves the side again and again, got a patch of {patch} px"
            )
        widths = [channels, *(width // 2**k for k in reversed(range(steps)))]
        layers = [
            layer
            for a, b in zip(widths, widths[1:], strict=False)
            for layer in (nn.Conv2d(a, b, 3, 2, 1, bias=False), LayerNorm2d(b), nn.ReLU())
        ]
        self.proj = nn.Sequential(*layers, nn.Conv2d(width, width, 1))
        self.proj.in_channels = channels


def build_vit(arguments: dict) -> VisionTransformer:
    """A timm ViT with fixed sine-cosine positions (the class token's position is zero).

    Both objectives use the same positions, so that they differ in the objective alone; official
    SimMIM uses a relative position bias instead.
    """
    return fix_positions(timm.create_model(VIT, **arguments))


def fix_positions(vit: VisionTransformer) -> VisionTransformer:
    """The ViT itself, its position embedding now sine-cosine and fixed, zero for prefix tokens."""
    positions = sincos_positions(vit.patch_embed.grid_size, vit.embed_dim)
    vit.pos_embed.requires_grad_(False).zero_()[0, -len(positions) :] = positions
    return vit


def resnet_arguments(channels: int = 1) -> dict:
    """timm arguments of a ResNet with basic blocks for 28 × 28 images: about a million parameters,
    160 features."""
    return dict(
        in_chans=channels,
        layers=[2, 2, 2, 1],
        channels=[32, 64, 128, 160],
        output_stride=16,
        num_classes=0,
    )


def build_resnet(arguments: dict) -> ResNet:
    """timm's ResNet of basic blocks with a stem for small images: a 3 × 3 convolution of stride 1
    before the max-pooling."""
    resnet = timm.create_model("resnet18", **arguments)
    resnet.conv1 = nn.Conv2d(
        arguments["in_chans"], resnet.conv1.out_channels, 3, padding=1, bias=False
    )
    return resnet


def with_stem(
    resnet: ResNet, width: int, kernel: int, stride: int, padding: int, pool: bool
) -> ResNet:
    """The ResNet itself with another first convolution, and a first stage that takes its width.

    Args:
        resnet: timm model.
        width, kernel, stride, padding: of the first convolution.
        pool: whether max-pooling follows.
    """
    resnet.conv1 = nn.Conv2d(resnet.conv1.in_channels, width, kernel, stride, padding, bias=False)
    resnet.bn1 = nn.BatchNorm2d(width)
    if not pool:
        resnet.maxpool = nn.Identity()
    first = resnet.layer1[0]
    block, planes = type(first), resnet.layer1[-1].bn2.num_features
    options = {}
    if block is Bottleneck:
        groups = first.conv2.groups
        planes = first.conv3.out_channels // block.expansion
        base = first.conv2.out_channels * 64 // (groups * planes)
        options = dict(cardinality=groups, base_width=base)
    ((_, stage),), _ = make_blocks((block,), (planes,), (2,), width, **options)
    resnet.layer1[0] = stage[0]
    return resnet


def build(architecture: str, arguments: dict) -> nn.Module:
    """The untrained model of a card's architecture: one of this repository's, or any timm name.

    Args:
        architecture: name.
        arguments: of timm; for a ResNet also ``stem``, the arguments of :func:`with_stem`.

    Raises:
        ValueError: a name that timm does not have, arguments that it does not take.
    """
    if architecture not in (SMALL_RESNET, STEM_VIT) and not timm.is_model(architecture):
        raise ValueError(
            f"timm has no model {architecture!r}; a card names an architecture, and nothing is"
            " fetched"
        )
    stem = arguments.get("stem")
    own = {name: value for name, value in arguments.items() if name != "stem"}
    try:
        if architecture == SMALL_RESNET:
            return build_resnet(own)
        if architecture == STEM_VIT:
            return build_vit(own | {"embed_layer": ConvolutionalStem})
        model = build_vit(own) if architecture == VIT else timm.create_model(architecture, **own)
        return with_stem(model, **stem) if stem else model
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
    ) as error:
        raise ValueError(f"{architecture} cannot be built with {arguments}: {error}") from error
