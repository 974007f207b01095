"""Encoders from cards: checked, loaded strictly, never unpickled."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from lib.encoders.architecture import build
from lib.encoders.card import CHECKPOINTS, Card, read_card
from lib.encoders.device import be_exact, chosen_device
from lib.encoders.encoder import Encoder
from lib.encoders.exact_init import ExactInit

FAST_LAYOUT = torch.channels_last  # convolutions run a third faster than in the default layout


def load_tensors(card: Card, path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, in single precision, after its sha256 is compared with
    the card's.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another hash than the card's, a file that is not safetensors, values that are
            not finite.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the card names {path}, which does not exist")
    content = path.read_bytes()  # once: what is hashed is what is loaded
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise ValueError(
            f"{path} has sha256 {found}, its card says {card.sha256}: the file or the card has"
            " changed"
        )
    try:
        tensors = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"{path} holds values that are not finite in {broken}")
    return {name: tensor.float() for name, tensor in tensors.items()}


def split_tensors(tensors: dict[str, Tensor], extras: list[str], path: Path) -> dict[str, Tensor]:
    """The encoder's tensors without their prefix ``encoder.``; what is neither the encoder's nor a
    named extra is refused."""
    is_extra = lambda name: any(name == extra or name.startswith(f"{extra}.") for extra in extras)  # noqa: E731
    unknown = [name for name in tensors if not name.startswith("encoder.") and not is_extra(name)]
    if unknown:
        raise ValueError(f"{path} holds tensors that its card does not name: {unknown}")
    return {
        name.removeprefix("encoder."): tensor
        for name, tensor in tensors.items()
        if name.startswith("encoder.")
    }


def token_layout(model: nn.Module) -> tuple[int, int | None]:
    """Number of prefix tokens and side of a patch in pixels; (0, None) for a model without
    tokens."""
    patches = getattr(model, "patch_embed", None)
    return getattr(model, "num_prefix_tokens", 0), (
        patches.patch_size[0] if patches is not None else None
    )


def channels_of(model: nn.Module) -> int:
    """Channels of the images that a model takes: of its first convolution's kernel."""
    return next(tensor for tensor in model.parameters() if tensor.ndim == 4).shape[1]


def placed(model: nn.Module) -> nn.Module:
    """The model on the chosen device, which from now on computes exactly unless told otherwise; see
    :mod:`lib.encoders.device`."""
    be_exact()
    return model.to(chosen_device(), memory_format=FAST_LAYOUT)


def load_encoder(name: str, root: Path = CHECKPOINTS) -> Encoder:
    """The encoder of a card, such as ``"fashion/moco-v3-s"``.

    Args:
        name: path of the card below ``root``, without its ending.

    Raises:
        FileNotFoundError: no card of that name, or no weights beside it.
        ValueError: a changed file, missing or unexpected tensors, a token layout that differs from
            the card's.
    """
    card = read_card(root / f"{name}.yaml")
    path = root / f"{name}.safetensors"
    state = split_tensors(load_tensors(card, path), card.extras, path)
    model = build(card.architecture, card.arguments)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit {card.architecture}: {error}") from error
    if len(card.mean) != channels_of(model):
        raise ValueError(
            f"{name}: the card has a mean for {len(card.mean)} channel(s), the model takes"
            f" {channels_of(model)}"
        )
    layout = token_layout(model)
    expected = card.prefix_tokens, card.patch_size
    if layout != expected:
        raise ValueError(
            f"{name}: the card says {expected} prefix tokens and pixels a patch side, the model has"
            f" {layout}"
        )
    return Encoder(
        placed(model),
        card.mean,
        card.std,
        card.pooling,
        name=name,
        family=card.family,
        input_size=card.input_size,
    )


def random_encoder(card: Card, seed: int = 0) -> Encoder:
    """The null reference: the architecture, positions and pooling of a card with random weights.

    The weights have the distributions of timm's initialisers (for a ViT, matrices of standard
    deviation 0.02) and are the same bits on every machine; see ``ExactInit``.
    """
    with ExactInit(seed):
        model = build(card.architecture, card.arguments)
    return Encoder(
        placed(model),
        card.mean,
        card.std,
        card.pooling,
        name="random weights",
        family="other",
        input_size=card.input_size,
    )


def cl_and_mim(encoders: list[Encoder]) -> list[tuple[Encoder, Encoder]]:
    """The first contrastive and the first masked-image-modelling encoder as one pair; an empty list
    when a family is missing."""
    first = {encoder.family: encoder for encoder in reversed(encoders)}
    return [(first["CL"], first["MIM"])] if {"CL", "MIM"} <= set(first) else []
