"""Contrastive learning and masked image modelling at once, on one encoder.

Park et al. (2023), Fig. 12: L = (1 − λ) L_MIM + λ L_CL; λ = 0 is SimMIM, λ = 1 is MoCo v3.
"""

from timm.models.vision_transformer import VisionTransformer
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.simmim import SimMIM


class Hybrid(nn.Module):
    """Weighted sum of both objectives; what has weight 0 is not computed.

    For every λ the patch projection is trained, unlike in MoCo v3 alone, so that λ is all that
    differs.

    Args:
        encoder: timm ViT, shared.
        features: its width.
        weight: λ in [0, 1], the share of the contrastive loss.
        heads: ``hidden`` and ``outputs`` of :class:`MoCoV3`.
    """

    def __init__(self, encoder: VisionTransformer, features: int, weight: float, **heads: int):
        super().__init__()
        if not 0 <= weight <= 1:
            raise ValueError(f"the weight λ of the contrastive loss is in [0, 1], got {weight}")
        self.encoder, self.weight = encoder, weight
        self.mim = SimMIM(encoder, features) if weight < 1 else None
        self.cl = MoCoV3(encoder, features, random_patches=False, **heads) if weight > 0 else None
        self.family = "MIM" if weight == 0 else "CL" if weight == 1 else "other"

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: what each objective draws, one after the other."""
        return tuple(
            tensor
            for part in (self.mim, self.cl)
            if part is not None
            for tensor in part.draw(batch, generator)
        )

    def forward(self, *drawn: Tensor) -> Tensor:
        """(1 − λ) L_MIM + λ L_CL of what :meth:`draw` returned."""
        loss = drawn[0].new_zeros(())
        if self.mim is not None:
            loss = loss + (1 - self.weight) * self.mim(*drawn[:2])
        if self.cl is not None:
            loss = loss + self.weight * self.cl(*drawn[-2:])
        return loss

    def update(self, progress: float) -> None:
        """Move the momentum encoder, if there is one."""
        if self.cl is not None:
            self.cl.update(progress)
