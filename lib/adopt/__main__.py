"""Make an encoder of this study from somebody else's weights:
``python -m lib.adopt SOURCE --name NAME``."""

import argparse
import sys

from lib.encoders.card import FAMILIES, POOLINGS


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.adopt", description=__doc__)
    parser.add_argument(
        "source",
        help=(
            "timm:NAME, hf-hub:OWNER/NAME@REVISION, the path of a safetensors or PyTorch file, or"
            " of a folder that from_pretrained takes"
        ),
    )
    parser.add_argument("--name", required=True, help="of the new encoder: custom/NAME")
    parser.add_argument("--arch", help="timm name, where it is not to be read off the shapes")
    parser.add_argument("--heads", type=int, help="attention heads, where nothing tells them")
    parser.add_argument(
        "--normalisation",
        help=(
            "of images: imagenet, half, clip, none, or mean and standard deviation of each"
            " channel as m,m,m/s,s,s, where nothing tells it"
        ),
    )
    parser.add_argument(
        "--family",
        choices=FAMILIES,
        help="contrastive learning, masked image modelling, or other (default: the layout's)",
    )
    parser.add_argument(
        "--pooling", choices=POOLINGS, help="what makes the representation (default: the layout's)"
    )
    parser.add_argument("--method", help="name of the training method (default: the layout's)")
    parser.add_argument(
        "--input-size",
        type=int,
        help="side that images are resized to, in pixels (default: that of the training)",
    )
    parser.add_argument(
        "--stem",
        help="of a ResNet whose first convolution is 3 x 3: cifar (no max-pooling) or pooled",
    )
    parser.add_argument("--entry", help="of the file, where several hold an encoder")
    parser.add_argument(
        "--sha256",
        help=(
            "of the file, to be compared (default: the start of it in the file's name, if it is"
            " there)"
        ),
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Adopt an encoder; the exit code is 2 for anything wrong with the source."""
    arguments = parse(argv)
    from lib.adopt.adopt import adopt  # after parsing: --help and mistakes answer at once
    from lib.encoders.device import chosen_device

    options = {
        name: value for name, value in vars(arguments).items() if name not in ("source", "name")
    }
    try:
        chosen_device()
        card = adopt(arguments.source, arguments.name, say=print, **options)
    except (ValueError, FileNotFoundError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(
        f"custom/{arguments.name}: {card.method} ({card.family}), {card.architecture}, pooling"
        f" {card.pooling}, {card.input_size} px, licence {card.licence}"
    )
    print(
        "use it, for example: make run NOTEBOOK=self_attention"
        f" PARAMETERS='encoders=custom/{arguments.name}'"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
