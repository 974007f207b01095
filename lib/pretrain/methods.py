"""What can be trained: objectives by name, with the settings that go with them, and encoders."""

from dataclasses import dataclass, field

from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lib.encoders.architecture import (
    SMALL_RESNET,
    STEM_VIT,
    VIT,
    build,
    fix_positions,
    resnet_arguments,
    vit_arguments,
)
from lib.pretrain.byol import BYOL
from lib.pretrain.dino import DINO
from lib.pretrain.hybrid import Hybrid
from lib.pretrain.mae import MAE
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.simclr import SimCLR
from lib.pretrain.simmim import SimMIM
from lib.pretrain.simsiam import SimSiam
from lib.pretrain.supervised import Supervised

RESNET, PROJECTION = "r", "projection"
STEMS = {PROJECTION: VIT, "convolutional": STEM_VIT}


@dataclass(frozen=True)
class Method:
    """How this repository trains with an objective.

    Attributes:
        title: published name.
        objective: called with the encoder and ``features``.
        pooling: of a ViT's representation; a ResNet's is the global average.
        extras: modules that are kept in the checkpoint besides the encoder.
        weight_decay, images: of the recipe, unless the command line says otherwise.
        needs_vit: works on patch tokens.
        heads: the paper's heads and decoders, for a folder of images; those of the objectives are
            scaled down to small images.
    """

    title: str
    objective: type[nn.Module]
    pooling: str = "class_token"
    extras: list[str] = field(default_factory=list)
    weight_decay: float = 0.05
    images: int = 360_000
    needs_vit: bool = False
    heads: dict[str, float] = field(default_factory=dict)


MOCO_HEADS = {"hidden": 4096, "outputs": 256}
METHODS = {
    "moco-v3": Method("MoCo v3", MoCoV3, weight_decay=0.1, heads=MOCO_HEADS),
    "simmim": Method(
        "SimMIM", SimMIM, "patch_mean", ["decoder", "mask_token"], images=960_000, needs_vit=True
    ),
    "mae": Method(
        "MAE",
        MAE,
        "patch_mean",
        ["decoder"],
        images=960_000,
        needs_vit=True,
        heads={"width": 512, "depth": 8, "heads": 16},
    ),
    "hybrid": Method("SimMIM + MoCo v3", Hybrid, "patch_mean", needs_vit=True, heads=MOCO_HEADS),
    "dino": Method(
        "DINO",
        DINO,
        heads={
            "hidden": 2048,
            "bottleneck": 256,
            "prototypes": 65536,
            "momentum": 0.996,
            "batch_norm": False,
        },
    ),
    "simclr": Method("SimCLR", SimCLR, heads={"hidden": 2048, "outputs": 128}),
    "byol": Method("BYOL", BYOL, heads={"hidden": 4096, "outputs": 256, "momentum": 0.996}),
    "simsiam": Method("SimSiam", SimSiam, heads={"hidden": 2048}),
    "supervised": Method("supervised", Supervised, images=600_000),
}


def small_encoder(
    size: str, photographs: bool = False, stem: str = PROJECTION
) -> tuple[nn.Module, str, dict]:
    """A small encoder of this repository, with its architecture and arguments.

    Args:
        size: a width of :data:`WIDTHS`, or ``"r"`` for the ResNet.
        photographs: for colour images of 64 px instead of grey ones of 28 px: patches of 8 px, 8 ×
            8 instead of 7 × 7 of them; a ResNet has its usual stem.
        stem: of a ViT, one of :data:`STEMS`.
    """
    channels = 3 if photographs else 1
    if size == RESNET:
        architecture, model_arguments = (
            "resnet18" if photographs else SMALL_RESNET,
            resnet_arguments(channels),
        )
    else:
        side, patch_size = (64, 8) if photographs else (28, 4)
        architecture, model_arguments = STEMS[stem], vit_arguments(size, channels, side, patch_size)
    return build(architecture, model_arguments), architecture, model_arguments


def timm_encoder(name: str, needs_vit: bool) -> tuple[nn.Module, str, dict]:
    """An encoder of timm for colour images, with its architecture and arguments; a ViT gets the
    same fixed positions as the small ones.

    Raises:
        SystemExit: neither a Vision Transformer nor, unless patch tokens are needed, a ResNet.
    """
    model_arguments = {"num_classes": 0}
    encoder = build(name, model_arguments)
    allowed = (VisionTransformer,) if needs_vit else (VisionTransformer, ResNet)
    if not isinstance(encoder, allowed):
        raise SystemExit(
            f"expected a timm {' or '.join(kind.__name__ for kind in allowed)}, {name} is a"
            f" {type(encoder).__name__}"
        )
    if getattr(encoder, "pos_embed", None) is not None:
        fix_positions(encoder)
    return encoder, name, model_arguments


def objective_for(
    name: str,
    encoder: nn.Module,
    classes: int,
    weight: float | None = None,
    published_heads: bool = False,
) -> nn.Module:
    """The objective of a method on an encoder.

    Args:
        name: of :data:`METHODS`.
        encoder: timm ViT or ResNet.
        classes: number of classes of the images, for the supervised one.
        weight: λ of the hybrid; None for the others.
        published_heads: heads and decoders as large as the paper's.
    """
    method = METHODS[name]
    options = dict(method.heads) if published_heads else {}
    if weight is not None:
        options["weight"] = weight
    if method.objective is MoCoV3 and not hasattr(encoder, "patch_embed"):
        options["convolutional"] = True
    if method.objective is Supervised:
        options["classes"] = classes
    return method.objective(encoder, features=encoder.num_features, **options)
