"""BYOL: predict the momentum network's projection of the other view; no negatives.

Grill et al. (2020), *Bootstrap Your Own Latent*, equations 2 to 4.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import contrastive_views
from lib.pretrain.distributed import gather
from lib.pretrain.heads import cosine_momentum, frozen_copy, mlp, momentum_update


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of the normalised vectors: L = mean_i ‖p̂_i − ẑ_i‖² = 2 − 2 mean_i p̂_i
    · ẑ_i, with z a constant.

    Args:
        prediction, target: ``(n, features)``; no gradient flows to the target.

    >>> regression_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])).item()
    2.0
    """
    return (2 - 2 * F.cosine_similarity(prediction, target.detach(), dim=1)).mean()


class BYOL(nn.Module):
    """Online network (encoder, projector, predictor) against a momentum network (encoder,
    projector).

    Args:
        encoder: network from images to ``(n, features)``.
        features: width of the encoder's output.
        hidden, outputs: widths of projector and predictor (4096 and 256 in the paper).
        momentum: of the target network, raised to 1 along a half cosine (0.996 in the paper, for
            batches of 4096).
    """

    family = "CL"

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        hidden: int = 512,
        outputs: int = 128,
        momentum: float = 0.99,
    ):
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(2, features, hidden, outputs, last_norm=False)
        self.predictor = mlp(2, outputs, hidden, outputs, last_norm=False)
        self.momentum_encoder, self.momentum_projector = (
            frozen_copy(encoder),
            frozen_copy(self.projector),
        )
        self.momentum = momentum

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: two views of each image."""
        return contrastive_views(batch, generator)

    def forward(self, view_1: Tensor, view_2: Tensor) -> Tensor:
        """Symmetric loss of two views, each ``(n, channels, height, width)``, normalised."""
        prediction_1, prediction_2 = (
            self.predictor(self.projector(gather(self.encoder(view)))) for view in (view_1, view_2)
        )
        with torch.no_grad():
            target_1, target_2 = (
                self.momentum_projector(gather(self.momentum_encoder(view)))
                for view in (view_1, view_2)
            )
        return regression_loss(prediction_1, target_2) + regression_loss(prediction_2, target_1)

    def update(self, progress: float) -> None:
        """Move the momentum network; ``progress`` in [0, 1] is the share of the training done."""
        momentum = cosine_momentum(self.momentum, progress)
        momentum_update(self.momentum_encoder, self.encoder, momentum)
        momentum_update(self.momentum_projector, self.projector, momentum)
