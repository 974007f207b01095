"""Tidy result tables: one row a measured value, with its interval and the number of images behind
it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib import paths
from lib.paths import TABLES
from lib.report.intervals import bootstrap_mean, bootstrap_sums

COLUMNS = ["encoder", "depth", "head", "metric", "value", "low", "high", "n"]


def depth_rows(
    encoder: str, metric: str, values: ArrayLike, seed: int = 0, first_depth: int = 1
) -> pd.DataFrame:
    """Rows of a statistic by block: ``head = "mean"`` for the average over heads, and every head if
    there are several.

    Args:
        encoder, metric: names for the table.
        values: ``(images, depth, heads)``; a statistic of the whole block has one "head".
        seed: of the bootstrap.
        first_depth: 1 for the first block, 0 if the values begin with what enters it.
    """
    values = np.asarray(values)
    if values.ndim != 3:
        raise ValueError(f"expected values (images, depth, heads), got shape {values.shape}")
    heads = values.shape[2]
    with_mean = (
        np.concatenate([values.mean(2, keepdims=True), values], axis=2) if heads > 1 else values
    )
    mean, low, high = bootstrap_mean(with_mean, seed=seed)
    names = ["mean", *(range(1, heads + 1) if heads > 1 else ())]
    return pd.DataFrame(
        [
            (
                encoder,
                depth + first_depth,
                head,
                metric,
                mean[depth, h],
                low[depth, h],
                high[depth, h],
                len(values),
            )
            for depth in range(values.shape[1])
            for h, head in enumerate(names)
        ],
        columns=COLUMNS,
    )


def curve_rows(
    encoder: str, metric: str, estimate: Sequence[ArrayLike], n: int, **positions: Sequence
) -> pd.DataFrame:
    """Rows of a statistic along a quantity.

    Args:
        encoder, metric: names for the table.
        estimate: value, low and high, each ``(points,)``.
        n: number of images behind each.
        positions: name of the quantity -> its ``points`` values; ``depth``, or a column of its own.

    >>> curve_rows("a", "accuracy", ([0.5], [0.4], [0.6]), 9, strength=[1.0])[["strength", "value", "n"]].values.tolist()
    [[1.0, 0.5, 9.0]]
    """
    value, low, high = (np.asarray(part, dtype=float) for part in estimate)
    columns = dict(
        encoder=encoder, depth=None, head=None, metric=metric, value=value, low=low, high=high, n=n
    )
    return pd.DataFrame(columns | {name: list(values) for name, values in positions.items()})


def score_row(
    encoder: str,
    metric: str,
    values: ArrayLike,
    seed: int = 0,
    of_sums: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict:
    """One row of a statistic of a whole encoder.

    Args:
        encoder, metric: names for the table.
        values: one value per image ``(images,)``, whose mean is the statistic; or ``(images, …)``,
            for ``of_sums``.
        seed: of the bootstrap.
        of_sums: statistic of the sums over images, such as ``mean_iou`` of confusion matrices.
    """
    values = np.asarray(values)
    mean, low, high = (
        bootstrap_sums(values, of_sums, seed=seed) if of_sums else bootstrap_mean(values, seed=seed)
    )
    return dict(
        zip(
            COLUMNS,
            (encoder, None, None, metric, mean.item(), low.item(), high.item(), len(values)),
            strict=True,
        )
    )


def write_table(table: pd.DataFrame, profile: str, name: str) -> Path:
    """Write ``data/results/<profile>/<name>.csv`` with six significant digits, so that equal runs
    give equal files. In a run, which publishes its tables together, to a folder of its own."""
    given = os.environ.get(TABLES)
    folder = Path(given) if given else paths.RESULTS / profile
    if not given:
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    return path


def training_log(path: Path) -> pd.DataFrame:
    """The log of a training, one row each time it was watched: images seen, seconds, loss, spread,
    k-NN accuracy."""
    return pd.read_csv(path)
