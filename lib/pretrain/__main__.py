"""Train an encoder on Fashion-MNIST: ``python -m lib.pretrain moco-v3``; run again to continue after a stop."""

import argparse
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn

from lib.data.fashion import load_fashion
from lib.encoders.architecture import SMALL_RESNET, VIT, WIDTHS, build, resnet_arguments, vit_arguments
from lib.encoders.card import CHECKPOINTS, Card, file_sha256, write_card
from lib.encoders.load import token_layout
from lib.pretrain.byol import BYOL
from lib.pretrain.dino import DINO
from lib.pretrain.hybrid import Hybrid
from lib.pretrain.mae import MAE
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.simclr import SimCLR
from lib.pretrain.simmim import SimMIM
from lib.pretrain.simsiam import SimSiam
from lib.pretrain.supervised import Supervised
from lib.pretrain.trainer import Recipe, export_weights, train

MEAN, STD = 0.2860, 0.3530  # of the training images
RESNET = "r"


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
    """

    title: str
    objective: type[nn.Module]
    pooling: str = "class_token"
    extras: list[str] = field(default_factory=list)
    weight_decay: float = 0.05
    images: int = 360_000
    needs_vit: bool = False


METHODS = {
    "moco-v3": Method("MoCo v3", MoCoV3, weight_decay=0.1),
    "simmim": Method("SimMIM", SimMIM, "patch_mean", ["decoder", "mask_token"], images=960_000, needs_vit=True),
    "mae": Method("MAE", MAE, "patch_mean", ["decoder"], images=960_000, needs_vit=True),
    "hybrid": Method("SimMIM + MoCo v3", Hybrid, "patch_mean", needs_vit=True),
    "dino": Method("DINO", DINO),
    "simclr": Method("SimCLR", SimCLR),
    "byol": Method("BYOL", BYOL),
    "simsiam": Method("SimSiam", SimSiam),
    "supervised": Method("supervised", Supervised, images=600_000),
}


def parse() -> argparse.Namespace:
    """The command line, with what does not go together refused."""
    parser = argparse.ArgumentParser(prog="python -m lib.pretrain", description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--size", choices=[*WIDTHS, RESNET], default="s", help="width of the ViT, or r for the ResNet")
    parser.add_argument("--images", type=int, help="images to see in all (default: the method's)")
    parser.add_argument("--weight", type=float, help="share λ of the contrastive loss (hybrid)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", help="file name (default: METHOD-SIZE, with the weight, and the seed if it is not 0)")
    arguments = parser.parse_args()
    if arguments.size == RESNET and METHODS[arguments.method].needs_vit:
        parser.error(f"{arguments.method} works on patch tokens: --size is one of {', '.join(WIDTHS)}")
    if (arguments.method == "hybrid") != (arguments.weight is not None):
        parser.error("--weight goes with hybrid, and hybrid needs it")
    return arguments


def free_stem(folder: Path, name: str) -> Path:
    """Path without ending for a training's files; an encoder that is there without the state to continue from is not overwritten.

    Raises:
        SystemExit: such an encoder, with what to do.
    """
    stem = folder / name
    if stem.with_name(f"{name}.yaml").exists() and not stem.with_name(f"{name}.resume.pt").exists():
        raise SystemExit(f"the encoder {folder.name}/{name} is there already, without the state of its training: train another with NAME=…, or remove it")
    return stem


def main() -> None:
    """Parse the command line, train, export."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    method, resnet = METHODS[arguments.method], arguments.size == RESNET
    architecture, model_arguments = (SMALL_RESNET, resnet_arguments()) if resnet else (VIT, vit_arguments(arguments.size))
    encoder = build(architecture, model_arguments)
    make = method.objective
    if arguments.weight is not None:
        make = partial(make, weight=arguments.weight)
    if resnet and make is MoCoV3:
        make = partial(make, convolutional=True)
    objective = make(encoder, features=encoder.num_features)
    recipe = Recipe(arguments.images or method.images, arguments.batch_size, weight_decay=method.weight_decay, seed=arguments.seed)

    options = "" if arguments.weight is None else f" WEIGHT={arguments.weight:g}"
    command = f"make pretrain METHOD={arguments.method} SIZE={arguments.size} IMAGES={recipe.images} SEED={arguments.seed}{options}"
    weight = "" if arguments.weight is None else f"-{arguments.weight:g}"
    name = arguments.name or f"{arguments.method}{weight}-{arguments.size}" + (f"-seed{arguments.seed}" if arguments.seed else "")
    stem = free_stem(CHECKPOINTS / "fashion", name)
    stem.parent.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    prefix_tokens, patch_size = token_layout(encoder)
    pooling = "global_average" if resnet else method.pooling

    def export(images: int, seconds: int) -> None:
        weights = stem.with_name(f"{name}.safetensors")
        export_weights(objective, method.extras, weights)
        card = Card(
            method=method.title, family=objective.family, architecture=architecture, arguments=model_arguments, patch_size=patch_size,
            prefix_tokens=prefix_tokens, mean=[MEAN], std=[STD], pooling=pooling, images_seen=images, seconds=seconds, command=command, commit=commit,
            data="Fashion-MNIST, training split (60,000 images), a random grey background on a third of the views",
            seed=arguments.seed, licence="MIT", source="trained in this repository", sha256=file_sha256(weights), extras=method.extras,
        )  # fmt: skip
        write_card(card, stem.with_name(f"{name}.yaml"))

    held_out = load_fashion("test").subset(torch.arange(1000))
    train(objective, load_fashion("train"), held_out, recipe, stem, MEAN, STD, pooling, export)


if __name__ == "__main__":
    main()
