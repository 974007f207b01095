"""The files that the encoders of a profile are made from, where they are to be fetched by hand."""

from dataclasses import dataclass, field

import timm
import torch

from lib.adopt.adopt import pooling_of
from lib.adopt.layouts import LAYOUTS
from lib.adopt.normalisation import statistics
from lib.encoders.card import FAMILIES, Card
from lib.encoders.load import token_layout
from lib.run.errors import StudyError


@dataclass(frozen=True)
class Wanted:
    """A file to fetch, and what becomes of it.

    Attributes:
        url: where it is, or ``timm:NAME``.
        method, family, architecture: for the card of the encoder.
        options: variables of ``make adopt``.
        arguments: of the architecture.
        input_size: side of the images, in pixels.
        sha256: of the file; None where nobody has published one.
        file: its name, where the address does not end with it.
    """

    url: str
    method: str
    family: str
    architecture: str
    options: dict = field(default_factory=dict)
    arguments: dict = field(default_factory=dict)
    input_size: int = 224
    sha256: str | None = None
    file: str | None = None

    def card(self) -> Card:
        """The card that the encoder will have, as far as it is known before the file is there."""
        with torch.device("meta"):
            model = timm.create_model(self.architecture, num_classes=0, **self.arguments)
        prefix_tokens, patch_size = token_layout(model)
        known = [row.normalisation for row in LAYOUTS if row.name == self.method]
        mean, std = statistics(next(filter(None, known), "imagenet"), 3)
        return Card(
            method=self.method, family=self.family, architecture=self.architecture,
            arguments=dict(num_classes=0) | self.arguments, patch_size=patch_size,
            prefix_tokens=prefix_tokens, mean=mean, std=std, pooling=pooling_of(model, self.family),
            images_seen=None, seconds=None, command="", commit="", data="", seed=None,
            licence="not stated", source=self.url, sha256="", input_size=self.input_size,
        )  # fmt: skip

    def command(self, name: str) -> str:
        """How to make the encoder ``custom/NAME``: fetch, then adopt."""
        of_hub = self.url.startswith(("timm:", "hf-hub:"))
        file = self.url if of_hub else f"/path/to/{self.file or self.url.rpartition('/')[2]}"
        options = (
            dict(METHOD=f"'{self.method}'", FAMILY=self.family)
            | self.options
            | ({"SHA256": self.sha256} if self.sha256 else {})
        )
        adopt = " ".join(
            [
                f"make adopt SOURCE={file} NAME={name.removeprefix('custom/')}",
                *(f"{key}={value}" for key, value in options.items()),
            ]
        )
        return adopt if of_hub else f"fetch {self.url}, then {adopt}"


def read_wanted(content: object, profile: str) -> dict[str, Wanted]:
    """The key ``fetch`` of a profile: encoder -> its file.

    Raises:
        StudyError: not a mapping of encoders ``custom/NAME`` to the fields of :class:`Wanted`, or
            an architecture that timm does not have.
    """
    if not isinstance(content, dict):
        raise StudyError(
            f"profile {profile}: `fetch` maps encoders to {', '.join(Wanted.__dataclass_fields__)}."
        )
    found = {}
    for name, facts in content.items():
        try:
            found[name] = Wanted(**facts)
        except TypeError as error:
            raise StudyError(
                f"profile {profile}: `fetch` of {name} takes"
                f" {', '.join(Wanted.__dataclass_fields__)}: {error}."
            ) from error
        if (
            not name.startswith("custom/")
            or found[name].family not in FAMILIES
            or not timm.is_model(found[name].architecture)
        ):
            raise StudyError(
                f"profile {profile}: `fetch` of {name} needs a name custom/…, a family of"
                f" {', '.join(FAMILIES)}, and an architecture of timm."
            )
    return found
