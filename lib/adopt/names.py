"""How published files name a network's tensors, and the same tensors under timm's names.

Every way of naming is one row of ``NAMINGS``: a mark that no other has, rules that rewrite names,
and beginnings of what is not the encoder's.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

State = dict[str, Tensor]

# of an encoder's own module, yet not the encoder: classifiers, tokens of masked training
CLASSIFIERS = (
    "head.", "head_dist.", "fc.", "heads.", "classifier.", "cls_classifier.",
    "distillation_classifier.",
)  # fmt: skip
MASKED_TRAINING = ("mask_token", "masked_embed", "lm_head.")
# what timm computes by itself; :func:`lib.adopt.check.computed_buffers` compares it
COMPUTED = re.compile(
    r"relative_position_index$|(^|\.)rope\.freqs_(cos|sin)$|^rope_embed\.periods$|position_ids$"
)


@dataclass(frozen=True)
class Naming:
    """One way of naming.

    Attributes:
        name: for the table in the book.
        mark: pattern of a tensor's name that tells this naming.
        rules: (pattern, replacement) pairs, applied to every name one after the other.
        dropped: beginnings of names, before the rules, that are not the encoder's.
        finish: what rules on names cannot do.
    """

    name: str
    mark: str
    rules: tuple[tuple[str, str | Callable], ...] = ()
    dropped: tuple[str, ...] = ()
    finish: Callable[[State], State] = lambda state: state


def joined(state: State) -> State:
    """``attn.q``, ``attn.k`` and ``attn.v`` as one ``attn.qkv``, a missing bias of keys as
    zeros."""
    result = {}
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if not stem.endswith((".attn.q", ".attn.k", ".attn.v")):
            result[name] = tensor
        elif stem.endswith(".attn.q"):
            parts = [state.get(f"{stem[:-1]}{letter}.{kind}") for letter in "qkv"]
            parts = [
                torch.zeros_like(tensor) if part is None and kind == "bias" else part
                for part in parts
            ]
            if any(part is None for part in parts):
                raise ValueError(f"a query without its key or value: {name}")
            result[f"{stem[:-1]}qkv.{kind}"] = torch.cat(parts)
    return result


def split_biases(state: State) -> State:
    """``attn.qkv.bias`` as ``attn.q_bias`` and ``attn.v_bias``, as BEiT and DINOv3: keys have none.

    Raises:
        ValueError: a bias of keys that is not zero.
    """
    result = {}
    for name, tensor in state.items():
        if name.endswith("attn.qkv.bias"):
            q, k, v = tensor.chunk(3)
            if k.any():
                raise ValueError(
                    f"{name} holds a bias of keys, which this architecture does not have"
                )
            stem = name.removesuffix("qkv.bias")
            result |= {f"{stem}q_bias": q, f"{stem}v_bias": v}
        else:
            result[name] = tensor
    return result


def renamed(state: State, *rules: tuple[str, str | Callable]) -> State:
    """The tensors with each rule applied to each name."""
    result = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        result[name] = tensor
    return result


def finish_vit(state: State) -> State:
    """What the descendants of timm's and DINO's Vision Transformer do each in their own way."""
    masks = {
        name.removesuffix("_mask"): tensor
        for name, tensor in state.items()
        if name.endswith("bias_mask")
    }
    state = {
        name: t * masks[name].nan_to_num() if name in masks else t
        for name, t in state.items()
        if not name.endswith("bias_mask")
    }
    relative = any("relative_position_bias_table" in name for name in state)
    if (
        "pos_embed" not in state and not relative or "blocks.0.attn.q_proj.weight" in state
    ):  # rotary: timm's Eva
        state = renamed(
            split_biases(state),
            (r"\.ls([12])\.gamma$", r".gamma_\1"),
            (r"\.mlp\.w1\.", ".mlp.fc1_g."),
            (r"\.mlp\.w2\.", ".mlp.fc1_x."),
        )
        if "blocks.0.attn.q_proj.weight" in state:
            state = renamed(
                state,
                (r"\.([qv])_bias$", r".\1_proj.bias"),
                (r"\.inner_attn_ln\.", ".norm."),
                (r"\.ffn_ln\.", ".norm."),
            )
    elif relative:
        return split_biases(state)
    else:
        state = renamed(state, (r"\.gamma_([12])$", r".ls\1.gamma"))
    state = renamed(state, (r"\.mlp\.w12\.", ".mlp.fc1."), (r"\.mlp\.w3\.", ".mlp.fc2."))
    positions = state.get("pos_embed")
    if (
        "reg_token" in state
        and positions is not None
        and math.isqrt(positions.shape[1] - 1) ** 2 == positions.shape[1] - 1
    ):
        state["cls_token"] = (
            state["cls_token"] + positions[:, :1]
        )  # DINOv2 adds the class token's position; timm keeps it in the token
        state["pos_embed"] = positions[:, 1:]
    return state


def finish_tower(state: State) -> State:
    """CLIP's and SigLIP's tokens and positions in timm's shapes, SigLIP's pooling by attention
    under timm's names."""
    if "cls_token" in state:
        state["cls_token"] = state["cls_token"].reshape(1, 1, -1)
    state["pos_embed"] = state["pos_embed"].reshape(1, *state["pos_embed"].shape[-2:])
    for kind in ("weight", "bias"):
        if (packed := state.pop(f"attn_pool.attention.in_proj_{kind}", None)) is not None:
            width = packed.shape[0] // 3
            state |= {f"attn_pool.q.{kind}": packed[:width], f"attn_pool.kv.{kind}": packed[width:]}
    return joined(state)


