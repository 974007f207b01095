"""Make an encoder of this study from somebody else's weights: a timm name, a Hugging Face name, or a file in a known layout.

What comes out is a card and a safetensors file, so that everything else treats it like the encoders trained here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.encoders.card import CHECKPOINTS, Card, file_sha256, write_card
from lib.encoders.infer import infer
from lib.encoders.layouts import recognise, timm_names
from lib.encoders.load import token_layout
from lib.encoders.read_file import read_file

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HUBS = ("timm:", "hf-hub:")


@dataclass(frozen=True)
class Adopted:
    """A model with what its card needs.

    Attributes:
        model: timm model with the weights.
        architecture, arguments: how timm builds it.
        method, family, source, licence: for the card.
        mean, std: per channel.
        side: of the images it was trained on, in pixels.
    """

    model: nn.Module
    architecture: str
    arguments: dict
    method: str
    family: str
    source: str
    licence: str
    mean: list[float]
    std: list[float]
    side: int


def from_hub(source: str) -> Adopted:
    """A pretrained timm model, ``timm:NAME`` or ``hf-hub:OWNER/NAME@REVISION``, with its own normalisation; downloads on first use.

    Raises:
        ValueError: no such model, or no network and nothing downloaded before.
    """
    name = source.removeprefix("timm:")
    arguments = dict(num_classes=0)
    try:
        model = timm.create_model(name, pretrained=True, **arguments)
    except Exception as error:  # the hub's clients raise many kinds
        raise ValueError(
            f"{source} could not be had ({type(error).__name__}: {error}). Without a network, fetch model.safetensors of https://huggingface.co/"
            f"{name.removeprefix('hf-hub:') if source.startswith('hf-hub:') else f'timm/{name}'} by hand and give its path with ARCH="
        ) from error
    config = model.pretrained_cfg
    licence = str(config.get("license") or "not stated")
    mean, std = list(config["mean"]), list(config["std"])
    return Adopted(model, name, arguments, name, "other", source, licence, mean, std, config["input_size"][-1])


def load_strictly(model: nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Load tensors; counters of batches may be missing, nothing else.

    Raises:
        ValueError: missing, unexpected or misshapen tensors, listed; values that are not finite.
    """
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"{what} holds values that are not finite in {', '.join(broken[:8])}")
    try:
        missing, unexpected = model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{what} does not fit {type(model).__name__}: {' '.join(str(error).split())}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{what} does not fit {type(model).__name__}: missing {', '.join(missing[:8]) or 'nothing'}; unexpected {', '.join(unexpected[:8]) or 'nothing'}")


def from_file(path: Path, arch: str | None = None, heads: int | None = None) -> Adopted:
    """A model from a file whose layout is recognised.

    Args:
        path: safetensors or PyTorch file.
        arch: timm name, where the architecture is not to be read off the shapes.
        heads: number of attention heads, where it is not width / 64 (12 for MoCo v3's ViT-S).

    Raises:
        FileNotFoundError, ValueError: see ``read_file``, ``recognise``, ``infer`` and :func:`load_strictly`; an unknown ``arch``.
    """
    layout, found = recognise(read_file(path))
    state = timm_names(found)
    if arch is None:
        architecture, arguments = infer(state, heads)
    else:
        if not timm.is_model(arch):
            raise ValueError(f"timm has no model {arch!r}; timm.list_models('*{arch[:6]}*') lists names")
        architecture, arguments = arch, dict(num_classes=0)
    model = timm.create_model(architecture, **arguments)
    load_strictly(model, state, f"{path.name} (layout: {layout.name})")
    channels = next(tensor for tensor in model.parameters() if tensor.ndim == 4).shape[1]
    mean, std = IMAGENET if channels == 3 else ([0.5] * channels, [0.5] * channels)
    side = model.patch_embed.img_size[0] if hasattr(model, "patch_embed") else model.default_cfg["input_size"][-1]
    return Adopted(model, architecture, arguments, layout.name, layout.family, f"file {path.name}, layout {layout.name}", "not stated", mean, std, side)


def verify(path: Path, sha256: str | None = None) -> None:
    """Compare a file with its sha256, or with the start of it that the publisher put into the name, ``NAME-01234567.pth``, as torchvision does.

    Raises:
        ValueError: another hash.
    """
    named = re.search(r"-([0-9a-f]{8,64})\.[a-z.]+$", path.name)
    expected = sha256 or (named and not named[1].isdigit() and named[1])  # digits alone are a date or a count
    found = file_sha256(path) if expected and path.is_file() else ""
    if found and not found.startswith(expected.lower()):
        raise ValueError(f"{path.name} has sha256 {found}, expected {expected}{'' if sha256 else ' by its name'}: the download is incomplete or another file: fetch it again, or give the sha256 that you expect with SHA256=")


def pooling_of(model: nn.Module, family: str) -> str:
    """What makes the representation unless the user says otherwise: the class token; the mean patch token for masked image models; a feature map's average."""
    if not hasattr(model, "num_prefix_tokens"):
        return "global_average"
    return "patch_mean" if family == "MIM" or not model.num_prefix_tokens else "class_token"


def adopt(
    source: str, name: str, arch: str | None = None, heads: int | None = None, family: str | None = None, pooling: str | None = None,
    method: str | None = None, input_size: int | None = None, sha256: str | None = None, root: Path = CHECKPOINTS,
) -> Card:  # fmt: skip
    """Write the card and the safetensors file of somebody else's encoder, as ``custom/NAME``.

    Args:
        source: ``timm:NAME``, ``hf-hub:OWNER/NAME@REVISION`` or the path of a file.
        name: of the new encoder.
        arch, heads: of :func:`from_file`.
        family: ``"CL"``, ``"MIM"`` or ``"other"``; the layout's where None.
        pooling: :func:`pooling_of` where None.
        method: the layout's or timm's name where None.
        input_size: side that images are resized to before they enter; that of the training where None.
        sha256: of the file, to be compared; see :func:`verify`.
        root: of the cards.

    Returns:
        the card.

    Raises:
        ValueError, FileNotFoundError: anything wrong with the source, a name that is taken.
    """
    path = root / "custom" / f"{name}.safetensors"
    if path.exists():
        raise ValueError(f"custom/{name} exists; choose another NAME, or delete {path.name} and {path.with_suffix('.yaml').name}")
    if source.startswith(HUBS) and sha256:
        raise ValueError(f"SHA256= goes with a file; what {source} names is verified by the hub")
    if not source.startswith(HUBS):
        verify(Path(source), sha256)
    found = from_hub(source) if source.startswith(HUBS) else from_file(Path(source), arch, heads)
    family = family or found.family
    prefix, patch = token_layout(found.model)
    facts = dict(
        method=method or found.method, family=family, architecture=found.architecture, arguments=found.arguments, patch_size=patch, prefix_tokens=prefix,
        mean=found.mean, std=found.std, pooling=pooling or pooling_of(found.model, family), images_seen=None, seconds=None, command=f"make adopt SOURCE={source if source.startswith(HUBS) else Path(source).name} NAME={name}",
        commit="", data="see the source", seed=None, licence=found.licence, source=found.source, input_size=input_size or found.side,
    )  # fmt: skip
    Card(**facts, sha256="")  # refuses a wrong family or pooling before anything is written
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"encoder.{key}": tensor.contiguous() for key, tensor in found.model.state_dict().items()}, path)
    card = Card(**facts, sha256=file_sha256(path))
    write_card(card, path.with_suffix(".yaml"))
    return card
