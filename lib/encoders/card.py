"""A card says what an encoder is, what it saw, and which file holds it."""

import hashlib
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

import yaml

CHECKPOINTS = Path(__file__).resolve().parents[2] / "data" / "checkpoints"
FAMILIES = ("CL", "MIM", "other")
POOLINGS = ("class_token", "patch_mean", "global_average", "attention_pool")
# arguments of timm that would fetch weights or a configuration, or read a file
FETCHING = (
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
)


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
        pooling: what makes the representation: ``"class_token"``, ``"patch_mean"``, or
            ``"global_average"`` of a feature map.
        images_seen, seconds: length of the training; None where unknown.
        command, commit: how to train it again; commit of this repository.
        data: training images.
        seed: of weights, order and augmentations; None where unknown.
        licence, source: of the weights.
        sha256: of the safetensors file.
        extras: prefixes of further tensors in the file that are not the encoder's (a decoder, a
            mask token).
        input_size: side that images are resized to before they enter, in pixels; None where they
            enter as they are.
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
        """Refuse values that cannot be meant.

        Raises:
            ValueError: of another type than the field's; a family or pooling that is not known;
                arguments that would fetch something; statistics that are not finite
                or do not match.
        """
        for field_ in fields(self):
            value = getattr(self, field_.name)
            if not is_of_kind(value, field_.type):
                kind = field_.type if get_args(field_.type) else field_.type.__name__
                raise ValueError(f"card field {field_.name!r} is of type {kind}, got {value!r}")
        for name, allowed in (("family", FAMILIES), ("pooling", POOLINGS)):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"card field {name!r} is one of {allowed}, got {getattr(self, name)!r}"
                )
        if fetching := sorted(set(FETCHING) & set(self.arguments)):
            raise ValueError(
                f"card field 'arguments' may not hold {', '.join(fetching)}: an encoder is its file"
            )
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not values or not all(
                isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
                for v in values
            ):
                raise ValueError(f"card field {name!r} holds finite numbers, got {values}")
        if len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError(
                "card fields 'mean' and 'std' hold one number a channel each, of 'std' positive,"
                f" got {self.mean} and {self.std}"
            )
        for name, least in (("patch_size", 1), ("prefix_tokens", 0), ("input_size", 1)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(
                    f"card field {name!r} is at least {least}, got {getattr(self, name)}"
                )


def is_of_kind(value: object, kind: object) -> bool:
    """Whether a value is of a field's type: a class, a list of strings, or one of several.

    >>> is_of_kind(["a"], list[str]), is_of_kind([1], list[str]), is_of_kind(None, int | None)
    (True, False, True)
    >>> is_of_kind(True, int)
    False
    """
    for option in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        of_kind = isinstance(value, get_origin(option) or option) and not isinstance(value, bool)
        if of_kind and (option != list[str] or all(isinstance(item, str) for item in value)):
            return True
    return False


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_card(card: Card, path: Path) -> None:
    """Write a card as YAML."""
    Path(path).write_text(
        yaml.safe_dump(asdict(card), sort_keys=False, allow_unicode=True, width=100)
    )


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        FileNotFoundError: no such card; the message lists the cards of this repository.
        ValueError: not YAML, missing or unknown fields, or a value that is not allowed.
    """
    path = Path(path)
    if not path.is_file():
        known = sorted(
            str(p.relative_to(CHECKPOINTS).with_suffix("")) for p in CHECKPOINTS.rglob("*.yaml")
        )
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
        raise ValueError(
            f"{path} is not a card: missing fields {sorted(missing)}, unknown fields"
            f" {sorted(unknown)}"
        )
    return Card(**values)
