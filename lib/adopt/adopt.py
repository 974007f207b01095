"""Make an encoder of this study from somebody else's weights: a timm name, a Hugging Face name, a
file or a folder in a known layout.

What comes out is a card and a safetensors file, so that everything else treats it like the encoders
trained here. What neither the file nor its layout tells is asked for.
"""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from lib.adopt.check import classifier_fits
from lib.adopt.infer import STEMS
from lib.adopt.load_model import Adopted, Asked, from_hub, from_path
from lib.adopt.names import State
from lib.encoders.architecture import build
from lib.encoders.card import CHECKPOINTS, Card, write_card
from lib.encoders.encoder import Encoder
from lib.encoders.load import placed, token_layout

HUBS = ("timm:", "hf-hub:")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LARGEST_SIDE = 4096  # pixels


def pooling_of(model: nn.Module, family: str) -> str:
    """What makes the representation unless layout or user say otherwise.

    The mean patch token where a norm follows the mean; SigLIP's attention; the mean patch token for
    masked image models and without a class token; the class token; a feature map's average.
    """
    if not hasattr(model, "num_prefix_tokens"):
        return "global_average"
    if getattr(model, "attn_pool", None) is not None:
        return "attention_pool"
    normed = isinstance(getattr(model, "fc_norm", None), nn.LayerNorm)
    return (
        "patch_mean" if normed or family == "MIM" or not model.num_prefix_tokens else "class_token"
    )


