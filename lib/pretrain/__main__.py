"""Train an encoder on Fashion-MNIST: ``python -m lib.pretrain moco-v3``; run again to continue after a stop."""

import argparse
import subprocess

import torch

from lib.data.fashion import load_fashion
from lib.encoders.architecture import WIDTHS, build_vit, vit_arguments
from lib.encoders.card import CHECKPOINTS, Card, file_sha256, write_card
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.simmim import SimMIM
from lib.pretrain.trainer import Recipe, export_weights, train

MEAN, STD = 0.2860, 0.3530  # of the training images
METHODS = {
    "moco-v3": dict(title="MoCo v3", objective=MoCoV3, extras=(), weight_decay=0.1, images=360_000),
    "simmim": dict(title="SimMIM", objective=SimMIM, extras=("decoder", "mask_token"), weight_decay=0.05, images=960_000),
}


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(prog="python -m lib.pretrain", description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--size", choices=WIDTHS, default="s")
    parser.add_argument("--images", type=int, help="images to see in all (default: the method's)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", help="file name (default: METHOD-SIZE, with -seedN for seeds other than 0)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)

    method = METHODS[arguments.method]
    name = arguments.name or f"{arguments.method}-{arguments.size}" + (f"-seed{arguments.seed}" if arguments.seed else "")
    folder = CHECKPOINTS / "fashion"
    folder.mkdir(parents=True, exist_ok=True)
    vit_kwargs = vit_arguments(arguments.size)
    vit = build_vit(vit_kwargs)
    objective = method["objective"](vit, features=vit.embed_dim)
    recipe = Recipe(images=arguments.images or method["images"], batch_size=arguments.batch_size, weight_decay=method["weight_decay"], seed=arguments.seed)
    test = load_fashion("test")
    command = f"make pretrain METHOD={arguments.method} SIZE={arguments.size} IMAGES={recipe.images} SEED={arguments.seed}"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"

    def export(progress: dict) -> None:
        weights = folder / f"{name}.safetensors"
        export_weights(objective, method["extras"], weights)
        card = Card(
            method=method["title"], family=objective.family, architecture="vit_tiny_patch16_224", arguments=vit_kwargs,
            patch_size=vit_kwargs["patch_size"], prefix_tokens=vit.num_prefix_tokens, mean=[MEAN], std=[STD], pooling=objective.pooling,
            images_seen=progress["images"], seconds=progress["seconds"], command=command, commit=commit,
            data="Fashion-MNIST, training split (60,000 images), a random grey background on a third of the views",
            seed=arguments.seed, licence="MIT", source="trained in this repository", sha256=file_sha256(weights), extras=list(method["extras"]),
        )  # fmt: skip
        write_card(card, folder / f"{name}.yaml")

    train(objective, load_fashion("train"), test.subset(torch.arange(1000)), recipe, folder, name, MEAN, STD, export)


if __name__ == "__main__":
    main()
