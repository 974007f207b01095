"""Train an encoder on Fashion-MNIST, ``python -m lib.pretrain moco-v3``, or on a folder of images,
``--data FOLDER``; run again to continue after a stop."""

import argparse
import subprocess
from pathlib import Path

import timm
import torch

from lib.encoders.architecture import WIDTHS
from lib.encoders.card import CHECKPOINTS, Card, file_sha256, write_card
from lib.encoders.device import chosen_device
from lib.encoders.load import token_layout
from lib.pretrain.methods import (
    METHODS,
    PROJECTION,
    RESNET,
    STEMS,
    objective_for,
    small_encoder,
    timm_encoder,
)
from lib.pretrain.source import fashion_source, folder_source, photographs_source
from lib.pretrain.trainer import Recipe, export_weights, train

IMAGENETTE = Path("imagenette")


def parse() -> argparse.Namespace:
    """The command line, with what does not go together refused."""
    parser = argparse.ArgumentParser(prog="python -m lib.pretrain", description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument(
        "--size",
        choices=[*WIDTHS, RESNET],
        help="width of the ViT, or r for the ResNet (default: s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="imagenette, or a folder of one subfolder of images a class (default: Fashion-MNIST)",
    )
    parser.add_argument(
        "--arch", help="timm name of a ViT or ResNet, for a folder (default: vit_base_patch16_224)"
    )
    parser.add_argument("--stem", choices=STEMS, help=f"of a small ViT (default: {PROJECTION})")
    parser.add_argument("--images", type=int, help="images to see in all (default: the method's)")
    parser.add_argument("--weight", type=float, help="share λ of the contrastive loss (hybrid)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="peak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--name",
        help="file name (default: METHOD, weight, SIZE or ARCH, and the seed if it is not 0)",
    )
    parser.add_argument(
        "--group",
        help="folder in data/checkpoints (default: fashion, or the name of the images' folder)",
    )
    arguments = parser.parse_args()
    in_folder = arguments.data not in (None, IMAGENETTE)
    if arguments.arch and (arguments.size or not in_folder):
        parser.error(
            "--size trains a small encoder, --arch another on a folder, --data FOLDER: give one"
        )
    if in_folder and not arguments.size:
        arguments.arch = arguments.arch or "vit_base_patch16_224"
    else:
        arguments.size = arguments.size or "s"
    if arguments.stem and arguments.size in (None, RESNET):
        parser.error("--stem goes with a small ViT")
    arguments.stem = arguments.stem or PROJECTION
    if arguments.arch and not timm.is_model(arguments.arch):
        parser.error(f"timm has no model {arguments.arch}")
    if arguments.size == RESNET and METHODS[arguments.method].needs_vit:
        parser.error(
            f"{arguments.method} works on patch tokens: --size is one of {', '.join(WIDTHS)}"
        )
    if (arguments.method == "hybrid") != (arguments.weight is not None):
        parser.error("--weight goes with hybrid, and hybrid needs it")
    return arguments


def free_stem(folder: Path, name: str) -> Path:
    """Path without ending for a training's files; an encoder that is there without the state to
    continue from is not overwritten.

    Raises:
        SystemExit: such an encoder, with what to do.
    """
    stem = folder / name
    if stem.with_name(f"{name}.yaml").exists() and not stem.with_name(f"{name}.resume.pt").exists():
        raise SystemExit(
            f"the encoder {folder.name}/{name} is there already, without the state of its training:"
            " train another with NAME=…, or remove it"
        )
    return stem


def command(arguments: argparse.Namespace, recipe: Recipe, data: str) -> str:
    """How to train it again; ``data`` is the name of the folder of images, whose place may
    differ."""
    what = f"DATA={data} " if arguments.data else ""
    what += f"ARCH={arguments.arch}" if arguments.arch else f"SIZE={arguments.size}"
    what += "" if arguments.stem == PROJECTION else f" STEM={arguments.stem}"
    words = (
        f"make pretrain METHOD={arguments.method} {what} IMAGES={recipe.images} SEED={recipe.seed}"
    )
    words += "" if recipe.batch_size == Recipe.batch_size else f" BATCH_SIZE={recipe.batch_size}"
    words += (
        ""
        if recipe.learning_rate == Recipe.learning_rate
        else f" LEARNING_RATE={recipe.learning_rate:g}"
    )
    return words + ("" if arguments.weight is None else f" WEIGHT={arguments.weight:g}")


def main() -> None:
    """Parse the command line, train, export."""
    arguments = parse()
    try:
        chosen_device()
    except ValueError as error:
        raise SystemExit(str(error)) from error
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    method, small = METHODS[arguments.method], arguments.arch is None
    folder = None if arguments.data == IMAGENETTE else arguments.data
    data = "fashion" if arguments.data is None else arguments.data.resolve().name
    group = arguments.group or data
    weight = "" if arguments.weight is None else f"-{arguments.weight:g}"
    name = arguments.name or f"{arguments.method}{weight}-{arguments.size or arguments.arch}" + (
        f"-seed{arguments.seed}" if arguments.seed else ""
    )
    stem = free_stem(CHECKPOINTS / group, name)

    if small:
        encoder, architecture, model_arguments = small_encoder(
            arguments.size, arguments.data is not None, arguments.stem
        )
    else:
        encoder, architecture, model_arguments = timm_encoder(arguments.arch, method.needs_vit)
    try:
        if arguments.data is None:
            source = fashion_source()
        else:
            source = (
                photographs_source(folder)
                if small
                else folder_source(folder, encoder.default_cfg["input_size"][-1])
            )
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    objective = objective_for(
        arguments.method,
        encoder,
        len(source.train.classes),
        arguments.weight,
        published_heads=not small,
    )
    recipe = Recipe(
        arguments.images or method.images,
        arguments.batch_size,
        arguments.learning_rate,
        method.weight_decay,
        seed=arguments.seed,
    )

    stem.parent.mkdir(parents=True, exist_ok=True)
    commit = (
        subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        or "unknown"
    )
    prefix_tokens, patch_size = token_layout(encoder)
    averaged = "global_average" if patch_size is None else "patch_mean"
    pooling = method.pooling if getattr(encoder, "global_pool", None) == "token" else averaged

    def export(images: int, seconds: int) -> None:
        weights = stem.with_name(f"{name}.safetensors")
        export_weights(objective, method.extras, weights)
        card = Card(
            method=method.title, family=objective.family, architecture=architecture,
            arguments=model_arguments, patch_size=patch_size, prefix_tokens=prefix_tokens,
            mean=source.mean, std=source.std, pooling=pooling, images_seen=images, seconds=seconds,
            command=command(arguments, recipe, data), commit=commit, data=source.card,
            seed=arguments.seed, licence="MIT", source="trained in this repository",
            sha256=file_sha256(weights), extras=method.extras,
        )  # fmt: skip
        write_card(card, stem.with_name(f"{name}.yaml"))

    mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (source.mean, source.std))
    train(objective, source.train, source.held_out, recipe, stem, mean, std, pooling, export)


if __name__ == "__main__":
    main()
