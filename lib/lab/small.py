"""What every module of the lab looks at: a few test images, one encoder of each kind, and the null."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.data.dataset import load_images
from lib.data.images import Images
from lib.encoders.card import CHECKPOINTS, read_card
from lib.encoders.encoder import Encoder
from lib.encoders.load import load_encoder, random_encoder

PAIRS = {  # images -> contrastive encoder, masked image model
    "fashion": ("fashion/moco-v3-s", "fashion/simmim-s"),
    "imagenette": ("imagenette/moco-v3-s", "imagenette/simmim-s"),
}
CONTRASTIVE, MASKED, UNTRAINED = "contrastive", "masked", "random weights"


@dataclass(frozen=True)
class Lab:
    """Images and encoders of the lab.

    Attributes:
        train, test: images with labels, none of them in both; no encoder was trained on them.
        encoders: ``"contrastive"``, ``"masked"`` and ``"random weights"``.
    """

    train: Images
    test: Images
    encoders: dict[str, Encoder]

    @property
    def images(self) -> Tensor:
        """Test images ``(n, channels, height, width)`` in [0, 1]."""
        return self.test.images

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (down, across)."""
        return self.encoders[MASKED].grid(self.images)

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return self.encoders[MASKED].patch_size


def load_lab(dataset: str = "fashion", test: int = 64, train: int = 1000, seed: int = 0) -> Lab:
    """Images and encoders of the lab, in a second or two on garments.

    Args:
        dataset: ``"fashion"``, garments that the repository carries; ``"imagenette"``, or
            ``"imagenette:/path/to/folder"``, photographs, where they and their encoders are
            present.
        test, train: how many images.
        seed: of the sample and of the random weights.

    Raises:
        ValueError: no pair of encoders for these images.
        FileNotFoundError: images or encoders that are not here, named.
    """
    name = dataset.partition(":")[0]
    if name not in PAIRS:
        raise ValueError(f"dataset is one of {sorted(PAIRS)}, got {dataset!r}")
    contrastive, masked = PAIRS[name]
    card = read_card(CHECKPOINTS / f"{contrastive}.yaml")
    encoders = {
        CONTRASTIVE: load_encoder(contrastive),
        MASKED: load_encoder(masked),
        UNTRAINED: random_encoder(card, seed),
    }
    drawn = load_images(dataset, "test").sample(test + train, seed)
    order = torch.arange(test + train)
    return Lab(drawn.subset(order[test:]), drawn.subset(order[:test]), encoders)


def attention_by_block(encoder: Encoder, images: Tensor) -> Tensor:
    """Attention of every block with its prefix tokens, ``(depth, batch, heads, tokens, tokens)``."""
    maps: list[Tensor] = []
    encoder.observe(images, lambda block: maps.append(block.attention.to(images.device, copy=True)))
    return torch.stack(maps)


def tokens_by_block(encoder: Encoder, images: Tensor) -> Tensor:
    """All tokens after every block, without the last norm, ``(depth, batch, tokens, width)``."""
    tokens: list[Tensor] = []
    encoder.observe(
        images, lambda block: tokens.append(block.tokens_out.to(images.device, copy=True))
    )
    return torch.stack(tokens)


def list_cards(group: str) -> list[str]:
    """Names of the encoders of a group, such as ``"fashion"``, as ``"fashion/moco-v3-s"``."""
    return sorted(f"{group}/{path.stem}" for path in (CHECKPOINTS / group).glob("*.yaml"))
