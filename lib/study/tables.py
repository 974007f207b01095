"""Tidy result tables: one row a measured value, with its interval and the number of images behind it."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.study.intervals import bootstrap_mean
from lib.study.layout import ROOT

RESULTS = ROOT / "data" / "results"
COLUMNS = ["encoder", "depth", "head", "metric", "value", "low", "high", "n"]


def depth_rows(encoder: str, metric: str, values: ArrayLike, seed: int = 0) -> pd.DataFrame:
    """Rows of a statistic by block: every head, and ``head = "mean"`` for the average over heads.

    Args:
        encoder, metric: names for the table.
        values: ``(images, depth, heads)``.
        seed: of the bootstrap.
    """
    values = np.asarray(values)
    if values.ndim != 3:
        raise ValueError(f"expected values (images, depth, heads), got shape {values.shape}")
    with_mean = np.concatenate([values.mean(2, keepdims=True), values], axis=2)
    mean, low, high = bootstrap_mean(with_mean, seed=seed)
    names = ["mean", *range(1, values.shape[2] + 1)]
    return pd.DataFrame(
        [
            (encoder, depth + 1, head, metric, mean[depth, h], low[depth, h], high[depth, h], len(values))
            for depth in range(values.shape[1])
            for h, head in enumerate(names)
        ],
        columns=COLUMNS,
    )


def score_row(encoder: str, metric: str, values: ArrayLike, seed: int = 0) -> dict:
    """One row of a statistic of a whole encoder, from one value per image ``(images,)``."""
    mean, low, high = bootstrap_mean(values, seed=seed)
    return dict(zip(COLUMNS, (encoder, None, None, metric, mean.item(), low.item(), high.item(), len(np.asarray(values))), strict=True))


def write_table(table: pd.DataFrame, profile: str, name: str) -> Path:
    """Write ``data/results/<profile>/<name>.csv`` with six significant digits, so that equal runs give equal files."""
    path = RESULTS / profile / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    return path


def training_log(path: Path) -> pd.DataFrame:
    """The log of a training, one row each time it was watched: images seen, seconds, loss, spread, k-NN accuracy."""
    return pd.read_csv(path)
