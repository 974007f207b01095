"""The timm model that given tensors fit: width, depth, patch size and positions are read off their shapes."""

import math

from torch import Tensor

HEAD_WIDTH = 64
BOTTLENECKS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101", (3, 8, 36, 3): "resnet152"}
BASIC_BLOCKS = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"}


def count_blocks(state: dict[str, Tensor], prefix: str) -> int:
    """Number of consecutive blocks ``prefix.0``, ``prefix.1``, …"""
    return len({name.split(".")[1] for name in state if name.startswith(f"{prefix}.")})


def infer(state: dict[str, Tensor], heads: int | None = None) -> tuple[str, dict]:
    """timm name and arguments of the model that tensors under timm's names belong to.

    The number of heads leaves no trace in the shapes (but for relative positions): width / 64 is taken, as in ViT-S, B, L and H. MoCo v3's ViT-S has 12
    heads of 32.

    Args:
        state: tensors under timm's names.
        heads: number of attention heads, where it is not width / 64.

    Returns:
        timm name, keyword arguments.

    Raises:
        ValueError: neither a Vision Transformer nor a ResNet, a ResNet of unknown depth, heads that do not divide the width.
    """
    if "patch_embed.proj.weight" in state:
        return _vit(state, heads)
    if "conv1.weight" in state and "layer1.0.conv1.weight" in state:
        return _resnet(state)
    raise ValueError(f"expected the tensors of a Vision Transformer or a ResNet, got {', '.join(list(state)[:8])}, …: name the architecture with ARCH=")


def _resnet(state: dict[str, Tensor]) -> tuple[str, dict]:
    blocks = tuple(count_blocks(state, f"layer{stage}") for stage in (1, 2, 3, 4))
    known = BOTTLENECKS if "layer1.0.conv3.weight" in state else BASIC_BLOCKS
    if blocks not in known:
        raise ValueError(f"no ResNet known here has {blocks} blocks: name the architecture with ARCH=")
    return known[blocks], dict(in_chans=state["conv1.weight"].shape[1], num_classes=0)


def _vit(state: dict[str, Tensor], heads: int | None) -> tuple[str, dict]:
    width, channels, patch, _ = state["patch_embed.proj.weight"].shape
    relative = state.get("rel_pos_bias.relative_position_bias_table", state.get("blocks.0.attn.relative_position_bias_table"))
    heads = heads or (relative.shape[1] if relative is not None else width // HEAD_WIDTH)
    if not heads or width % heads:
        raise ValueError(f"a width of {width} does not go into {heads} heads: give the number of heads with HEADS=")
    hidden = state["blocks.0.mlp.fc1.weight"].shape[0]
    common = dict(patch_size=patch, in_chans=channels, embed_dim=width, depth=count_blocks(state, "blocks"), num_heads=heads, num_classes=0)
    if hidden != 4 * width:
        common["mlp_ratio"] = hidden / width
    if relative is not None:
        side = (math.isqrt(relative.shape[0] - 3) + 1) // 2  # the table has (2 · side − 1)² + 3 rows
        shared = "rel_pos_bias.relative_position_bias_table" in state
        positions = dict(use_shared_rel_pos_bias=shared, use_rel_pos_bias=not shared, use_abs_pos_emb="pos_embed" in state)
        scale = dict(init_values=0.1 if "blocks.0.gamma_1" in state else None, global_pool="token" if "norm.weight" in state else "avg")
        return "beit_base_patch16_224", common | positions | scale | dict(img_size=side * patch)
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    without_class = registers > 0 or "cls_token" not in state
    side = math.isqrt(state["pos_embed"].shape[1] - (0 if without_class else 1))
    options = dict(img_size=side * patch, dynamic_img_size=True, global_pool="token" if "norm.weight" in state and "cls_token" in state else "avg")
    if registers:
        options |= dict(reg_tokens=registers, no_embed_class=True)
    if "cls_token" not in state:
        options |= dict(class_token=False)
    if "blocks.0.ls1.gamma" in state:
        options |= dict(init_values=1e-5)
    if "blocks.0.attn.qkv.bias" not in state:
        options |= dict(qkv_bias=False)
    return "vit_base_patch16_224", common | options
