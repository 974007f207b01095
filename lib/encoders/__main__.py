"""Make an encoder of this study from somebody else's weights: ``python -m lib.encoders SOURCE --name NAME``."""

import argparse
import sys

from lib.encoders.card import FAMILIES, POOLINGS


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.encoders", description=__doc__)
    parser.add_argument("source", help="timm:NAME, hf-hub:OWNER/NAME@REVISION, or the path of a safetensors or PyTorch file")
    parser.add_argument("--name", required=True, help="of the new encoder: custom/NAME")
    parser.add_argument("--arch", help="timm name, where it is not to be read off the shapes")
    parser.add_argument("--heads", type=int, help="attention heads, where they are not width / 64 (MoCo v3's ViT-S: 12)")
    parser.add_argument("--family", choices=FAMILIES, help="contrastive learning, masked image modelling, or other (default: the layout's)")
    parser.add_argument("--pooling", choices=POOLINGS, help="what makes the representation (default: by family)")
    parser.add_argument("--method", help="name of the training method (default: the layout's)")
    parser.add_argument("--input-size", type=int, help="side that images are resized to, in pixels (default: that of the training)")
    parser.add_argument("--sha256", help="of the file, to be compared (default: the start of it in the file's name, if it is there)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Adopt an encoder; the exit code is 2 for anything wrong with the source."""
    arguments = parse(argv)
    from lib.encoders.adopt import adopt  # after parsing: --help and mistakes answer at once

    options = {name: value for name, value in vars(arguments).items() if name not in ("source", "name")}
    try:
        card = adopt(arguments.source, arguments.name, **options)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"custom/{arguments.name}: {card.method} ({card.family}), {card.architecture}, pooling {card.pooling}, {card.input_size} px, licence {card.licence}")
    print(f"use it, for example: make run NOTEBOOK=self_attention PARAMETERS='encoders=custom/{arguments.name}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
