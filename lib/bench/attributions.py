"""SSLA and its evaluation against the passes through the encoder that they cannot do without, and
against captum."""

import torch
import torch.nn.functional as F

from lib.attribution.gradient_methods import integrated_gradients
from lib.attribution.invariance_score import mean_view
from lib.attribution.mask_and_attack import RATES, STRATEGIES, Attack, mask_and_attack
from lib.attribution.ssla import ssla
from lib.bench.clock import least_seconds
from lib.encoders.architecture import build_vit, vit_arguments
from lib.encoders.encoder import Encoder

AIM_SSLA, AIM_CAPTUM, AIM_ATTACK = 1.1, 1.0, 1.2


def forward_backward(encoder: Encoder, images: torch.Tensor) -> None:
    """One pass forward and the gradient to the images."""
    x = images.detach().requires_grad_()
    torch.autograd.grad(F.normalize(encoder(x), dim=1).sum(), x)


def measure(
    images: int = 64,
    steps: int = 10,
    views: int = 8,
    attack_steps: int = 4,
    attacked: int = 8,
    rounds: int = 5,
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the ViT-S of this study with random weights.

    Args:
        images: of the batch that SSLA and integrated gradients explain.
        steps: T of SSLA, and of captum's integral: equal numbers of evaluations in equal batches.
        views: N.
        attack_steps, attacked: steps, and images, of the evaluation at all rates with all
            strategies.
        rounds: how often.

    Returns:
        seconds by task; ratios: SSLA (with the views' representations) over its T forward-backward
        and N + 1 forward passes, SSLA's path over captum's integrated gradients, the evaluation
        over its passes.
    """
    torch.manual_seed(0)
    encoder = Encoder(build_vit(vit_arguments("s")), [0.3], [0.35], "patch_mean", name="vit-s")
    x, seen = torch.rand(images, 1, 28, 28), torch.rand(images, views, 1, 28, 28)
    z, index, attack = (
        mean_view(encoder, seen, images),
        torch.arange(images),
        Attack(attack_steps, 0.01),
    )
    pairs = len(RATES) * len(STRATEGIES) * attacked
    attribution = torch.rand_like(x)

    def passes() -> None:
        for _ in range(steps):
            forward_backward(encoder, x)
        for _ in range(views + 1):
            encoder.representations(x, images)

    def attack_passes() -> None:
        for start in range(0, pairs, images):
            batch = x[: min(images, pairs - start)]
            for _ in range(attack_steps):
                forward_backward(encoder, batch)
            encoder.representations(batch, images)

    def evaluation() -> None:
        for strategy in STRATEGIES:
            mask_and_attack(
                encoder,
                x[:attacked],
                attribution[:attacked],
                RATES,
                strategy,
                attack,
                index[:attacked],
                batch_size=images,
            )

    tasks = [
        ("T forward-backward, N + 1 forward", passes),
        (
            "SSLA with its views",
            lambda: ssla(encoder, x, mean_view(encoder, seen, images), steps, batch_size=images),
        ),
        ("SSLA's path", lambda: ssla(encoder, x, z, steps, batch_size=images)),
        (
            "captum's integrated gradients",
            lambda: integrated_gradients(encoder, x, z, steps=steps, batch_size=images),
        ),
        ("the attack's passes", attack_passes),
        ("mask and attack", evaluation),
    ]
    seconds = least_seconds(tasks, rounds)
    ratios = {
        "SSLA over its passes": (
            seconds["SSLA with its views"] / seconds["T forward-backward, N + 1 forward"]
        ),
        "SSLA's path over captum's integrated gradients": (
            seconds["SSLA's path"] / seconds["captum's integrated gradients"]
        ),
        "Mask and attack over its passes": (
            seconds["mask and attack"] / seconds["the attack's passes"]
        ),
    }
    return seconds, ratios
