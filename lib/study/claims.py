"""Claims of the papers, judged by a rule that is written down before the results are seen (``book/claims.yaml``)."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.typing import ArrayLike
from torch import Tensor

from lib.study.intervals import bootstrap_mean, bootstrap_sums
from lib.study.layout import ROOT

CLAIMS = ROOT / "book" / "claims.yaml"
FIELDS = ["id", "paper", "figure", "statement", "statistic", "threshold"]
ABOUT = ["shows", "reported"]  # optional, for the book: name of our figure, what the paper found
VERDICTS = ("reproduced", "not reproduced", "undecided")


def load_claims(path: Path = CLAIMS) -> dict[str, dict]:
    """Claims by id.

    Raises:
        ValueError: a claim that lacks a field, has an unknown one, or repeats an id.
    """
    claims: dict[str, dict] = {}
    for claim in yaml.safe_load(Path(path).read_text()):
        if not set(FIELDS) <= set(claim) <= {*FIELDS, *ABOUT}:
            raise ValueError(f"{path}: a claim has the fields {FIELDS} and may have {ABOUT}, got {list(claim)}")
        if claim["id"] in claims:
            raise ValueError(f"{path}: the id {claim['id']!r} stands twice")
        claims[claim["id"]] = claim
    return claims


def verdict(low: float, high: float, threshold: float) -> str:
    """Where an effect's interval lies relative to the claim's threshold.

    >>> verdict(0.1, 0.2, 0.05), verdict(-0.2, 0.01, 0.05), verdict(0.0, 0.1, 0.05)
    ('reproduced', 'not reproduced', 'undecided')
    """
    if low > threshold:
        return "reproduced"
    return "not reproduced" if high < threshold else "undecided"


def judge_estimate(claim_id: str, estimate: Sequence[float], n: int, encoders: str, path: Path = CLAIMS) -> dict:
    """A row of the claims table from an effect whose interval is known: effect, interval and verdict.

    Args:
        claim_id: id in ``book/claims.yaml``.
        estimate: effect, low, high, oriented so that the claim says "above the threshold".
        n: number of images behind it.
        encoders: which encoders were compared.

    Raises:
        ValueError: an unknown id.
    """
    claims = load_claims(path)
    if claim_id not in claims:
        raise ValueError(f"no claim {claim_id!r} in {path}; known: {', '.join(claims)}")
    effect, low, high = (float(x) for x in estimate)
    claim = claims[claim_id]
    return claim | dict(effect=effect, low=low, high=high, n=n, verdict=verdict(low, high, claim["threshold"]), encoders=encoders)


def judge(claim_id: str, effects: ArrayLike, encoders: str, seed: int = 0, path: Path = CLAIMS) -> dict:
    """As :func:`judge_estimate`, for an effect that is a mean over images.

    Args:
        claim_id, encoders: as there.
        effects: ``(images,)``, the claim's statistic for each image.
        seed: of the bootstrap.
    """
    return judge_estimate(claim_id, bootstrap_mean(effects, seed=seed), len(np.asarray(effects)), encoders, path)


def judge_smallest(claim_id: str, effects: ArrayLike, encoders: str, seed: int = 0, path: Path = CLAIMS) -> dict:
    """As :func:`judge`, for a claim about every encoder: its effect is the smallest of their means.

    Args:
        claim_id, encoders, seed: as there.
        effects: ``(images, encoders)``, the claim's statistic for each.
    """
    n = len(np.asarray(effects))
    return judge_estimate(claim_id, bootstrap_sums(effects, lambda sums: sums.min(1) / n, seed=seed), n, encoders, path)


def claims_table(rows: list[dict]) -> pd.DataFrame:
    """Judged claims as a table, in the order of ``FIELDS`` and the measured columns."""
    return pd.DataFrame(rows, columns=[*FIELDS, "effect", "low", "high", "n", "verdict", "encoders"])


def over_blocks(values: Tensor, where: Callable[[int], list[int]]) -> np.ndarray:
    """Average a statistic ``(images, depth, heads)`` over the heads and over some blocks, ``late`` or ``early``: ``(images,)``."""
    return values[:, where(values.shape[1])].mean((1, 2)).numpy()


def two_thirds(depth: int) -> int:
    """Number of the block at two thirds of the depth, rounded up.

    >>> two_thirds(8), two_thirds(12)
    (6, 8)
    """
    return -(-2 * depth // 3)


def late(depth: int) -> list[int]:
    """Indices of the blocks deeper than two thirds of the encoder.

    >>> late(8), late(12)
    ([5, 6, 7], [8, 9, 10, 11])
    """
    return [block for block in range(depth) if 3 * (block + 1) > 2 * depth]


def early(depth: int) -> list[int]:
    """Indices of the blocks up to one third of the encoder.

    >>> early(8), early(12)
    ([0, 1], [0, 1, 2, 3])
    """
    return [block for block in range(depth) if 3 * (block + 1) <= depth]


def gap(first: dict[str, Tensor], second: dict[str, Tensor], metric: str, where: Callable[[int], list[int]] = late) -> np.ndarray:
    """One encoder's statistic minus another's on the same images, over ``late`` blocks unless told: ``(images,)``."""
    return over_blocks(first[metric], where) - over_blocks(second[metric], where)
