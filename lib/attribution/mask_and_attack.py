"""The evaluation of SSLA: attack what an attribution leaves unprotected, see how much the
representation turns.

SSLA (2025), sections 4.3 and 4.4, Table 1, Appendix D; its code was not released.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.attribution.checks import check_attribution, check_images
from lib.attribution.invariance_score import invariance_score
from lib.attribution.ranking import Unit, feature_count, importance_rank
from lib.data.draws import draws
from lib.encoders.batches import Rows, in_batches
from lib.encoders.encoder import Encoder

Strategy = Literal["important", "unimportant", "random"]
STRATEGIES = ("important", "unimportant", "random")


@dataclass(frozen=True)
class Attack:
    """An iterative sign attack (Kurakin, Goodfellow, Bengio 2017) in pixel space [0, 1].

    Attributes:
        steps: forward-backward passes.
        step_size: move of an entry in one step.
        epsilon: largest distance of an entry from the clean image.
    """

    steps: int
    step_size: float
    epsilon: float = 16 / 255


PAPER_ATTACKS = {  # SSLA (2025), section 4.4: "step number", "learning rate"
    "SimCLR": Attack(10, 0.001),
    "MoCo v3": Attack(50, 0.001),
    "MAE": Attack(50, 0.01),
    "BYOL": Attack(70, 0.001),
    "SimSiam": Attack(70, 0.001),
}
RATES = tuple(rate / 10 for rate in range(11))


def protection_order(
    images: Tensor,
    attribution: Tensor | None,
    strategy: Strategy,
    indices: Tensor,
    seed: int = 0,
    unit: Unit = "pixel",
) -> Tensor:
    """The order in which features are protected, 0 first: a mask of rate r protects those below
    round(r · features).

    Args:
        images: ``(n, channels, height, width)``.
        attribution: of the images' shape, or with one channel; None for ``"random"``, which ignores
            it.
        strategy: ``"important"`` (MI, the largest attribution first), ``"unimportant"`` (MU, the
            smallest first) or ``"random"``.
        indices: ``(n,)`` integer indices of the images in their data set.
        seed: of the random order, and of the order among equal attributions.
        unit: ``"pixel"`` or ``"entry"`` (each channel of a pixel on its own).

    Returns:
        ``(n, 1 or channels, height, width)`` int64.

    Raises:
        ValueError: an unknown strategy, no attribution where one is needed, one of another shape or
            not finite.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is one of {STRATEGIES}, got {strategy!r}")
    if strategy == "random":
        return importance_rank(torch.zeros_like(images), indices, seed, unit)
    if attribution is None:
        raise ValueError(f"strategy {strategy!r} needs an attribution, got None")
    check_attribution(attribution, images)
    attribution = attribution.expand_as(images) if unit == "entry" else attribution
    return importance_rank(
        attribution if strategy == "important" else -attribution, indices, seed, unit
    )


def perturb(
    encoder: Encoder,
    clean: Tensor,
    anchors: Tensor,
    attacked: Tensor,
    attack: Attack,
    noise: Tensor,
) -> Tensor:
    """The attacked images: the steps lower cos(f(x̃), f(x)) inside the ball; what is not attacked
    stays as it is, bit for bit.

    x̃₀ = x + m · step_size · u, x̃ ← Π(x̃ − m · step_size · sign ∂cos(f(x̃), f(x))/∂x̃), m = 1
    where attacked.

    The start is random because the gradient at x̃ = x is exactly 0; it is one step long at most, so
    that it adds little to the attack.

    Args:
        encoder: whose gradients are followed.
        clean: x, ``(n, channels, height, width)`` in [0, 1].
        anchors: f(x)/‖f(x)‖, ``(n, width)``.
        attacked: m, bool, of that shape or with one channel.
        attack: number and size of the steps, radius of the ball.
        noise: u in [−1, 1], of x's shape.

    Returns:
        x̃, in [0, 1] and at most ε from x.
    """
    low = torch.where(attacked, (clean - attack.epsilon).clamp(min=0), clean)
    high = torch.where(attacked, (clean + attack.epsilon).clamp(max=1), clean)
    x = (clean + attack.step_size * noise).clamp(low, high)
    for _ in range(attack.steps):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(invariance_score(encoder, x, anchors).sum(), x)
        x = (x.detach() - attack.step_size * gradient.sign()).clamp(low, high)
    return x


