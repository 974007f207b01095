"""Figures made of curves and scores."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.study.style import INK, STYLES, is_null, line_styles, short

PUBLISHED_MARKERS = ".x+1"


def line_with_interval(axes: Axes, x: Sequence[float], rows: pd.DataFrame, style: dict, label: str) -> None:
    """A curve of ``value`` with its band from ``low`` to ``high``."""
    axes.plot(x, rows["value"], label=label, **style, markersize=5, markerfacecolor="none" if is_null(label) else style["color"])
    axes.fill_between(x, rows["low"], rows["high"], color=style["color"], alpha=0.25, linewidth=0)


def curves(
    table: pd.DataFrame, panels: dict[str, str], x: str, families: dict[str, str], xlabel: str, references: dict[str, float] | None = None,
    published: dict[str, pd.DataFrame] | None = None, from_zero: bool = True, logarithmic: bool = False,
) -> Figure:  # fmt: skip
    """Metrics over a quantity: one panel a metric, one curve an encoder, bands are 95 % intervals over images.

    Args:
        table: rows with columns ``encoder``, ``metric``, ``value``, ``low``, ``high``, ``n`` and ``x``.
        panels: metric -> label of its vertical axis, with the unit.
        x: column of the horizontal axis.
        families: encoder -> family, in drawing order.
        xlabel: label of the horizontal axis.
        references: label -> height of a horizontal line, in every panel.
        published: label -> published curve with columns ``x`` and ``value``, in every panel, thin and grey.
        from_zero: vertical axes begin at 0.
        logarithmic: the horizontal axis is.
    """
    figure, grid = plt.subplots(len(panels), 1, figsize=(5.2, 1.2 + 2.3 * len(panels)), sharex=True, squeeze=False)
    for axes, (metric, label) in zip(grid[:, 0], panels.items(), strict=True):
        for encoder, style in line_styles(families).items():
            rows = table[(table["encoder"] == encoder) & (table["metric"] == metric)]
            line_with_interval(axes, rows[x].to_numpy(), rows, style, short(encoder))
        for name, height in (references or {}).items():
            axes.axhline(height, color=INK, linewidth=1.5, linestyle=(0, (6, 2, 1, 2)), label=name)
        for marker, (name, curve) in zip(PUBLISHED_MARKERS, (published or {}).items(), strict=False):
            axes.plot(curve[x], curve["value"], color=INK, linewidth=1, marker=marker, markersize=5, label=name)
        axes.set_ylabel(label)
        if from_zero:
            axes.set_ylim(bottom=0)
        if logarithmic:
            axes.set_xscale("log")
    grid[0, 0].legend(fontsize=10, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    grid[-1, 0].set_xlabel(xlabel)
    grid[-1, 0].set_title(f"{int(table['n'].max())} images", loc="right", fontsize=9, y=-0.24)
    return figure


def depth_figure(
    table: pd.DataFrame, metrics: str | dict[str, str], families: dict[str, str], ylabel: str = "", references: dict[str, float] | None = None,
    published: dict[str, pd.DataFrame] | None = None, from_zero: bool = True,
) -> Figure:  # fmt: skip
    """Metrics by depth, heads averaged; see :func:`curves`.

    Args:
        table: rows as made by ``tables.depth_rows``.
        metrics: a metric, drawn over ``ylabel``; or metric -> label, a panel each.
        families, references, from_zero: as in :func:`curves`.
        ylabel: what is drawn, with its unit.
        published: label -> columns ``relative_depth``, ``value``; the axis is then depth / number of blocks instead of the block number.
    """
    panels = {metrics: ylabel} if isinstance(metrics, str) else metrics
    rows = table[(table["head"] == "mean") & table["metric"].isin(panels) & table["encoder"].isin(families)]
    if not published:
        return curves(rows, panels, "depth", families, "block", references, None, from_zero)
    rows = rows.assign(relative_depth=rows["depth"] / rows.groupby("encoder")["depth"].transform("max"))
    return curves(rows, panels, "relative_depth", families, "relative depth", references, published, from_zero)


PROTECTED = {  # looks of the strategies of Table 1
    "important": STYLES["CL"][0],
    "random": STYLES["other"][0],
    "unimportant": STYLES["MIM"][0],
}


def protection_figure(tables: dict[str, pd.DataFrame]) -> Figure:
    """Similarity after an attack by mask rate: a row a method, a column a table, a curve a strategy; bands where there are intervals.

    Args:
        tables: title -> rows with ``method``, ``strategy``, ``mask_rate`` (percent), ``value``, and ``low`` and ``high`` where known.
    """
    methods = list(dict.fromkeys(method for table in tables.values() for method in table["method"]))
    figure, grid = plt.subplots(len(methods), len(tables), figsize=(5.6, 1.6 * len(methods) + 0.5), sharex=True, sharey="row", squeeze=False)
    for column, (title, table) in enumerate(tables.items()):
        for axes, method in zip(grid[:, column], methods, strict=True):
            for strategy, look in PROTECTED.items():
                rows = table[(table["method"] == method) & (table["strategy"] == strategy)]
                axes.plot(rows["mask_rate"], rows["value"], label=strategy, markersize=3, **look)
                if "low" in rows:
                    axes.fill_between(rows["mask_rate"], rows["low"], rows["high"], color=look["color"], alpha=0.25, linewidth=0)
            axes.tick_params(labelsize=8)
        grid[0, column].set_title(title, fontsize=10)
    for axes, method in zip(grid[:, 0], methods, strict=True):
        axes.set_ylabel(method, fontsize=10)
    figure.supxlabel("pixels protected (%)", fontsize=10)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
    return figure


def training_figure(logs: dict[str, pd.DataFrame], families: dict[str, str], column: str, label: str, share_y: bool = True) -> Figure:
    """A column of the training logs over images seen, a panel an encoder; with axes of their own for losses, since objectives have different units."""
    columns = min(4, len(logs))
    rows = -(-len(logs) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(5.6, 1.15 * rows + 0.4), sharey=share_y, squeeze=False)
    for axes in grid.flat[len(logs) :]:
        axes.axis("off")
    for axes, (name, style) in zip(grid.flat, line_styles(families, logs).items(), strict=False):
        axes.plot(logs[name]["images"] / 1000, logs[name][column], color=style["color"], linestyle=style["linestyle"])
        axes.set_title(short(name), fontsize=8)
        axes.tick_params(labelsize=7)
        if share_y:
            axes.set_ylim(bottom=0)
    figure.supxlabel("images seen (thousands)", fontsize=10)
    figure.supylabel(label, fontsize=10)
    return figure


def score_figure(
    scores: pd.DataFrame, families: dict[str, str], share_x: bool = True, columns: int = 1, thresholds: dict[str, float] | None = None
) -> Figure:  # fmt: skip
    """Scores of whole encoders with intervals: one row an encoder, one panel a metric, on one axis unless the metrics have different units.

    Args:
        scores: rows as made by ``tables.score_row``.
        families: encoder -> family.
        share_x: one horizontal axis for all panels.
        columns: panels side by side.
        thresholds: metric -> where a vertical line goes.
    """
    metrics, names = list(dict.fromkeys(scores["metric"])), list(dict.fromkeys(scores["encoder"]))
    styles, rows = line_styles(families, names), -(-len(metrics) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(5.2, (0.28 * len(names) + 0.7) * rows), sharex=share_x, sharey=True, squeeze=False)
    for axes in grid.flat[len(metrics) :]:
        axes.axis("off")
    for axes, metric in zip(grid.flat, metrics, strict=False):
        for y, name in enumerate(reversed(names)):
            row = scores[(scores["encoder"] == name) & (scores["metric"] == metric)].iloc[0]
            error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axes.errorbar(row["value"], y, xerr=error, color=styles[name]["color"], marker=styles[name]["marker"], capsize=3)
        if metric in (thresholds or {}):
            axes.axvline(thresholds[metric], color=INK, linewidth=1.5, linestyle=(0, (6, 2, 1, 2)))
        axes.set_yticks(range(len(names)), [short(name) for name in reversed(names)])
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xlabel(metric)
        if columns > 1:
            axes.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])  # few and short numbers, which do not touch
            axes.tick_params(axis="x", labelsize=9)
    return figure
