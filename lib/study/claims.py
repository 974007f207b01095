"""Claims of the papers, judged by a rule that is written down before the results are seen (``book/claims.yaml``)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.typing import ArrayLike
from torch import Tensor

from lib.study.intervals import bootstrap_mean
from lib.study.layout import ROOT

CLAIMS = ROOT / "book" / "claims.yaml"
FIELDS = ["id", "paper", "figure", "statement", "statistic", "threshold"]
VERDICTS = ("reproduced", "not reproduced", "undecided")


def load_claims(path: Path = CLAIMS) -> dict[str, dict]:
    """Claims by id.

    Raises:
        ValueError: a claim that lacks a field, has an unknown one, or repeats an id.
    """
    claims: dict[str, dict] = {}
    for claim in yaml.safe_load(Path(path).read_text()):
        if sorted(claim) != sorted(FIELDS):
            raise ValueError(f"{path}: a claim has the fields {FIELDS}, got {list(claim)}")
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


def judge(claim_id: str, effects: ArrayLike, encoders: str, seed: int = 0, path: Path = CLAIMS) -> dict:
    """A row of the claims table: effect, interval and verdict.

    Args:
        claim_id: id in ``book/claims.yaml``.
        effects: ``(images,)``, the claim's statistic for each image, oriented so that the claim says "above the threshold".
        encoders: which encoders were compared.
        seed: of the bootstrap.

    Raises:
        ValueError: an unknown id.
    """
    claims = load_claims(path)
    if claim_id not in claims:
        raise ValueError(f"no claim {claim_id!r} in {path}; known: {', '.join(claims)}")
    effects = np.asarray(effects)
    mean, low, high = (float(x) for x in bootstrap_mean(effects, seed=seed))
    claim = claims[claim_id]
    return claim | dict(effect=mean, low=low, high=high, n=len(effects), verdict=verdict(low, high, claim["threshold"]), encoders=encoders)


def claims_table(rows: list[dict]) -> pd.DataFrame:
    """Judged claims as a table, in the order of ``FIELDS`` and the measured columns."""
    return pd.DataFrame(rows, columns=[*FIELDS, "effect", "low", "high", "n", "verdict", "encoders"])


def over_blocks(values: Tensor, where: Callable[[int], list[int]]) -> np.ndarray:
    """Average a statistic ``(images, depth, heads)`` over the heads and over some blocks, ``late`` or ``early``: ``(images,)``."""
    return values[:, where(values.shape[1])].mean((1, 2)).numpy()


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
