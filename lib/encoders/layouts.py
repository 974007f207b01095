"""Published files name their tensors in many ways: recognise the layout, keep the encoder's tensors under timm's names.

Every layout is one row of ``LAYOUTS``. Tensors outside a layout's named list of heads, projectors and decoders are never dropped in silence.
"""

import math
import re
from dataclasses import dataclass

from torch import Tensor

State = dict[str, Tensor]
HEADS = ("head.", "fc.", "mask_token", "masked_embed")  # of the encoder's own module: classifiers, projectors, tokens of masked training
HEAD_NORM = "head.norm."  # ConvNeXt's, between the feature map's average and the classifier


@dataclass(frozen=True)
class Layout:
    """One way of naming.

    Attributes:
        name: shown to the user, and kept as the encoder's method where no other is given.
        family: ``"CL"``, ``"MIM"`` or ``"other"``.
        container: entry of the file that holds the tensors; ``""`` where they lie at the top.
        prefix: of the encoder's tensors.
        marks: patterns of which each must match a tensor's name, beside the prefix, for the layout to be recognised.
        absent: patterns that no name may match: a classifier tells a supervised model from a pre-trained one.
        dropped: beginnings of names (before the prefix is taken off) that are not the encoder's: the other branch, heads, decoders.
    """

    name: str
    family: str
    container: str
    prefix: str
    marks: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


# the first that fits is taken: the most telling come first
LAYOUTS = (
    Layout("MoCo v3", "CL", "state_dict", "module.base_encoder.", (r"^module\.momentum_encoder\.",), ("module.momentum_encoder.", "module.predictor.")),
    Layout("SimSiam", "CL", "state_dict", "module.encoder.", (r"^module\.predictor\.",), ("module.predictor.",)),
    Layout("SwAV", "CL", "", "module.", (r"^module\.prototypes", r"^module\.conv1\."), ("module.prototypes", "module.projection_head")),
    Layout("BYOL", "CL", "state_dict", "online_network.encoder.", (), ("online_network.", "target_network.", "predictor.")),
    Layout("BYOL", "CL", "", "online_network.encoder.", (), ("online_network.", "target_network.", "predictor.")),
    Layout("SimMIM", "MIM", "model", "encoder.", (r"^encoder\.mask_token$", r"^decoder\."), ("decoder.",)),
    Layout("MAE", "MIM", "model", "", (r"^decoder_blocks\.",), ("decoder_",)),
    Layout("BEiT", "MIM", "model", "", (r"^lm_head\.", r"^mask_token$"), ("lm_head.",)),
    Layout("iBOT", "other", "teacher", "backbone.", (r"^backbone\.masked_embed",), ("head.",)),
    Layout("DINO", "CL", "teacher", "backbone.", (), ("head.",)),
    Layout("DINO", "CL", "teacher", "module.backbone.", (), ("module.head.",)),
    Layout("DINO", "CL", "student", "module.backbone.", (), ("module.head.",)),
    Layout("DINOv2", "other", "", "", (r"^register_tokens$",), ()),
    Layout("Barlow Twins", "CL", "model", "module.backbone.", (r"^module\.bn\.",), ("module.projector.", "module.bn.")),
    Layout("VICReg", "CL", "model", "module.backbone.", (), ("module.projector.",)),
    Layout("backbone", "other", "state_dict", "backbone.", (), ("neck.", "head.", "target_net.", "projector.", "predictor.")),
    Layout("backbone", "other", "", "backbone.", (), ("neck.", "head.", "projector.", "predictor.")),
    Layout("encoder of a wrapper", "other", "state_dict", "module.encoder.", (), ("module.",)),
    Layout("MAE", "MIM", "model", "", (r"^blocks\.0\.attn\.qkv\.bias$",), (), (r"^head\.",)),
    Layout("plain", "other", "state_dict", "", (), ()),
    Layout("plain", "other", "model", "", (), ()),
    Layout("plain", "other", "", "", (), ()),
)
IS_ENCODER = re.compile(r"^(patch_embed\.proj|conv1|stem\.|layer1\.|blocks\.)")


def tensors_of(content: object) -> State:
    """The entries of a mapping that are tensors."""
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, dict) else {}


def recognise(content: dict) -> tuple[Layout, State]:
    """The layout of a loaded file, and the encoder's tensors, prefix taken off and heads left out.

    Args:
        content: what the file holds: tensors, or a mapping with a mapping of tensors inside.

    Raises:
        ValueError: no known layout; the message shows the file's first names.
    """
    for layout in LAYOUTS:
        tensors = tensors_of(content.get(layout.container) if layout.container else content)
        found = lambda pattern, names=tensors: any(re.search(pattern, name) for name in names)  # noqa: E731
        marked = all(found(mark) for mark in layout.marks) and not any(found(mark) for mark in layout.absent)
        inside = {name.removeprefix(layout.prefix): t for name, t in tensors.items() if name.startswith(layout.prefix)}
        if marked and any(IS_ENCODER.match(name) for name in inside):
            return layout, encoder_tensors(layout, tensors)
    shown = [f"{key}.{name}" if inner else str(key) for key, value in content.items() for inner in [tensors_of(value)] for name in list(inner)[:3] or [""]]
    raise ValueError(f"no layout known here fits a file that holds {', '.join(shown[:8])}, …; known: {', '.join(dict.fromkeys(la.name for la in LAYOUTS))}")


def encoder_tensors(layout: Layout, tensors: State) -> State:
    """The encoder's tensors of a layout, by names without its prefix.

    Raises:
        ValueError: tensors that are neither the encoder's nor in a named list.
    """
    kept, unknown = {}, []
    for name, tensor in tensors.items():
        if name.startswith(layout.prefix) and not (layout.dropped and name.startswith(layout.dropped) and not _longer(layout, name)):
            inner = name.removeprefix(layout.prefix)
            if not inner.startswith(HEADS) or inner.startswith(HEAD_NORM):
                kept[inner] = tensor
        elif not name.startswith(layout.dropped):
            unknown.append(name)
    if unknown:
        raise ValueError(f"a {layout.name} file with tensors that are neither the encoder's nor a known head: {', '.join(unknown[:8])}")
    return kept


def _longer(layout: Layout, name: str) -> bool:
    """Whether the encoder's prefix says more of a name than what would drop it: ``online_network.encoder.`` against ``online_network.``."""
    return len(layout.prefix) > max(len(d) for d in layout.dropped if name.startswith(d))


def timm_names(state: State) -> State:
    """The tensors under the names that timm's models have.

    Layer scale and relative positions of BEiT and SimMIM already have timm's names; index buffers are computed by timm and left out. DINOv2's
    positions of class and registers are added to the tokens, where timm keeps them.
    """
    renamed = {}
    for name, tensor in state.items():
        if name.endswith("relative_position_index"):
            continue
        renamed[name.replace("register_tokens", "reg_token")] = tensor
    positions = renamed.get("pos_embed")
    if "reg_token" in renamed and math.isqrt(positions.shape[1] - 1) ** 2 == positions.shape[1] - 1:  # a square and the class token's
        renamed["cls_token"] = renamed["cls_token"] + positions[:, :1]
        renamed["pos_embed"] = positions[:, 1:]
    return renamed
