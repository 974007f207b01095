"""A card says what an encoder is, what it saw, and which file holds it."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

CHECKPOINTS = Path(__file__).resolve().parents[2] / "data" / "checkpoints"
FAMILIES = ("CL", "MIM", "other")
POOLINGS = ("class_token", "patch_mean", "global_average")


@dataclass(frozen=True)
class Card:
    """The facts about one encoder, written as YAML beside its safetensors file.

    Attributes:
        method: published name of the training method.
        family: ``"CL"``, ``"MIM"`` or ``"other"``.
        architecture, arguments: timm model name and keyword arguments.
        patch_size: side of a patch, in pixels; None for a model without patches.
        prefix_tokens: class and register tokens before the patch tokens.
        mean, std: per channel, of the [0, 1] images the encoder was trained on.
        pooling: what makes the representation: ``"class_token"``, ``"patch_mean"``, or ``"global_average"`` of a feature map.
        images_seen, seconds: length of the training; None where unknown.
        command, commit: how to train it again; commit of this repository.
        data: training images.
        seed: of weights, order and augmentations; None where unknown.
        licence, source: of the weights.
        sha256: of the safetensors file.
        extras: prefixes of further tensors in the file that are not the encoder's (a decoder, a mask token).
        input_size: side that images are resized to before they enter, in pixels; None where they enter as they are.
    """

    method: str
    family: str
    architecture: str
    arguments: dict
    patch_size: int | None
    prefix_tokens: int
    mean: list[float]
    std: list[float]
    pooling: str
    images_seen: int | None
    seconds: int | None
    command: str
    commit: str
    data: str
    seed: int | None
    licence: str
    source: str
    sha256: str
    extras: list[str] = field(default_factory=list)
    input_size: int | None = None

    def __post_init__(self):
        for name, allowed in (("family", FAMILIES), ("pooling", POOLINGS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"card field {name!r} is one of {allowed}, got {getattr(self, name)!r}")


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_card(card: Card, path: Path) -> None:
    """Write a card as YAML."""
    Path(path).write_text(yaml.safe_dump(asdict(card), sort_keys=False, allow_unicode=True, width=100))


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        FileNotFoundError: no such card; the message lists the cards of this repository.
        ValueError: not YAML, missing or unknown fields, or a value that is not allowed.
    """
    path = Path(path)
    if not path.is_file():
        known = sorted(str(p.relative_to(CHECKPOINTS).with_suffix("")) for p in CHECKPOINTS.rglob("*.yaml"))
        raise FileNotFoundError(f"no card at {path}; encoders here: {', '.join(known) or 'none'}")
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}, expected the fields of a card")
    expected = set(Card.__dataclass_fields__)
    missing, unknown = expected - set(values) - {"extras", "input_size"}, set(values) - expected
    if missing or unknown:
        raise ValueError(f"{path} is not a card: missing fields {sorted(missing)}, unknown fields {sorted(unknown)}")
    return Card(**values)


def list_cards(group: str) -> list[str]:
    """Names of the encoders of a group, such as ``"fashion"``, as ``"fashion/moco-v3-s"``."""
    return sorted(f"{group}/{path.stem}" for path in (CHECKPOINTS / group).glob("*.yaml"))
