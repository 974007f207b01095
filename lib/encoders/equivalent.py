"""Another network that computes the same function."""

import copy

import torch
from timm.layers.mlp import GlobalResponseNormMlp, GluMlp, Mlp, SwiGLU
from timm.models.resnet import BasicBlock, Bottleneck
from timm.models.vision_transformer import Attention
from torch import Generator, Tensor, nn

from lib.encoders.encoder import Encoder


def _permute_mlp(mlp: nn.Module, generator: Generator) -> None:
    order = torch.randperm(mlp.fc2.weight.shape[1], generator=generator)
    # values and gates lie in one layer
    rows = torch.cat([order, order + len(order)]) if isinstance(mlp, GluMlp) else order
    # over hidden units, with a scale and a shift of each
    norm = mlp.grn if isinstance(mlp, GlobalResponseNormMlp) else mlp.norm
    for name, new in {"fc1": rows, "fc1_g": order, "fc1_x": order}.items():
        _reorder(getattr(mlp, name, None), new)
    _reorder(norm, order)
    mlp.fc2.weight = nn.Parameter(mlp.fc2.weight[:, order])


def _reorder(layer: nn.Module | None, order: Tensor) -> None:
    """Output units in another order; nothing for what has no weights."""
    for name in ("weight", "bias"):
        if getattr(layer, name, None) is not None:
            setattr(layer, name, nn.Parameter(getattr(layer, name)[order]))


def _rescale_queries(attention: Attention) -> None:
    """Queries twice, keys half as long: powers of two, exact in floating point."""
    width = attention.qkv.out_features // 3
    scale = torch.cat([torch.full((width,), s) for s in (2.0, 0.5, 1.0)]).to(attention.qkv.weight)
    attention.qkv.weight = nn.Parameter(attention.qkv.weight * scale[:, None])
    if attention.qkv.bias is not None:
        attention.qkv.bias = nn.Parameter(attention.qkv.bias * scale)


def _permute_block(block: BasicBlock | Bottleneck, generator: Generator) -> None:
    order = torch.randperm(block.conv1.out_channels, generator=generator)
    _reorder(block.conv1, order)
    block.conv2.weight = nn.Parameter(block.conv2.weight[:, order])
    for name, tensor in {
        **dict(block.bn1.named_parameters()),
        **dict(block.bn1.named_buffers()),
    }.items():
        if tensor.ndim:
            tensor.data = tensor.data[order]


@torch.no_grad()
def equivalent(encoder: Encoder, seed: int = 0) -> Encoder:
    """The same function from other weights: hidden units permuted, queries and keys rescaled
    against each other.

    Args:
        encoder: of a timm ViT, ResNet, ConvNeXt or Swin; it stays as it is.
        seed: of the permutations.

    Returns:
        an encoder whose representations are equal up to rounding.

    Raises:
        TypeError: a model without such blocks.
    """
    model, generator = copy.deepcopy(encoder.model), Generator().manual_seed(seed)
    changed = 0
    for module in model.modules():
        if isinstance(module, Mlp | GluMlp | SwiGLU | GlobalResponseNormMlp):
            _permute_mlp(module, generator)
        elif isinstance(module, Attention):
            _rescale_queries(module)
        elif isinstance(module, BasicBlock | Bottleneck):
            _permute_block(module, generator)
        else:
            continue
        changed += 1
    if not changed:
        raise TypeError(
            f"expected a timm ViT, ResNet, ConvNeXt or Swin, got {type(model).__name__}"
        )
    return encoder.holding(model)
