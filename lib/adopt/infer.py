"""The timm model that given tensors fit: widths, depths, patches and positions are read off their
shapes. What shapes do not tell (attention heads, the activation) comes from the caller."""

import math
from dataclasses import dataclass

from torch import Tensor

from lib.adopt.names import State

BOTTLENECKS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101", (3, 8, 36, 3): "resnet152"}
BASIC_BLOCKS = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"}
EVA_02_GRID = 16  # patches a side of EVA-02's pre-training, to which its rotary positions refer
STEMS = ("cifar", "pooled")


@dataclass(frozen=True)
class Told:
    """What is known of an architecture beside its tensors.

    Attributes:
        heads: attention heads; None for a convolutional network.
        activation: timm's name of it, where it is not the family's usual one.
        stem: of a ResNet whose first convolution is 3 × 3: ``"cifar"`` without max-pooling,
            ``"pooled"`` with it.
        padding: of that convolution.
        origin: grid that rotary positions refer to.
    """

    heads: int | None = None
    activation: str | None = None
    stem: str | None = None
    padding: int = 1
    origin: int = EVA_02_GRID


def need(state: State, name: str) -> Tensor:
    """A tensor.

    Raises:
        ValueError: it is not there.
    """
    if name not in state:
        raise ValueError(
            f"the encoder has no tensor {name}: the file is incomplete, or ARCH= names another"
            " architecture"
        )
    return state[name]


def count_blocks(state: State, prefix: str) -> int:
    """Number of blocks ``prefix.0``, ``prefix.1``, …

    Raises:
        ValueError: none, or one in between is missing.
    """
    pieces = {
        name.removeprefix(f"{prefix}.").split(".")[0]
        for name in state
        if name.startswith(f"{prefix}.")
    }
    numbers = sorted(int(piece) for piece in pieces if piece.isdigit())
    if not numbers or numbers != list(range(len(numbers))):
        raise ValueError(
            f"expected blocks {prefix}.0, {prefix}.1, …, got the numbers {numbers[:20]}"
        )
    return len(numbers)


def relative_heads(state: State) -> int | None:
    """Attention heads that a table of relative positions tells."""
    return next(
        (
            tensor.shape[-1]
            for name, tensor in state.items()
            if name.endswith("relative_position_bias_table")
        ),
        None,
    )


def is_transformer(state: State) -> bool:
    """Whether these are the tensors of a Vision Transformer, whose heads have to be known."""
    return "patch_embed.proj.weight" in state


def width_of(state: State) -> int:
    """Embedding width of a Vision Transformer."""
    return state["patch_embed.proj.weight"].shape[0]


def infer(state: State, told: Told) -> tuple[str, dict]:
    """timm name and arguments of the model that tensors under timm's names belong to.

    Args:
        state: tensors under timm's names.
        told: what the shapes do not tell.

    Returns:
        timm name, keyword arguments (``stem`` beside timm's own: see
        :func:`lib.encoders.architecture.build`).

    Raises:
        ValueError: no architecture known here; tensors that are missing or of impossible shapes.
    """
    if is_transformer(state):
        return _transformer(state, told)
    if "conv1.weight" in state and "layer1.0.conv1.weight" in state:
        return _resnet(state, told)
    if "stages.0.blocks.0.conv_dw.weight" in state:
        return _convnext(state)
    raise ValueError(
        "expected the tensors of a Vision Transformer, a ResNet or a ConvNeXt, got"
        f" {', '.join(list(state)[:8])}, …: name the architecture with ARCH="
    )


def _ratio(hidden: int, width: int) -> float:
    """``mlp_ratio`` with int(width · ratio) = hidden."""
    return hidden / width if int(width * (hidden / width)) == hidden else (hidden + 0.5) / width