def mask_and_attack(
    encoder: Encoder, images: Tensor, attribution: Tensor | None, rates: Sequence[float],
    strategy: Strategy, attack: Attack | float, indices: Tensor, seed: int = 0,
    unit: Unit = "pixel", gradient_encoder: Encoder | None = None, batch_size: int = 256,
) -> Tensor:  # fmt: skip
    """Similarity that is left after an attack on the features that the mask does not protect.

    score = cos(f(x), f(x̃)); 1 is no effect. Protecting what matters keeps it high (MI), protecting
    what does not lets it fall (MU).

    Args:
        encoder: f.
        images: x, ``(n, channels, height, width)`` in [0, 1].
        attribution: of that shape, or with one channel; None for the strategy ``"random"``.
        rates: shares of the features to protect, in [0, 1].
        strategy: ``"important"`` (MI), ``"unimportant"`` (MU) or ``"random"``; see
            :func:`protection_order`.
        attack: such as those in ``PAPER_ATTACKS``; a number ε instead adds noise ε · sign(u)
            without any gradient.
        indices: ``(n,)`` integer indices of the images in their data set.
        seed: of the random masks, of ties, and of the start; an image's numbers depend on its index
            and the seed alone, and all rates and strategies share its start.
        unit: protect ``"pixel"`` by pixel or ``"entry"`` by entry.
        gradient_encoder: follow this encoder's gradients and still score f (a transferred attack);
            f itself where None.
        batch_size: attacked images at once, whatever the number of rates.

    Returns:
        ``(n, rates)`` in [−1, 1].

    Raises:
        ValueError: an unknown strategy or unit, a rate outside [0, 1], an attribution that does not
            fit, images outside [0, 1] or NaN.
    """
    check_images(images)
    images = images.detach()
    order = protection_order(images, attribution, strategy, indices, seed, unit)
    protected_count = torch.tensor(
        [feature_count(rate, order[0].numel()) for rate in rates], device=images.device
    )
    anchors = F.normalize(encoder.representations(images, batch_size), dim=1)
    guide = gradient_encoder or encoder
    guide_anchors = (
        anchors
        if guide is encoder
        else F.normalize(guide.representations(images, batch_size), dim=1)
    )

    def score(
        clean: Tensor, z: Tensor, guide_z: Tensor, rank: Tensor, count: Tensor, index: Tensor
    ):
        attacked, entries = rank >= count.reshape(-1, 1, 1, 1), clean[0].numel()
        # the first half orders random masks
        u = draws(index, 2 * entries, seed)[:, entries:].to(clean) * 2 - 1
        u = u.reshape(clean.shape)
        if isinstance(attack, Attack):
            x = perturb(guide, clean, guide_z, attacked, attack, u)
        else:
            x = torch.where(
                attacked, (clean + attack * torch.where(u < 0, -1.0, 1.0)).clamp(0, 1), clean
            )
        with torch.no_grad():
            return invariance_score(encoder, x, z)

    pair = torch.arange(len(images) * len(rates), device=images.device)
    image, rate = pair // len(rates), pair % len(rates)
    columns = (
        *(Rows(t, image) for t in (images, anchors, guide_anchors, order)),
        Rows(protected_count, rate),
        Rows(indices.to(images.device), image),
    )
    desc = f"attack on {encoder.name}"
    scores = in_batches(encoder, score, *columns, batch_size=batch_size, gradients=True, desc=desc)
    return scores.reshape(len(images), len(rates))
