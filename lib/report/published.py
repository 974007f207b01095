"""The papers' own values, to draw and to correlate with ours on a relative-depth axis."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from lib.paths import ROOT

PUBLISHED = ROOT / "data" / "published"


def load_published(name: str, column: str, **chosen: str) -> pd.DataFrame:
    """A published curve by depth, with columns ``relative_depth`` in [0, 1] and ``value``; see
    ``data/published/README.md``.

    Args:
        name: of the table.
        column: its values.
        chosen: column -> value of the rows to take, such as ``model="simmim"``.

    Raises:
        ValueError: no such rows.
    """
    table = pd.read_csv(PUBLISHED / f"{name}.csv")
    for key, value in chosen.items():
        table = table[table[key] == value]
    if table.empty:
        raise ValueError(f"{name}.csv has no rows with {chosen}")
    return pd.DataFrame(
        {"relative_depth": table["depth"] / table["depth"].max(), "value": table[column]}
    )


def rank_correlation(ours: ArrayLike, published: pd.DataFrame, first_depth: int = 1) -> float:
    """Spearman's rank correlation of our curve by block with a published one, interpolated at our
    relative depths.

    ``first_depth`` is 1 if our curve begins with the first block, 0 if it begins with what enters
    it.

    >>> curve = pd.DataFrame({"relative_depth": [0.25, 0.5, 0.75, 1.0], "value": [4.0, 3.0, 2.0, 1.0]})
    >>> round(rank_correlation([1.0, 2.0], curve), 6)
    -1.0
    """
    ours = np.asarray(ours, dtype=float)
    depth = np.arange(first_depth, first_depth + len(ours))
    depth = depth / depth.max()
    theirs = np.interp(depth, published["relative_depth"], published["value"])
    return float(spearmanr(ours, theirs).statistic)
