"""The evaluation of Table 1 of SSLA for one encoder, under both readings of its settings; kept beside the tables, since it takes minutes an encoder."""

from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from lib.attribution.blur_range import blur_range
from lib.attribution.mask_and_attack import PAPER_ATTACKS, RATES, STRATEGIES, Attack, mask_and_attack
from lib.attribution.ssla import ssla
from lib.attribution.views import Variation, draw_mean_views
from lib.encoders.encoder import Encoder
from lib.study import tables
from lib.study.kept import content_hash, encoder_hash, kept
from lib.study.layout import ROOT
from lib.study.style import short

CODE = [
    *(ROOT / "lib" / "attribution" / f"{name}.py" for name in ("ssla", "mask_and_attack", "invariance_score", "ranking", "views")),
    ROOT / "lib" / "pretrain" / "augment.py", ROOT / "lib" / "data" / "draws.py",
]  # fmt: skip
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
    """R1: they set the attack, and SSLA walks x/T in 10 steps. R2: they set SSLA's path, and the attack is one step of ε from a random start.

    Raises:
        ValueError: another reading, a method that is not in the paper's table.
    """
    if method not in PAPER_ATTACKS:
        raise ValueError(f"the paper has settings for {', '.join(PAPER_ATTACKS)}; got {method!r}")
    settings = PAPER_ATTACKS[method]
    if name == "R1":
        return Reading(dict(steps=10, step_rule="pixel"), settings)
    if name == "R2":
        path = dict(steps=settings.steps, step_rule="sign", step_size=settings.step_size, epsilon=settings.epsilon)
        return Reading(path, Attack(1, settings.epsilon, settings.epsilon))
    raise ValueError(f"a reading is 'R1' or 'R2', got {name!r}")


def variation(method: str) -> Variation:
    """What an encoder's views are: random masks for MAE, which is trained on them, the five augmentations for any other method."""
    return "masks" if method == "MAE" else "augmentations"


def protected_similarity(
    profile: str, encoder: Encoder, images: Tensor, indices: Tensor, method: str, name: Name, views: int = 8, random_masks: int = 5, seed: int = 0,
) -> dict[str, Tensor]:  # fmt: skip
    """cos(f(x), f(x̃)) with the important, the unimportant or random pixels protected, at every rate of the paper.

    Kept in ``data/results/PROFILE/attacked`` by batches of images, under a hash of weights, images, options and code: a run that was stopped goes on where
    it was, and a run with more images adds to what is there.

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

    Returns:
        ``"important"``, ``"unimportant"``: ``(n, 11)``; ``"random"``: ``(n, random_masks, 11)``.
    """
    setting = reading(name, method)
    kind, blur = variation(method), blur_range(images)
    options = dict(path=setting.path, attack=asdict(setting.attack), rates=RATES, views=views, variation=kind, masks=random_masks, seed=seed)
    options |= dict(blur=blur) if blur[1] > 0.5 else {}  # absent from the hash of what is kept at 28 px
    folder, weights = tables.RESULTS / profile / "attacked", encoder_hash(encoder)
    key = lambda x, index: content_hash(weights, x, index, repr(options), *CODE)[:12]  # noqa: E731

    def attacked(x: Tensor, index: Tensor) -> dict[str, Tensor]:
        mean_views = draw_mean_views(encoder, x, index, views, seed, kind, blur=blur)
        attribution = ssla(encoder, x, mean_views, **setting.path).attribution
        common = dict(encoder=encoder, images=x, rates=RATES, attack=setting.attack, indices=index, batch_size=64)
        chosen = {s: mask_and_attack(attribution=attribution, strategy=s, seed=seed, **common) for s in ("important", "unimportant")}
        drawn = [mask_and_attack(attribution=None, strategy="random", seed=seed + draw, **common) for draw in range(random_masks)]
        return chosen | {"random": torch.stack(drawn, 1)}

    batches = list(zip(images.split(IMAGES_AT_ONCE), indices.split(IMAGES_AT_ONCE), strict=True))
    parts = [
        kept(folder / f"{short(encoder.name)}-{name}-{key(x, index)}.safetensors", lambda x=x, index=index: attacked(x, index))
        for x, index in tqdm(batches, desc=f"{name}, {encoder.name}", unit="batch")
    ]
    return {strategy: torch.cat([part[strategy] for part in parts]) for strategy in STRATEGIES}
