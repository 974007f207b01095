"""Figures of the book: one style that reads on white, on dark pages, in greyscale and on a phone."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

INK = "#7a7a7a"  # contrast above 4 on white and on the dark page
STYLES = {  # colours of equal weight on both pages; families also differ in dash and marker
    "CL": dict(color="#2b83c6", linestyle="-", marker="o"),
    "MIM": dict(color="#d55e00", linestyle="--", marker="s"),
    "other": dict(color="#8a8a8a", linestyle=":", marker="^"),
}


def use_style() -> None:
    """Vector figures, transparent background, mid-grey ink; equal inputs give equal files."""
    set_matplotlib_formats("svg")
    ink = {f"{part}.color": INK for part in ("text", "xtick", "ytick")} | {"axes.labelcolor": INK, "axes.edgecolor": INK, "legend.labelcolor": INK}
    plain = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK, "grid.alpha": 0.25, "legend.frameon": False}
    clear = {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none"}
    plt.rcParams.update(ink | plain | clear | {"font.size": 11, "figure.figsize": (5.2, 3.6), "figure.constrained_layout.use": True, "svg.hashsalt": "study"})


def short(encoder: str) -> str:
    """Name of an encoder without its group.

    >>> short("fashion/moco-v3-s")
    'moco-v3-s'
    """
    return encoder.rpartition("/")[2]


def line_with_interval(axes: Axes, x: Sequence[float], rows: pd.DataFrame, family: str, label: str) -> None:
    """A curve of ``value`` with its band from ``low`` to ``high``."""
    style = STYLES[family]
    axes.plot(x, rows["value"], label=label, **style, markersize=5, markerfacecolor="none" if family == "other" else style["color"])
    axes.fill_between(x, rows["low"], rows["high"], color=style["color"], alpha=0.25, linewidth=0)


def depth_figure(
    table: pd.DataFrame, metric: str, families: dict[str, str], ylabel: str, references: dict[str, float] | None = None, published: pd.DataFrame | None = None,
) -> Figure:  # fmt: skip
    """A metric by depth: heads averaged, one curve an encoder, bands are 95 % intervals over images.

    Args:
        table: rows as made by ``tables.depth_rows``.
        metric: which rows.
        families: encoder name -> family, in drawing order.
        ylabel: what is drawn, with its unit.
        references: label -> height of a horizontal line.
        published: columns ``relative_depth``, ``value``: drawn thin; the axis is then depth / number of blocks instead of the block number.
    """
    relative = published is not None
    figure, axes = plt.subplots()
    for encoder, family in families.items():
        rows = table[(table["encoder"] == encoder) & (table["metric"] == metric) & (table["head"] == "mean")]
        depth = rows["depth"].to_numpy()
        line_with_interval(axes, depth / depth.max() if relative else depth, rows, family, short(encoder))
    for label, height in (references or {}).items():
        axes.axhline(height, color=INK, linewidth=1.5, linestyle=(0, (6, 2, 1, 2)), label=label)
    if relative:
        axes.plot(published["relative_depth"], published["value"], color=INK, linewidth=1, marker=".", label="published MoCo v3, ViT-B/16")
    axes.set_xlabel("relative depth" if relative else "block")
    axes.set_ylabel(ylabel)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=10, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    axes.set_title(f"{int(table['n'].max())} images", loc="right", fontsize=9, y=-0.24)
    return figure


def show_image(axes: Axes, image: Tensor | np.ndarray, title: str = "", **options) -> None:
    """One grey ``(h, w)``, ``(1, h, w)`` or colour ``(3, h, w)`` image, without axes."""
    image = np.asarray(image)
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    axes.imshow(image, **(dict(cmap="gray", vmin=0, vmax=1) | options))
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def image_rows(rows: dict[str, Tensor]) -> Figure:
    """Images in labelled rows: label -> ``(n, channels, height, width)`` in [0, 1]."""
    columns = max(len(images) for images in rows.values())
    figure, grid = plt.subplots(len(rows), columns, figsize=(5.6, 0.78 * len(rows) * 7 / columns + 0.1), squeeze=False)
    for line, (label, images) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.axis("off")
        for axes, image in zip(line, images, strict=False):
            show_image(axes, image)
        line[0].text(-0.15, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    return figure


def attention_map_figure(image: Tensor, maps: dict[str, Tensor], queries: Sequence[tuple[int, int]], patch_size: int) -> Figure:
    """Attention maps of two queries, block by block: a row for each encoder and query.

    Every map has its own scale, from 0 to its largest entry. The box marks the query's patch on the image and on the maps.

    Args:
        image: ``(channels, height, width)``.
        maps: encoder -> ``(depth, queries, rows, columns)``.
        queries: (row, column) of each query patch.
        patch_size: in pixels.
    """
    figure = plt.figure(figsize=(5.4, len(maps) * (0.62 * len(queries) + 0.45)))
    for part, (name, blocks) in zip(np.atleast_1d(figure.subfigures(len(maps), 1)), maps.items(), strict=True):
        part.suptitle(short(name), x=0, ha="left", fontsize=11, fontweight="bold")
        grid = part.subplots(len(queries), len(blocks) + 1, squeeze=False)
        for q, (row, column) in enumerate(queries):
            show_image(grid[q, 0], image, "" if q else "block")
            grid[q, 0].add_patch(query_box(row, column, patch_size))
            for block, axes in enumerate(grid[q, 1:]):
                show_image(axes, blocks[block, q], "" if q else f"{block + 1}", cmap="viridis", vmin=0, vmax=None)
                axes.add_patch(query_box(row, column, 1))
    return figure


def query_box(row: int, column: int, patch_size: int) -> Rectangle:
    """Outline of the patch at (row, column) on an image drawn with ``imshow``, whose pixels are centred on integers."""
    corner = column * patch_size - 0.5, row * patch_size - 0.5
    return Rectangle(corner, patch_size, patch_size, fill=False, edgecolor="#ff2d2d", linewidth=1.5)


def training_figure(logs: dict[str, pd.DataFrame], families: dict[str, str]) -> Figure:
    """Loss, k-NN accuracy and spread of the representation over images seen; one curve an encoder."""
    panels = {"loss": "loss", "knn_accuracy": "k-NN accuracy", "representation_std": "spread"}
    figure, grid = plt.subplots(len(panels), 1, figsize=(5.2, 6.2), sharex=True)
    for axes, (column, label) in zip(grid, panels.items(), strict=True):
        for name, log in logs.items():
            axes.plot(log["images"] / 1000, log[column], label=short(name), **STYLES[families[name]], markersize=3)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    grid[-1].set_xlabel("images seen (thousands)")
    grid[0].legend(fontsize=9)
    return figure


def score_figure(scores: pd.DataFrame, families: dict[str, str]) -> Figure:
    """Scores of whole encoders with intervals: one row an encoder, one panel a metric."""
    metrics, names = list(dict.fromkeys(scores["metric"])), list(dict.fromkeys(scores["encoder"]))
    figure, grid = plt.subplots(len(metrics), 1, figsize=(5.2, 0.55 * len(names) * len(metrics) + 0.8), sharex=True, squeeze=False)
    for axes, metric in zip(grid[:, 0], metrics, strict=True):
        for y, name in enumerate(reversed(names)):
            row = scores[(scores["encoder"] == name) & (scores["metric"] == metric)].iloc[0]
            style = STYLES[families.get(name, "other")]
            error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axes.errorbar(row["value"], y, xerr=error, color=style["color"], marker=style["marker"], capsize=3)
        axes.set_yticks(range(len(names)), [short(name) for name in reversed(names)])
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xlabel(metric)
    return figure
