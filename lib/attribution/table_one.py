"""The evaluation of Table 1 of SSLA for one encoder, under both readings of its settings; kept
beside the tables, since it takes minutes an encoder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from lib import paths
from lib.attribution.blur_range import blur_range
from lib.attribution.mask_and_attack import (
    PAPER_ATTACKS,
    RATES,
    STRATEGIES,
    Attack,
    mask_and_attack,
)
from lib.attribution.ssla import ssla
from lib.attribution.views import Variation, draw_mean_views
from lib.encoders.encoder import Encoder
from lib.kept.files import kept

IMAGES_AT_ONCE = 25  # what is kept in one file
Name = Literal["R1", "R2"]


@dataclass(frozen=True)
class Reading:
    """What the step number, learning rate and ε of section 4.4 set.

    Attributes:
        path: options of :func:`lib.attribution.ssla.ssla`.
        attack: of the evaluation.
    """

    path: dict
    attack: Attack


def reading(name: Name, method: str) -> Reading:
    """R1: they set the attack, and SSLA walks x/T in 10 steps. R2: they set SSLA's path, and the
    attack is one step of ε from a random start.

    Raises:
        ValueError: another reading, a method that is not in the paper's table.
    """
    if method not in PAPER_ATTACKS:
        raise ValueError(f"the paper has settings for {', '.join(PAPER_ATTACKS)}; got {method!r}")
    settings = PAPER_ATTACKS[method]
    if name == "R1":
        return Reading(dict(steps=10, step_rule="pixel"), settings)
    if name == "R2":
        path = dict(
            steps=settings.steps,
            step_rule="sign",
            step_size=settings.step_size,
            epsilon=settings.epsilon,
        )
        return Reading(path, Attack(1, settings.epsilon, settings.epsilon))
    raise ValueError(f"a reading is 'R1' or 'R2', got {name!r}")


def variation(method: str) -> Variation:
    """What an encoder's views are: random masks for MAE, which is trained on them, the five
    augmentations for any other method."""
    return "masks" if method == "MAE" else "augmentations"


STRONGEST = 64.0  # times the paper's attack, whose ε is then 4, more than any image spans


def attack_of_strength(
    encoder: Encoder, images: Tensor, indices: Tensor, method: str, similarity: float, seed: int = 0
) -> tuple[Attack, float]:
    """The paper's attack with step and ε multiplied by one number, after which the similarity with
    nothing protected is as wanted.

    Found by seven bisections of the number's logarithm between 1 and ``STRONGEST``; the weaker end
    where the attack is too strong already, the stronger where it can never be strong enough.

    Args:
        encoder: f.
        images, indices: as for :func:`protected_similarity`; those of the search.
        method: whose settings are taken.
        similarity: wanted mean of cos(f(x), f(x̃)).
        seed: of the attack's start.

    Returns:
        the attack, and the similarity that it leaves.
    """
    settings = reading("R1", method).attack

    def scaled(by: float) -> Attack:
        return Attack(settings.steps, settings.step_size * by, settings.epsilon * by)

    def left(attack: Attack) -> float:
        found = mask_and_attack(
            encoder, images, None, [0.0], "random", attack, indices, seed, batch_size=64
        )
        return found.mean().item()

    low, high = 0.0, math.log2(STRONGEST)
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if left(scaled(2**middle)) > similarity else (low, middle)
    found = scaled(2 ** ((low + high) / 2))
    return found, left(found)


def protected_similarity(
    profile: str, encoder: Encoder, images: Tensor, indices: Tensor, method: str, name: Name,
    views: int = 8, random_masks: int = 5, seed: int = 0, rates: Sequence[float] = RATES,
    attack: Attack | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """cos(f(x), f(x̃)) with the important, the unimportant or random pixels protected, at every
    rate of the paper unless told.

    Kept in ``data/results/PROFILE/attacked`` by batches of images: a run that was stopped goes on
    where it was, and a run with more images adds to what is there.

    Args:
        profile: of the results.
        encoder: f.
        images: ``(n, channels, height, width)`` in [0, 1].
        indices: ``(n,)`` integer indices of the images in their data set.
        method: whose settings are taken; MAE's views are random masks, the others' augmentations.
        name: reading of the settings.
        views: N of the invariance score.
        random_masks: number of random masks per image and rate.
        seed: of views, masks, ties and starts.
        rates: shares of protected pixels.
        attack: instead of the reading's, such as :func:`attack_of_strength`.

    Returns:
        ``"important"``, ``"unimportant"``: ``(n, rates)``; ``"random"``: ``(n, random_masks,
        rates)``.
    """
    setting = reading(name, method)
    setting = Reading(setting.path, attack or setting.attack)
    options = dict(views=views, kind=variation(method), blur=blur_range(images))
    options |= dict(random_masks=random_masks, seed=seed, rates=rates)
    folder = paths.RESULTS / profile / "attacked"
    label = f"{encoder.name.rpartition('/')[2]}-{name}"
    batches = list(zip(images.split(IMAGES_AT_ONCE), indices.split(IMAGES_AT_ONCE), strict=True))
    parts = [
        kept(folder, label, attacked, encoder, x, index, setting, **options)
        for x, index in tqdm(batches, desc=f"{name}, {encoder.name}", unit="batch")
    ]
    return {strategy: torch.cat([part[strategy] for part in parts]) for strategy in STRATEGIES}


def attacked(
    encoder: Encoder, images: Tensor, indices: Tensor, setting: Reading, views: int,
    kind: Variation, blur: tuple[float, float], random_masks: int, seed: int,
    rates: Sequence[float],
) -> dict[str, Tensor]:  # fmt: skip
    """As :func:`protected_similarity`, computed, of a batch of images."""
    mean_views = draw_mean_views(encoder, images, indices, views, seed, kind, blur=blur)
    attribution = ssla(encoder, images, mean_views, **setting.path).attribution
    common = dict(encoder=encoder, images=images, rates=rates, attack=setting.attack)
    common |= dict(indices=indices, batch_size=64)
    chosen = {
        s: mask_and_attack(attribution=attribution, strategy=s, seed=seed, **common)
        for s in ("important", "unimportant")
    }
    drawn = [
        mask_and_attack(attribution=None, strategy="random", seed=seed + draw, **common)
        for draw in range(random_masks)
    ]
    return chosen | {"random": torch.stack(drawn, 1)}