def _resnet(state: State, told: Told) -> tuple[str, dict]:
    blocks = tuple(count_blocks(state, f"layer{stage}") for stage in (1, 2, 3, 4))
    deep = "layer1.0.conv3.weight" in state
    known, last = (BOTTLENECKS, "conv3") if deep else (BASIC_BLOCKS, "conv2")
    name = known.get(blocks, "resnet50" if deep else "resnet18")
    outputs = [need(state, f"layer{stage}.0.{last}.weight").shape[0] for stage in (1, 2, 3, 4)]
    channels = tuple(out // (4 if deep else 1) for out in outputs)
    arguments = dict(in_chans=need(state, "conv1.weight").shape[1], num_classes=0)
    if blocks not in known:
        arguments["layers"] = list(blocks)
    if channels != (64, 128, 256, 512):
        arguments["channels"] = list(channels)
    if deep:
        inner = need(state, "layer1.0.conv2.weight")
        groups = inner.shape[0] // max(inner.shape[1], 1)
        base = inner.shape[0] * 64 // (max(groups, 1) * max(channels[0], 1))
        arguments |= dict(cardinality=groups) if groups != 1 else {}
        arguments |= dict(base_width=base) if base != 64 else {}
    stem, kernel = state["conv1.weight"].shape[0], state["conv1.weight"].shape[-1]
    if kernel == 3:
        if told.stem not in STEMS:
            raise ValueError(
                "the first convolution is 3 × 3, and the file does not say whether max-pooling"
                " follows it: give STEM=cifar (none, as in SimCLR's networks for CIFAR) or"
                " STEM=pooled"
            )
        arguments["stem"] = dict(
            width=stem, kernel=3, stride=1, padding=told.padding, pool=told.stem == "pooled"
        )
    elif kernel != 7:
        raise ValueError(
            f"expected a first convolution of 7 × 7 or 3 × 3, got {kernel} × {kernel}: name the"
            " architecture with ARCH="
        )
    elif stem != 64:
        arguments["stem"] = dict(width=stem, kernel=7, stride=2, padding=3, pool=True)
    return name, arguments


def _convnext(state: State) -> tuple[str, dict]:
    stages = range(count_blocks(state, "stages"))
    second = "stages.0.blocks.0.mlp.grn.weight" in state
    kernel = need(state, "stem.0.weight")
    arguments = dict(
        depths=[count_blocks(state, f"stages.{stage}.blocks") for stage in stages],
        dims=[need(state, f"stages.{stage}.blocks.0.conv_dw.weight").shape[0] for stage in stages],
        in_chans=kernel.shape[1],
        patch_size=kernel.shape[-1],
        conv_mlp=need(state, "stages.0.blocks.0.mlp.fc1.weight").ndim == 4,
        num_classes=0,
    )
    if not second and "stages.0.blocks.0.gamma" not in state:
        arguments["ls_init_value"] = None
    return ("convnextv2_tiny" if second else "convnext_tiny"), arguments


def _transformer(state: State, told: Told) -> tuple[str, dict]:
    patch = state["patch_embed.proj.weight"]
    if patch.ndim != 4 or 0 in patch.shape or patch.shape[2] != patch.shape[3]:
        raise ValueError(
            "expected patch_embed.proj.weight (width, channels, side, side), got shape"
            f" {tuple(patch.shape)}"
        )
    width, channels, side, _ = patch.shape
    if not told.heads or told.heads < 1 or width % told.heads:
        raise ValueError(
            f"a width of {width} does not go into {told.heads} heads: give the number of heads with"
            " HEADS="
        )
    common = dict(
        patch_size=side,
        in_chans=channels,
        embed_dim=width,
        depth=count_blocks(state, "blocks"),
        num_heads=told.heads,
        num_classes=0,
    )
    if told.activation:
        common["act_layer"] = told.activation
    if relative_heads(state):
        return _beit(state, common)
    if "pos_embed" not in state or any(
        name in state for name in ("blocks.0.attn.q_proj.weight", "blocks.0.attn.q_bias")
    ):
        return _rotary(state, common, told)
    return _vit(state, common)


def _mlp(state: State, width: int) -> dict:
    hidden = need(state, "blocks.0.mlp.fc1.weight").shape[0]
    return dict(mlp_ratio=_ratio(hidden, width)) if hidden != 4 * width else {}


def _side(positions: int, patch: int) -> dict:
    side = math.isqrt(positions)
    if side**2 != positions:
        raise ValueError(
            f"expected the positions of a square grid of patches, got {positions}: name the"
            " architecture with ARCH="
        )
    return dict(img_size=side * patch)


def _beit(state: State, common: dict) -> tuple[str, dict]:
    shared = "rel_pos_bias.relative_position_bias_table" in state
    table = (
        state["rel_pos_bias.relative_position_bias_table"]
        if shared
        else need(state, "blocks.0.attn.relative_position_bias_table")
    )
    side = (
        math.isqrt(max(table.shape[0] - 3, 0)) + 1
    ) // 2  # the table has (2 · side − 1)² + 3 rows
    return "beit_base_patch16_224", common | _mlp(state, common["embed_dim"]) | dict(
        use_shared_rel_pos_bias=shared,
        use_rel_pos_bias=not shared,
        use_abs_pos_emb="pos_embed" in state,
        init_values=0.1 if "blocks.0.gamma_1" in state else None,
        global_pool="avg" if "fc_norm.weight" in state else "token",
        img_size=side * common["patch_size"],
    )  # fmt: skip


def _rotary(state: State, common: dict, told: Told) -> tuple[str, dict]:
    width, bias = (
        common["embed_dim"],
        "blocks.0.attn.q_bias" in state or "blocks.0.attn.q_proj.bias" in state,
    )
    gate = state.get("blocks.0.mlp.fc1_g.weight")
    pooled = dict(global_pool="avg" if "fc_norm.weight" in state else "token")
    if "pos_embed" not in state:
        registers = state["reg_token"].shape[1] if "reg_token" in state else 0
        options = dict(num_reg_tokens=registers, qkv_bias=bias, img_size=14 * common["patch_size"])
        options |= dict(swiglu_mlp=True, swiglu_align_to=8) if gate is not None else {}
        hidden = (
            gate.shape[0] if gate is not None else need(state, "blocks.0.mlp.fc1.weight").shape[0]
        )
        if "blocks.0.gamma_1" not in state:
            options["init_values"] = None
        return "vit_base_patch16_dinov3", common | pooled | options | dict(
            mlp_ratio=_ratio(hidden, width)
        )
    options = _side(need(state, "pos_embed").shape[1] - 1, common["patch_size"]) | dict(
        ref_feat_shape=[told.origin] * 2, qkv_bias=bias
    )
    if gate is not None:
        return "eva02_base_patch14_224", common | pooled | options | dict(
            mlp_ratio=_ratio(gate.shape[0], width),
            qkv_fused="blocks.0.attn.qkv.weight" in state,
            scale_mlp="blocks.0.mlp.norm.weight" in state,
            scale_attn_inner="blocks.0.attn.norm.weight" in state,
        )  # fmt: skip
    hidden = need(state, "blocks.0.mlp.fc2.weight").shape[1]
    return "eva02_small_patch14_224", common | pooled | options | dict(
        mlp_ratio=_ratio(hidden, width)
    )


def _vit(state: State, common: dict) -> tuple[str, dict]:
    width = common["embed_dim"]
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    own, with_class, distilled = "norm.weight" in state, "cls_token" in state, "dist_token" in state
    positions = state["pos_embed"].shape[1]
    without = (
        registers or not with_class or math.isqrt(positions) ** 2 == positions and positions > 1
    )
    options = (
        common
        | _mlp(state, width)
        | _side(positions - (0 if without else 1 + distilled), common["patch_size"])
    )
    if distilled:
        return "deit_base_distilled_patch16_224", options
    pool = "map" if "attn_pool.latent" in state else "token" if with_class and own else "avg"
    options |= dict(dynamic_img_size=True, global_pool=pool)
    if pool == "avg" and own:
        options["fc_norm"] = False
    if registers:
        options["reg_tokens"] = registers
    if with_class and without:
        options["no_embed_class"] = True
    if not with_class:
        options["class_token"] = False
    if "blocks.0.ls1.gamma" in state:
        options["init_values"] = 1e-5
    if "blocks.0.attn.qkv.bias" not in state:
        options["qkv_bias"] = False
    if "norm_pre.weight" in state:
        return "vit_base_patch16_clip_224", options
    if (
        need(state, "blocks.0.mlp.fc1.weight").shape[0]
        == 2 * need(state, "blocks.0.mlp.fc2.weight").shape[1]
    ):
        return "vit_giant_patch14_dinov2", options  # gated: the first layer holds the gate, too
    return "vit_base_patch16_224", options