def finish_convnext(state: State) -> State:
    """GRN's scale and shift as vectors."""
    return {name: t.flatten() if ".grn." in name else t for name, t in state.items()}


BLOCK = r"^(?:encoder\.)?layers?\.(\d+)\."
RESNET_STEM = ((r"^0\.", "conv1."), (r"^1\.", "bn1."))
NAMINGS = (
    Naming(
        "transformers, Vision Transformer",
        r"^embeddings\.patch_embeddings\.projection\.weight$",
        (
            (r"^embeddings\.(cls_token|mask_token)$", r"\1"),
            (r"^embeddings\.position_embeddings$", "pos_embed"),
            (r"^embeddings\.distillation_token$", "dist_token"),
            (r"^embeddings\.register_tokens$", "reg_token"),
            (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
            (r"^encoder\.relative_position_bias\.", "rel_pos_bias."),
            (BLOCK, r"blocks.\1."),
            (r"\.attention\.attention\.relative_position_bias\.", ".attn."),
            (r"\.attention\.attention\.([qkv])(uery|ey|alue)\.", r".attn.\1."),
            (r"\.attention\.output\.dense\.", ".attn.proj."),
            (r"\.intermediate\.dense\.", ".mlp.fc1."),
            (r"\.output\.dense\.", ".mlp.fc2."),
            (r"\.layernorm_before\.", ".norm1."),
            (r"\.layernorm_after\.", ".norm2."),
            (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
            (r"\.lambda_([12])$", r".gamma_\1"),
            (r"\.mlp\.weights_in\.", ".mlp.w12."),
            (r"\.mlp\.weights_out\.", ".mlp.w3."),
            (r"^pooler\.layernorm\.", "fc_norm."),
            (r"^layernorm\.", "norm."),
        ),
        ("embeddings.mask_token", "pooler.dense."),
        lambda state: finish_vit(joined(state)),
    ),
    Naming(
        "transformers, ConvNeXt",
        r"^encoder\.stages\.0\.layers\.0\.dwconv\.",
        (
            (r"^embeddings\.patch_embeddings\.", "stem.0."),
            (r"^embeddings\.layernorm\.", "stem.1."),
            (r"^layernorm\.", "head.norm."),
            (r"^encoder\.(stages\.\d+)\.downsampling_layer\.", r"\1.downsample."),
            (r"^encoder\.(stages\.\d+)\.layers\.", r"\1.blocks."),
            (r"\.layernorm\.", ".norm."),
            (r"\.dwconv\.", ".conv_dw."),
            (r"\.pwconv([12])\.", r".mlp.fc\1."),
            (r"\.grn\.", ".mlp.grn."),
            (r"\.layer_scale_parameter$", ".gamma"),
        ),
        (),
        finish_convnext,
    ),
    Naming(
        "transformers, DINOv3",
        r"^embeddings\.patch_embeddings\.weight$",
        (
            (r"^embeddings\.(cls_token|mask_token)$", r"\1"),
            (r"^embeddings\.register_tokens$", "reg_token"),
            (r"^embeddings\.patch_embeddings\.", "patch_embed.proj."),
            (r"^(?:model\.)?layer\.(\d+)\.", r"blocks.\1."),
            (r"\.attention\.([qkv])_proj\.", r".attn.\1."),
            (r"\.attention\.o_proj\.", ".attn.proj."),
            (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
            (r"\.mlp\.down_proj\.", ".mlp.w3."),
        ),
        ("embeddings.mask_token",),
        lambda state: finish_vit(joined(_gated_or_not(state))),
    ),
    Naming(
        "transformers, CLIP and SigLIP",
        r"^embeddings\.patch_embedding\.weight$",
        (
            (r"^embeddings\.class_embedding$", "cls_token"),
            (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
            (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
            (r"^pre_layrnorm\.", "norm_pre."),
            (r"^post_layernorm\.", "norm."),
            (BLOCK, r"blocks.\1."),
            (r"\.layer_norm([12])\.", r".norm\1."),
            (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
            (r"\.self_attn\.out_proj\.", ".attn.proj."),
            (r"^head\.probe$", "attn_pool.latent"),
            (r"^head\.attention\.out_proj\.", "attn_pool.proj."),
            (r"^head\.layernorm\.", "attn_pool.norm."),
            (r"^head\.", "attn_pool."),
        ),
        (),
        finish_tower,
    ),
    Naming(
        "OpenAI CLIP",
        r"^transformer\.resblocks\.",
        (
            (r"^class_embedding$", "cls_token"),
            (r"^positional_embedding$", "pos_embed"),
            (r"^conv1\.", "patch_embed.proj."),
            (r"^ln_pre\.", "norm_pre."),
            (r"^ln_post\.", "norm."),
            (r"^transformer\.resblocks\.(\d+)\.", r"blocks.\1."),
            (r"\.ln_([12])\.", r".norm\1."),
            (r"\.attn\.in_proj_", ".attn.qkv."),
            (r"\.attn\.out_proj\.", ".attn.proj."),
            (r"\.mlp\.c_fc\.", ".mlp.fc1."),
            (r"\.mlp\.c_proj\.", ".mlp.fc2."),
        ),
        ("proj",),
        finish_tower,
    ),
    Naming(
        "torchvision, Vision Transformer",
        r"^conv_proj\.weight$",
        (
            (r"^class_token$", "cls_token"),
            (r"^encoder\.pos_embedding$", "pos_embed"),
            (r"^conv_proj\.", "patch_embed.proj."),
            (r"^encoder\.ln\.", "norm."),
            (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
            (r"\.ln_([12])\.", r".norm\1."),
            (r"\.self_attention\.in_proj_", ".attn.qkv."),
            (r"\.self_attention\.out_proj\.", ".attn.proj."),
            (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
            (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
        ),
        CLASSIFIERS,
    ),
    Naming(
        "mmpretrain, Vision Transformer",
        r"^layers\.0\.ffn\.layers\.0\.0\.weight$",
        (
            (r"^patch_embed\.projection\.", "patch_embed.proj."),
            (r"^layers\.(\d+)\.", r"blocks.\1."),
            (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
            (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
            (r"^(blocks\.\d+\.)ln([12])\.", r"\1norm\2."),
            (r"^ln1\.", "norm."),
        ),
        CLASSIFIERS + MASKED_TRAINING,
        finish_vit,
    ),
    Naming(
        "timm, DINO and their descendants, Vision Transformer",
        r"^blocks\.\d+\.(\d+\.)?norm1\.weight$",
        (
            (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),  # DINOv2's blocks in chunks
            (r"^(register_tokens|storage_tokens)$", "reg_token"),
        ),
        CLASSIFIERS + MASKED_TRAINING + ("local_cls_norm.",),
        finish_vit,
    ),
    Naming(
        "transformers, ResNet",
        r"^embedder\.embedder\.convolution\.weight$",
        (
            (r"^embedder\.embedder\.convolution\.", "conv1."),
            (r"^embedder\.embedder\.normalization\.", "bn1."),
            (r"^encoder\.stages\.(\d)\.layers\.", lambda found: f"layer{int(found[1]) + 1}."),
            (r"\.shortcut\.convolution\.", ".downsample.0."),
            (r"\.shortcut\.normalization\.", ".downsample.1."),
            (r"\.layer\.(\d)\.convolution\.", lambda found: f".conv{int(found[1]) + 1}."),
            (r"\.layer\.(\d)\.normalization\.", lambda found: f".bn{int(found[1]) + 1}."),
        ),
    ),
    Naming("torchvision, ResNet", r"^layer1\.0\.conv1\.weight$", (), ("fc.",)),
    Naming(
        "torchvision, ResNet without its classifier, numbered",
        r"^4\.0\.conv1\.weight$",
        (*RESNET_STEM, (r"^([4-7])\.", lambda found: f"layer{int(found[1]) - 3}.")),
    ),
    Naming(
        "ConvNeXt",
        r"^downsample_layers\.0\.0\.weight$",
        (
            (r"^downsample_layers\.0\.", "stem."),
            (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
            (r"^(stages\.\d+)\.(\d+)\.", r"\1.blocks.\2."),
            (r"\.dwconv\.", ".conv_dw."),
            (r"\.pwconv([12])\.", r".mlp.fc\1."),
            (r"\.grn\.gamma$", ".mlp.grn.weight"),
            (r"\.grn\.beta$", ".mlp.grn.bias"),
            (r"^norm\.", "head.norm."),
        ),
        ("head.",),
        finish_convnext,
    ),
    Naming("timm, ConvNeXt", r"^stages\.0\.blocks\.0\.conv_dw\.weight$", (), ("head.fc.",)),
)  # fmt: skip
ANY = Naming("as ARCH= names them", "", (), CLASSIFIERS)


def _gated_or_not(state: State) -> State:
    """DINOv3's feed-forward layers: a gate, an up and a down projection, or two layers without a
    gate."""
    if "blocks.0.mlp.gate_proj.weight" in state:
        return renamed(
            state, (r"\.mlp\.gate_proj\.", ".mlp.w1."), (r"\.mlp\.up_proj\.", ".mlp.w2.")
        )
    return renamed(state, (r"\.mlp\.up_proj\.", ".mlp.fc1."), (r"\.mlp\.w3\.", ".mlp.fc2."))


def naming_of(names: list[str]) -> Naming | None:
    """The naming that these names show; None where they show none."""
    return next(
        (naming for naming in NAMINGS if any(re.search(naming.mark, name) for name in names)), None
    )


def is_dropped(naming: Naming, name: str) -> bool:
    """Whether a tensor of the encoder's own module is a classifier, or a token of masked training.

    ConvNeXt's and Swin's ``head.norm`` is the encoder's: it lies between average and classifier.
    """
    return (
        name.startswith(naming.dropped) and not name.startswith("head.norm.")
        if naming.dropped
        else False
    )


def timm_names(naming: Naming, state: State) -> tuple[State, State]:
    """The tensors under timm's names, and apart from them those that timm computes by itself."""
    computed = {name: tensor for name, tensor in state.items() if COMPUTED.search(name)}
    kept = {
        name: tensor
        for name, tensor in state.items()
        if name not in computed and not is_dropped(naming, name)
    }
    return naming.finish(renamed(kept, *naming.rules)), computed
