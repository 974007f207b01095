"""DINO: the student matches the teacher's distribution over prototypes; centring and sharpening
prevent collapse.

Caron et al. (2021), *Emerging Properties in Self-Supervised Vision Transformers*, algorithm 1 (two
global views, no multi-crop).
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import contrastive_views
from lib.pretrain.distributed import gather
from lib.pretrain.heads import cosine_momentum, frozen_copy, momentum_update


def dino_loss(
    student: Tensor,
    teacher: Tensor,
    centre: Tensor,
    student_temperature: float,
    teacher_temperature: float,
) -> Tensor:
    """Cross-entropy of the student's distribution under the centred, sharpened teacher's.

    L = −mean_i Σ_k P_t(k) log P_s(k), P_t = softmax((t − c)/τ_t), P_s = softmax(s/τ_s); t is a
    constant.

    Args:
        student, teacher: ``(n, prototypes)`` logits.
        centre: ``(prototypes,)``.
    """
    target = F.softmax((teacher.detach() - centre) / teacher_temperature, dim=1)
    return -(target * F.log_softmax(student / student_temperature, dim=1)).sum(1).mean()


class PrototypeHead(nn.Module):
    """Three-layer MLP with GELU to a normalised bottleneck, then weight-normalised prototypes of
    unit length.

    With ``batch_norm`` hidden units are normalised over the batch, the option ``use_bn_in_head`` of
    https://github.com/facebookresearch/dino/blob/04c0ad957c9fd04cced6d703668bc049586d1d21/vision_transformer.py
    """

    def __init__(
        self, features: int, hidden: int, bottleneck: int, prototypes: int, batch_norm: bool
    ):
        super().__init__()
        norm = nn.BatchNorm1d if batch_norm else nn.Identity
        hidden_layers = [
            part
            for width in (features, hidden)
            for part in (nn.Linear(width, hidden), norm(hidden), nn.GELU())
        ]
        self.layers = nn.Sequential(*hidden_layers, nn.Linear(hidden, bottleneck))
        self.prototypes = nn.Parameter(nn.init.normal_(torch.empty(prototypes, bottleneck)))

    def forward(self, features: Tensor) -> Tensor:
        """Cosine of the bottleneck with each prototype, ``(n, prototypes)``."""
        return F.normalize(self.layers(features), dim=1) @ F.normalize(self.prototypes, dim=1).T


class DINO(nn.Module):
    """Student and momentum teacher on two views, each matched to the other.

    Args:
        encoder: network from images to ``(n, features)``.
        features: width of the encoder's output.
        hidden, bottleneck, prototypes: of the head (2048, 256 and 65536 in the paper).
        momentum: of the teacher, raised to 1 along a half cosine.
        batch_norm: in the head; not in the paper's, but few steps learn little without it, since
            all images start with nearly the same logits.
        student_temperature, teacher_temperature: τ_s, τ_t.
        centre_momentum: of the running mean of the teacher's logits.
    """

    family = "CL"

    def __init__(
        self, encoder: nn.Module, features: int, hidden: int = 512, bottleneck: int = 64,
        prototypes: int = 512, momentum: float = 0.99, batch_norm: bool = True,
        student_temperature: float = 0.1, teacher_temperature: float = 0.04,
        centre_momentum: float = 0.9,
    ):  # fmt: skip
        super().__init__()
        self.encoder = encoder
        self.head = PrototypeHead(features, hidden, bottleneck, prototypes, batch_norm)
        self.teacher_encoder, self.teacher_head = frozen_copy(encoder), frozen_copy(self.head)
        self.register_buffer("centre", torch.zeros(prototypes))
        self.register_buffer("batch_centre", torch.zeros(prototypes))
        self.momentum, self.centre_momentum = momentum, centre_momentum
        self.temperatures = student_temperature, teacher_temperature

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: two views of each image."""
        return contrastive_views(batch, generator)

    def forward(self, view_1: Tensor, view_2: Tensor) -> Tensor:
        """Mean of both directions, for views ``(n, channels, height, width)``, normalised;
        remembers the teacher's mean logits."""
        student_1, student_2 = (
            self.head(gather(self.encoder(view_1))),
            self.head(gather(self.encoder(view_2))),
        )
        with torch.no_grad():
            teacher_1, teacher_2 = (
                self.teacher_head(gather(self.teacher_encoder(view))) for view in (view_1, view_2)
            )
            self.batch_centre = torch.cat([teacher_1, teacher_2]).mean(0)
        pairs = (student_1, teacher_2), (student_2, teacher_1)
        return (
            sum(
                dino_loss(student, teacher, self.centre, *self.temperatures)
                for student, teacher in pairs
            )
            / 2
        )

    @torch.no_grad()
    def update(self, progress: float) -> None:
        """Move the teacher and the centre; ``progress`` in [0, 1] is the share of the training
        done."""
        momentum = cosine_momentum(self.momentum, progress)
        momentum_update(self.teacher_encoder, self.encoder, momentum)
        momentum_update(self.teacher_head, self.head, momentum)
        self.centre.lerp_(self.batch_centre, 1 - self.centre_momentum)
