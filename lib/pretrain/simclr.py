"""SimCLR: contrastive learning with the other images of the batch as negatives.

Chen, Kornblith, Norouzi, Hinton (2020), *A Simple Framework for Contrastive Learning of Visual
Representations*, equation 1.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import contrastive_views
from lib.pretrain.distributed import gather
from lib.pretrain.heads import mlp


def nt_xent(z_1: Tensor, z_2: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy over all 2n views.

    L = −(1/2n) Σ_i log( exp(ẑ_i·ẑ_p(i)/τ) / Σ_{j ≠ i} exp(ẑ_i·ẑ_j/τ) ), p(i) is the other view of
    the same image.

    Args:
        z_1, z_2: ``(n, features)``, row i of both from the same image.
        temperature: τ > 0.

    >>> round(nt_xent(torch.eye(2), torch.eye(2), 1.0).item(), 4)  # log(1 + 2/e)
    0.5514
    """
    z = F.normalize(torch.cat([z_1, z_2]), dim=1)
    logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    n = len(z_1)
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(logits, partner)


class SimCLR(nn.Module):
    """Two views, one projector, symmetric contrastive loss; no momentum, no predictor.

    Args:
        encoder: network from images to ``(n, features)``.
        features: width of the encoder's output.
        hidden, outputs: widths of the projector (2048 and 128 in the paper).
        temperature: τ of :func:`nt_xent`.
    """

    family = "CL"

    def __init__(
        self,
        encoder: nn.Module,
        features: int,
        hidden: int = 512,
        outputs: int = 128,
        temperature: float = 0.2,
    ):
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(2, features, hidden, outputs, last_norm=False)
        self.temperature = temperature

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: two views of each image."""
        return contrastive_views(batch, generator)

    def forward(self, view_1: Tensor, view_2: Tensor) -> Tensor:
        """Loss of two views, each ``(n, channels, height, width)``, normalised."""
        return nt_xent(
            self.projector(gather(self.encoder(view_1))),
            self.projector(gather(self.encoder(view_2))),
            self.temperature,
        )

    def update(self, progress: float) -> None:
        """Nothing to do after a step."""
