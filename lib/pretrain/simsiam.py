"""SimSiam: two views predict each other, with a stop-gradient instead of negatives or a momentum
encoder.

Chen, He (2021), *Exploring Simple Siamese Representation Learning*, algorithm 1.
"""

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import contrastive_views
from lib.pretrain.distributed import gather
from lib.pretrain.heads import mlp


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """D(p, z) = −mean_i p̂_i · ẑ_i, with z a constant.

    Args:
        prediction, target: ``(n, features)``; no gradient flows to the target.
    """
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()


class SimSiam(nn.Module):
    """L = ½ D(p₁, stopgrad z₂) + ½ D(p₂, stopgrad z₁).

    Args:
        encoder: network from images to ``(n, features)``.
        features: width of the encoder's output.
        hidden: width of the projector (2048 in the paper); the predictor's bottleneck is a quarter
            of it.
    """

    family = "CL"

    def __init__(self, encoder: nn.Module, features: int, hidden: int = 512):
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(3, features, hidden, hidden)
        self.predictor = mlp(2, hidden, hidden // 4, hidden, last_norm=False)

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: two views of each image."""
        return contrastive_views(batch, generator)

    def forward(self, view_1: Tensor, view_2: Tensor) -> Tensor:
        """Symmetric loss of two views, each ``(n, channels, height, width)``, normalised."""
        z_1, z_2 = (
            self.projector(gather(self.encoder(view_1))),
            self.projector(gather(self.encoder(view_2))),
        )
        p_1, p_2 = self.predictor(z_1), self.predictor(z_2)
        return (negative_cosine(p_1, z_2) + negative_cosine(p_2, z_1)) / 2

    def update(self, progress: float) -> None:
        """Nothing to do after a step."""
