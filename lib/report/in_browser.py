"""Encoders that run in the reader's browser: their weights as scripts of the book, loaded when
asked for.

``book/_static/encoder.js`` computes a plain Vision Transformer and its gradient in JavaScript. A
runtime such as onnxruntime-web would be ten times as large as the encoders, and browsers refuse to
fetch its WebAssembly for a book that is opened from a disk; a script they load.
"""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from bs4 import BeautifulSoup
from IPython.display import HTML
from safetensors.torch import load_file, save

from lib.data.images import Images
from lib.encoders.card import CHECKPOINTS, Card, read_card
from lib.encoders.load import load_encoder, load_tensors, split_tensors
from lib.report.explorers import explorer, image_data, strips

BLOCK = {
    f"{part}.{kind}"
    for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    for kind in ("weight", "bias")
}
OUTSIDE = {
    "patch_embed.proj.weight",
    "patch_embed.proj.bias",
    "pos_embed",
    "norm.weight",
    "norm.bias",
}
MOST = 8_000_000  # bytes of weights


def runs_in_browser(name: str, root: Path = CHECKPOINTS) -> bool:
    """Whether ``encoder.js`` can compute an encoder: a small plain Vision Transformer, with no part
    that it does not know."""
    card, path = read_card(root / f"{name}.yaml"), root / f"{name}.safetensors"
    if card.patch_size is None or path.stat().st_size > MOST:
        return False
    names = set(split_tensors(load_tensors(card, path), card.extras, path))
    blocks = {re.sub(r"^blocks\.\d+\.", "", n) for n in names if n.startswith("blocks.")}
    outside = {n for n in names if not n.startswith("blocks.")}
    return (
        blocks == BLOCK
        and outside - {"cls_token"} == OUTSIDE
        and card.prefix_tokens == int("cls_token" in names)
    )


def browser_card(card: Card, heads: int) -> dict:
    """What ``encoder.js`` needs to know beside the weights."""
    size = card.input_size or card.arguments["img_size"]
    facts = {
        "patch_size": card.patch_size,
        "prefix_tokens": card.prefix_tokens,
        "pooling": card.pooling,
        "mean": card.mean,
        "std": card.std,
    }
    return facts | {"heads": heads, "size": size, "channels": card.arguments.get("in_chans", 3)}


def script_of(name: str) -> str:
    """Address of an encoder's weights below ``_static``."""
    return f"encoders/{name.replace('/', '--')}.js"


def write_weights(name: str, static: Path, root: Path = CHECKPOINTS) -> Path:
    """Write an encoder's weights as a script: the safetensors file, without what is not the
    encoder's, as base64.

    Returns:
        the script.
    """
    card, path = read_card(root / f"{name}.yaml"), root / f"{name}.safetensors"
    load_tensors(card, path)  # refuses a file that the card does not describe
    kept = {
        key.removeprefix("encoder."): tensor.contiguous()
        for key, tensor in load_file(path).items()
        if key.startswith("encoder.")
    }
    coded = base64.b64encode(save(kept)).decode()
    target = static / script_of(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        f'(window.studyWeights ??= {{}})[{json.dumps(name)}] = "{coded}";\n', encoding="utf-8"
    )
    return target


def encoder_explorer(
    names: Sequence[str], images: Images, labels: dict[str, str], root: Path = CHECKPOINTS
) -> HTML:
    """Draw or drop a picture and see the attention maps of the encoders themselves, computed in the
    page.

    Args:
        names: encoders of one input size that :func:`runs_in_browser`.
        images: to begin with.
        labels: encoder -> name to show.
        root: of the cards.

    Raises:
        ValueError: an encoder that the script cannot compute, or encoders of different inputs.
    """
    refused = [name for name in names if not runs_in_browser(name, root)]
    if refused:
        raise ValueError(f"expected small plain Vision Transformers, got {refused}")
    encoders = {name: load_encoder(name, root) for name in names}
    cards = {
        name: browser_card(read_card(root / f"{name}.yaml"), e.model.blocks[0].attn.num_heads)
        for name, e in encoders.items()
    }
    inputs = {(c["size"], c["channels"], c["patch_size"]) for c in cards.values()}
    if len(inputs) != 1:
        raise ValueError(
            f"expected encoders of one input (size, channels, patch), got {sorted(inputs)}"
        )
    size = sum((root / f"{name}.safetensors").stat().st_size for name in names) * 4 / 3 / 1e6
    listed = [
        {"name": name, "label": labels[name], "card": cards[name], "script": script_of(name)}
        for name in names
    ]
    data = image_data(images, len(images), next(iter(inputs))[0]) | {
        "encoders": listed,
        "megabytes": round(size, 1),
    }
    facts = [
        {
            "encoder": labels[n],
            "parameters": sum(p.numel() for p in e.model.parameters()),
            "pixels": c["size"],
        }
        for (n, e), c in zip(encoders.items(), cards.values(), strict=True)
    ]
    still = strips({"image": [x.movedim(0, -1).squeeze(-1).numpy() for x in images.images]})
    how = (
        "Nothing is sent anywhere: the encoders run in this page. Draw on black or drop a picture,"
        " then choose a patch."
    )
    return explorer(
        "encoder",
        "Your own picture",
        data,
        still,
        "The images that the explorer begins with.",
        pd.DataFrame(facts),
        how,
    )


def encoders_asked_for(html: str) -> list[str]:
    """Encoders whose weights the explorers in some HTML load."""
    found = BeautifulSoup(html, "html.parser").select(
        '.explorer[data-explorer="encoder"] script[type="application/json"]'
    )
    return sorted(
        {encoder["name"] for script in found for encoder in json.loads(script.string)["encoders"]}
    )
