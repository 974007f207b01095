"""The encoders of a sweep side by side: one row each, the key statistics of every probe."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lib.paths import ROOT
from lib.run.page import Page

COLUMNS = ["encoder", "statistic", "value", "low", "high", "n", "page"]


@dataclass(frozen=True)
class Statistic:
    """A number of an encoder, and where a notebook keeps it.

    Attributes:
        name: for readers.
        table: file of the results, without ``.csv``; the notebook's name is what stands before the
            first dot.
        metric: the rows' metric, averaged over heads.
        largest: among several rows, the one with the largest value in this column: ``"depth"`` is
            the last block.
        where: column -> the value that the row has there.
        reads: column that holds the number; only ``value`` has an interval.
    """

    name: str
    table: str
    metric: str
    largest: str | None = None
    where: dict = field(default_factory=dict)
    reads: str = "value"

    @property
    def page(self) -> str:
        return self.table.partition(".")[0]

    def of(self, encoder: str, table: pd.DataFrame) -> dict | None:
        """The statistic of an encoder as a row of the comparison, None where the table does not
        have it."""
        for column, value in {"encoder": encoder, "metric": self.metric, **self.where}.items():
            table = table[table[column] == value]
        table = table[table["head"].isna() | (table["head"] == "mean")]
        if self.largest:
            table = table.nlargest(1, self.largest)
        if table.empty:
            return None
        row = table.iloc[0]
        interval = {
            column: row[column] if self.reads == "value" else None for column in ("low", "high")
        }
        return dict(
            encoder=encoder,
            statistic=self.name,
            value=row[self.reads],
            **interval,
            n=row["n"],
            page=self.page,
        )


# `decoder`, `hybrid`, `model_size` and `seeds` measure the same things of encoders with a partner
STATISTICS = [
    Statistic("k-NN accuracy", "data_and_encoders", "k-NN accuracy"),
    Statistic("linear probe accuracy", "data_and_encoders", "linear probe accuracy"),
    Statistic("score at the end of SSLA's path", "ssla", "score", "step"),
    Statistic("completeness gap, 10 steps", "axioms", "pixel", where={"steps": 10}),
    Statistic("similarity, important half protected", "protection", "R1 important",
        where={"mask_rate": 50}),
    Statistic("separation of SSLA", "better_than_what", "separation", where={"method": "SSLA"}),
    Statistic("separation under noise", "trust", "noise"),
    Statistic("likeness to maps of random weights", "trust.randomisation", "rank correlation",
        "share"),
    Statistic("agreement of two draws of views", "stability", "two draws", "views"),
    Statistic("fine-tuning accuracy, most labels", "downstream", "fine-tuning", "labels"),
    Statistic("mean IoU of mosaics, fine-tuned", "downstream.dense", "mean IoU, fine-tuned"),
    Statistic("attention distance, last block (px)", "self_attention", "attention distance",
        "depth"),
    Statistic("normalised mutual information, last block", "self_attention",
        "normalised mutual information", "depth"),
    Statistic("similarity between heads, last block", "similarity", "heads: outputs", "depth"),
    Statistic("similarity between depths, last block", "similarity", "depths: block", "depth"),
    Statistic("similarity between tokens, last block", "similarity", "tokens: after the block",
        "depth"),
    Statistic("common shift, last block", "token_shift", "common shift", "depth"),
    Statistic("token-level spectrum, last block", "spectra.depth", "token level", "depth"),
    Statistic("image-level spectrum, last block", "spectra.depth", "image level", "depth"),
    Statistic("shape fraction", "shape_or_texture.cues", "shape fraction"),
    Statistic("Δ log amplitude, last block", "fourier", "amplitude, official", "depth"),
    Statistic("layerwise probe, accuracy at its best block", "layerwise_probe", "mean patch token",
        "value"),
    Statistic("layerwise probe, best block", "layerwise_probe", "mean patch token", "value",
        reads="depth"),
    Statistic("nearest tokens of the own image", "token_tsne", "tokens of the own image"),
    Statistic("attribution on the garment", "where_they_look", "on the garment"),
    Statistic("attribution on the outline", "where_they_look", "on the outline"),
    Statistic("mean frequency of the attribution", "where_they_look", "mean frequency"),
    Statistic("effective area of the attribution", "where_they_look", "effective area"),
]  # fmt: skip


def comparison(pages: Iterable[Page], root: Path = ROOT) -> pd.DataFrame:
    """A row for each statistic of each encoder, from the pages that are finished; what a table does
    not have is left out.

    Args:
        pages: of a sweep.
        root: of the repository.

    Returns:
        columns ``COLUMNS``.
    """
    rows = []
    for page in pages:
        wanted = [statistic for statistic in STATISTICS if statistic.page == page.notebook]
        if wanted and page.damage(root) is None:
            for statistic in wanted:
                path = root / "data" / "results" / page.profile / f"{statistic.table}.csv"
                if path.is_file():
                    table = pd.read_csv(path, dtype={"head": str})
                    rows.append(statistic.of(page.encoder, table))
    return pd.DataFrame([row for row in rows if row], columns=COLUMNS)
