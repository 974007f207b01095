"""Supervised training with labels: the reference that is not self-supervised."""

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import random_background, random_resized_crop


class Supervised(nn.Module):
    """Cross-entropy of a linear head on the representation.

    Args:
        encoder: network from images to ``(n, features)``.
        features: width of the encoder's output.
        classes: number of classes.
    """

    family = "other"

    def __init__(self, encoder: nn.Module, features: int, classes: int = 10):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(features, classes)

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: one cropped view, with its label."""
        return (
            random_resized_crop(random_background(batch, generator), generator, scale=(0.5, 1.0)),
            batch.labels,
        )

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of images ``(n, c, h, w)``, normalised, and labels ``(n,)``."""
        return F.cross_entropy(self.head(self.encoder(images)), labels)

    def update(self, progress: float) -> None:
        """Nothing to do after a step."""
