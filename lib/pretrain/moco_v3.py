"""MoCo v3: contrastive learning with a momentum encoder.

Chen, Xie, He (2021), *An Empirical Study of Training Self-Supervised Vision Transformers*,
algorithm 1;
https://github.com/facebookresearch/moco-v3/blob/c349e6e24f40d3fedb22d973f92defa4cedf37a7/moco/builder.py
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import contrastive_views
from lib.pretrain.distributed import gather
from lib.pretrain.heads import cosine_momentum, frozen_copy, mlp, momentum_update


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Contrastive loss of each query against all keys, its own key being the positive.

    L = −2τ · mean_i log( exp(q̂_i·k̂_i/τ) / Σ_j exp(q̂_i·k̂_j/τ) ), hats are L2-normalised.

    Args:
        queries: ``(n, features)``.
        keys: ``(n, features)``, treated as constants.
        temperature: τ > 0.

    Returns:
        scalar; the factor 2τ is the official code's.

    >>> round(info_nce(torch.eye(2), torch.eye(2), 1.0).item(), 4)  # 2 log(1 + 1/e)
    0.6265
    """
    logits = F.normalize(queries, dim=1) @ F.normalize(keys.detach(), dim=1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(queries), device=logits.device)) * (
        2 * temperature
    )


class MoCoV3(nn.Module):
    """Two views, a momentum encoder, projector and predictor, symmetric InfoNCE.

    A ViT's patch projection stays random, which keeps its training stable (the paper's section
    4.2); a convolutional stem is trained.

    Args:
        encoder: network from images to ``(n, features)``.
        features: width of the encoder's output.
        hidden, outputs: widths of projector and predictor (4096 and 256 in the paper).
        temperature: τ of :func:`info_nce` (0.2 for ViTs).
        momentum: of the momentum encoder, raised to 1 along a half cosine.
        random_patches: keep a ViT's patch projection as it was initialised.
        convolutional: heads for a ResNet, as in the official code: a projector of 2 layers, a
            predictor without the last norm.
    """

    family = "CL"

    def __init__(
        self, encoder: nn.Module, features: int, hidden: int = 512, outputs: int = 128,
        temperature: float = 0.2, momentum: float = 0.99, random_patches: bool = True,
        convolutional: bool = False,
    ):  # fmt: skip
        super().__init__()
        if (
            random_patches
            and hasattr(encoder, "patch_embed")
            and isinstance(encoder.patch_embed.proj, nn.Conv2d)
        ):
            encoder.patch_embed.requires_grad_(False)
        self.encoder = encoder
        self.projector = mlp(2 if convolutional else 3, features, hidden, outputs)
        self.predictor = mlp(2, outputs, hidden, outputs, last_norm=not convolutional)
        self.momentum_encoder = frozen_copy(encoder)
        self.momentum_projector = frozen_copy(self.projector)
        self.temperature, self.momentum = temperature, momentum

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: two views of each image."""
        return contrastive_views(batch, generator)

    def forward(self, view_1: Tensor, view_2: Tensor) -> Tensor:
        """Symmetric loss of two views, each ``(n, channels, height, width)``, normalised."""
        query_1, query_2 = (
            self.predictor(self.projector(gather(self.encoder(view)))) for view in (view_1, view_2)
        )
        with torch.no_grad():
            key_1, key_2 = (
                self.momentum_projector(gather(self.momentum_encoder(view)))
                for view in (view_1, view_2)
            )
        return info_nce(query_1, key_2, self.temperature) + info_nce(
            query_2, key_1, self.temperature
        )

    def update(self, progress: float) -> None:
        """Move the momentum encoder; ``progress`` in [0, 1] is the share of the training done."""
        momentum = cosine_momentum(self.momentum, progress)
        momentum_update(self.momentum_encoder, self.encoder, momentum)
        momentum_update(self.momentum_projector, self.projector, momentum)