def check_words(
    name: str, method: str | None, heads: int | None, input_size: int | None, stem: str | None
) -> None:
    """Refuse what cannot be meant, before anything is read.

    Raises:
        ValueError: a name that is no file name of letters, digits, dots, dashes and underscores; a
            method of several lines; counts out of range.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            "NAME= takes up to 64 letters, digits, dots, dashes and underscores, the first a"
            f" letter or digit, got {name[:80]!r}"
        )
    if method is not None and not (method.strip() and method.isprintable() and len(method) <= 80):
        raise ValueError(
            f"METHOD= takes a name of up to 80 printable characters, got {method[:80]!r}"
        )
    if heads is not None and heads < 1:
        raise ValueError(f"HEADS= takes a positive number, got {heads}")
    if stem is not None and stem not in STEMS:
        raise ValueError(f"STEM= takes {' or '.join(STEMS)}, got {stem!r}")
    if input_size is not None and not 1 <= input_size <= LARGEST_SIDE:
        raise ValueError(f"INPUT_SIZE= takes pixels from 1 to {LARGEST_SIDE}, got {input_size}")


def adopt(
    source: str, name: str, arch: str | None = None, heads: int | None = None,
    family: str | None = None, pooling: str | None = None, method: str | None = None,
    input_size: int | None = None, sha256: str | None = None, normalisation: str | None = None,
    stem: str | None = None, entry: str | None = None, root: Path | None = None,
    say=lambda line: None,
) -> Card:  # fmt: skip
    """Write the card and the safetensors file of somebody else's encoder, as ``custom/NAME``.

    Args:
        source: ``timm:NAME``, ``hf-hub:OWNER/NAME@REVISION``, or the path of a file or folder.
        name: of the new encoder.
        arch, heads, normalisation, stem, entry, sha256: see :class:`Asked`.
        family: ``"CL"``, ``"MIM"`` or ``"other"``; the layout's where None.
        pooling: the layout's, or :func:`pooling_of`, where None.
        method: the layout's or timm's name where None.
        input_size: side that images are resized to before they enter; that of the training where
            None.
        root: of the cards; this repository's where None.
        say: is told, in one line, what was assumed.

    Returns:
        the card.

    Raises:
        ValueError, FileNotFoundError: anything wrong with the source, a name that is taken, a
            question that only the user can answer. Nothing is written then.
    """
    check_words(name, method, heads, input_size, stem)
    path = (root or CHECKPOINTS) / "custom" / f"{name}.safetensors"
    if path.exists() or path.with_suffix(".yaml").exists():
        raise ValueError(
            f"custom/{name} exists; choose another NAME, or delete {path.name} and"
            f" {path.with_suffix('.yaml').name}"
        )
    hub = source.startswith(HUBS)
    asked = Asked(arch, heads, normalisation, stem, entry, sha256)
    given = [f"{key.upper()}=" for key, value in vars(asked).items() if value is not None]
    if hub and given:
        raise ValueError(
            f"{' and '.join(given)} goes with a file; what {source} names is known to the hub"
        )
    found = from_hub(source) if hub else from_path(Path(source), asked)
    family = family or found.family or ("other" if hub else None)
    if family is None:
        raise ValueError(
            f"{Path(source).name} (layout: {found.method}) does not tell its family: give"
            " FAMILY=CL, FAMILY=MIM or FAMILY=other"
        )
    pooled = pooling or _layouts_pooling(found) or pooling_of(found.model, family)
    prefix, patch = token_layout(found.model)
    side = input_size or found.side
    if patch and side % patch:
        raise ValueError(f"INPUT_SIZE={side} is no multiple of the patches of {patch} px")
    if side != found.side:
        found = resizable(found, side)
    facts = dict(
        method=method or found.method, family=family, architecture=found.architecture,
        arguments=found.arguments, patch_size=patch, prefix_tokens=prefix, mean=found.mean,
        std=found.std, pooling=pooled, images_seen=None, seconds=None,
        command=f"make adopt SOURCE={source if hub else Path(source).name} NAME={name}",
        commit="", data="see the source", seed=None, licence=found.licence, source=found.source,
        input_size=side,
    )  # fmt: skip
    Card(**facts, sha256="")  # refuses a wrong family or pooling before anything is written
    model = placed(found.model)
    encoder = Encoder(model, found.mean, found.std, pooled, f"custom/{name}", family, side)
    what = Path(source).name if not hub else source
    positions = getattr(found.model, "pos_embed", None)
    if positions is not None and side != found.side:
        found.said.append(f"positions of {found.side} px resized to {side} px by timm's rule")
    said = [
        *found.said,
        f"family {family}",
        f"pooling {pooled}",
        *try_out(encoder, found.state, what),
    ]
    content = save(
        {f"encoder.{key}": tensor.contiguous() for key, tensor in found.model.state_dict().items()}
    )
    card = Card(**facts, sha256=hashlib.sha256(content).hexdigest())
    write_both(path, content, card)
    say("; ".join(said))
    return card


def resizable(found: Adopted, side: int) -> Adopted:
    """The same network for images of ``side`` px: one of another fixed size now interpolates its
    positions to that of each image, where timm can; others are left as they are."""
    fixed = not getattr(found.model, "dynamic_img_size", True)
    if not fixed or found.model.patch_embed.img_size == (side, side):
        return found
    arguments = found.arguments | {"dynamic_img_size": True}
    model = build(found.architecture, arguments)
    model.load_state_dict(found.model.state_dict())
    return replace(found, model=model.eval(), arguments=arguments)


def _layouts_pooling(found: Adopted) -> str | None:
    """The layout's pooling, where the network does not norm its mean patch token: that is a fine-
    tuned one."""
    tokens = hasattr(found.model, "num_prefix_tokens")
    normed = isinstance(getattr(found.model, "fc_norm", None), nn.LayerNorm)
    return found.pooling if tokens and not normed else None


@torch.no_grad()
def try_out(encoder: Encoder, state: State, what: str) -> list[str]:
    """One image goes through an encoder before it is written.

    Args:
        encoder: adopted.
        state: the encoder's tensors of the file, its classifier among them.
        what: of the file, for messages.

    Returns:
        what was compared, for the user.

    Raises:
        ValueError: no representation, or one that is not finite; a classifier that does not fit.
    """
    channels, side = encoder.mean.shape[1], encoder.input_size
    ramp = torch.linspace(0, 1, side)
    image = (ramp[:, None] * ramp).expand(1, channels, side, side)
    try:
        representation = encoder(image)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise ValueError(
            f"{what}: the network cannot take an image of {side} px:"
            f" {' '.join(str(error).split())[:300]}"
        ) from error
    if representation.ndim != 2 or not torch.isfinite(representation).all():
        raise ValueError(f"{what}: the network yields values that are not finite for an image")
    return classifier_fits(representation, state, what, encoder.pooling)


def write_both(path: Path, content: bytes, card: Card) -> None:
    """Write weights and card under temporary names, then both at their place.

    Raises:
        ValueError: the folder cannot be written to.
    """
    weights, text = path.with_name(f".{path.name}.part"), path.with_name(f".{path.stem}.yaml.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(content)
        write_card(card, text)
        os.replace(weights, path)
        os.replace(text, path.with_suffix(".yaml"))
    except OSError as error:
        for part in (weights, text):
            with suppress(OSError):
                part.unlink()
        raise ValueError(f"{path.parent} cannot be written to: {error.strerror}") from error
