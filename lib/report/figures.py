"""Figures made of curves and scores."""

import re
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from lib.report.names import plain_names
from lib.report.style import INK, STYLES, is_null, line_styles

PUBLISHED_MARKERS = ".x+1"
MOST_CURVES = 6  # on one axis
LABEL_SIZE = 9  # points, of names at the ends of lines


def line_with_interval(
    axes: Axes, x: Sequence[float], rows: pd.DataFrame, style: dict, label: str
) -> None:
    """A curve of ``value`` with its band from ``low`` to ``high``."""
    axes.plot(
        x,
        rows["value"],
        label=label,
        **style,
        markersize=5,
        markerfacecolor="none" if is_null(label) else style["color"],
    )
    axes.fill_between(x, rows["low"], rows["high"], color=style["color"], alpha=0.25, linewidth=0)


def _groups(families: dict[str, str]) -> list[list[str]]:
    """Who is drawn on one axis: everybody, or, of more than six, each family with the nulls."""
    learned = [name for name in families if not is_null(name)]
    if len(learned) <= MOST_CURVES:
        return [list(families)]
    nulls = [name for name in families if is_null(name)]
    kinds = dict.fromkeys(families[name] for name in learned)
    of_kind = ([name for name in learned if families[name] == kind] for kind in kinds)
    return [
        names[i : i + MOST_CURVES] + nulls
        for names in of_kind
        for i in range(0, len(names), MOST_CURVES)
    ]


def curve_styles(families: dict[str, str], names: dict[str, str]) -> dict[str, dict]:
    """As ``style.line_styles``; encoders that differ in λ take an ordered scale, from the colour of
    masked image modelling (λ = 0) to that of contrastive learning (λ = 1).

    Args:
        families: encoder -> family.
        names: encoder -> name, from which λ is read.
    """
    styles = line_styles(families)
    found = {name: re.search(r"λ = ([\d.]+)", names[name]) for name in families}
    weights = {name: float(match[1]) for name, match in found.items() if match}
    ends = [np.array(to_rgb(STYLES[family][0]["color"])) for family in ("MIM", "CL")]
    for name, weight in weights.items():
        colour = to_hex((1 - weight) * ends[0] + weight * ends[1])
        styles[name] = styles[name] | {"color": colour, "linestyle": "-"}
    return styles


def name_ends(axes: Axes, ends: list[tuple[str, float, float, str]]) -> None:
    """Names at the ends of lines, moved apart where they would touch.

    Args:
        axes: with their final limits.
        ends: name, x and y of the line's end, colour.
    """
    height = axes.get_position().height * axes.figure.get_figheight() * 72  # points
    apart = LABEL_SIZE * 1.15 / height
    wanted = [
        axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]
        for _, x, y, _ in ends
    ]
    order = np.argsort(wanted)
    placed = np.array(wanted)[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + apart)
    placed -= max(0.0, placed[-1] - 1) if len(placed) else 0
    for i in reversed(range(len(placed) - 1)):
        placed[i] = min(placed[i], placed[i + 1] - apart)
    for at, i in zip(placed, order, strict=True):
        name, x, y, colour = ends[i]
        axes.annotate(
            name,
            (x, y),
            (1.03, at),
            textcoords="axes fraction",
            color=colour,
            fontsize=LABEL_SIZE,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.6,
                "relpos": (0, 0.5),
                "shrinkA": 0,
            },
        )


def curves(
    table: pd.DataFrame, panels: dict[str, str], x: str, families: dict[str, str], xlabel: str,
    references: dict[str, float] | None = None, published: dict[str, pd.DataFrame] | None = None,
    from_zero: bool = True, logarithmic: bool = False,
) -> Figure:  # fmt: skip
    """Metrics over a quantity: one panel a metric, one curve an encoder, named at its end; bands are
    95 % intervals over images. More than six encoders are drawn family by family.

    Args:
        table: rows with columns ``encoder``, ``metric``, ``value``, ``low``, ``high``, ``n`` and
            ``x``.
        panels: metric -> label of its vertical axis, with the unit.
        x: column of the horizontal axis.
        families: encoder -> family, in drawing order.
        xlabel: label of the horizontal axis.
        references: label -> height of a horizontal line, in every panel.
        published: label -> published curve with columns ``x`` and ``value``, in every panel, thin
            and grey.
        from_zero: vertical axes begin at 0.
        logarithmic: the horizontal axis is.
    """
    names, groups = plain_names(list(families)), _groups(families)
    styles = curve_styles(families, names)
    figure, grid = plt.subplots(
        len(panels) * len(groups),
        1,
        figsize=(5.6, 0.6 + 2.3 * len(panels) * len(groups)),
        sharex=True,
        squeeze=False,
    )
    drawn = [(metric, label, group) for metric, label in panels.items() for group in groups]
    ends = []
    for axes, (metric, label, group) in zip(grid[:, 0], drawn, strict=True):
        last = []
        for encoder in group:
            rows = table[(table["encoder"] == encoder) & (table["metric"] == metric)]
            at = rows[x].to_numpy()
            line_with_interval(axes, at, rows, styles[encoder], names[encoder])
            if len(rows):
                end = rows["value"].iloc[-1]
                last.append((names[encoder], at[-1], end, styles[encoder]["color"]))
        for marker, (name, curve) in zip(
            PUBLISHED_MARKERS, (published or {}).items(), strict=False
        ):
            look = {"color": INK, "linewidth": 1, "marker": marker, "markersize": 5}
            axes.plot(curve[x], curve["value"], label=name, **look)
            last.append((name, curve[x].iloc[-1], curve["value"].iloc[-1], INK))
        for name, height in (references or {}).items():
            axes.axhline(height, color=INK, linewidth=1.5, linestyle=(0, (6, 2, 1, 2)), label=name)
            last.append((name, axes.get_xlim()[1], height, INK))
        axes.set_ylabel(label)
        if logarithmic:
            axes.set_xscale("log")
        ends.append(last)
    for k in range(0, len(drawn), len(groups)):  # panels of one metric share their axis
        together = grid[k : k + len(groups), 0]
        low = min(axes.get_ylim()[0] for axes in together)
        high = max(axes.get_ylim()[1] for axes in together)
        for axes in together:
            axes.set_ylim(0 if from_zero else low, high)
    for axes, last in zip(grid[:, 0], ends, strict=True):
        name_ends(axes, last)
    grid[-1, 0].set_xlabel(xlabel)
    grid[-1, 0].set_title(f"{int(table['n'].max())} images", loc="right", fontsize=9, y=-0.24)
    return figure


def depth_figure(
    table: pd.DataFrame, metrics: str | dict[str, str], families: dict[str, str], ylabel: str = "",
    references: dict[str, float] | None = None, published: dict[str, pd.DataFrame] | None = None,
    from_zero: bool = True,
) -> Figure:  # fmt: skip
    """Metrics by depth, heads averaged; see :func:`curves`.

    Args:
        table: rows as made by ``tables.depth_rows``.
        metrics: a metric, drawn over ``ylabel``; or metric -> label, a panel each.
        families, references, from_zero: as in :func:`curves`.
        ylabel: what is drawn, with its unit.
        published: label -> columns ``relative_depth``, ``value``; the axis is then depth / number
            of blocks instead of the block number.
    """
    panels = {metrics: ylabel} if isinstance(metrics, str) else metrics
    rows = table[
        (table["head"] == "mean") & table["metric"].isin(panels) & table["encoder"].isin(families)
    ]
    if not published:
        return curves(rows, panels, "depth", families, "block", references, None, from_zero)
    rows = rows.assign(
        relative_depth=rows["depth"] / rows.groupby("encoder")["depth"].transform("max")
    )
    return curves(
        rows, panels, "relative_depth", families, "relative depth", references, published, from_zero
    )


PROTECTED = {  # looks of the strategies of Table 1
    "important": STYLES["CL"][0],
    "random": STYLES["other"][0],
    "unimportant": STYLES["MIM"][0],
}


def protection_figure(tables: dict[str, pd.DataFrame]) -> Figure:
    """Similarity after an attack by mask rate: a row a method, a column a table, a curve a
    strategy; bands where there are intervals.

    Args:
        tables: title -> rows with ``method``, ``strategy``, ``mask_rate`` (percent), ``value``, and
            ``low`` and ``high`` where known.
    """
    methods = list(dict.fromkeys(method for table in tables.values() for method in table["method"]))
    figure, grid = plt.subplots(
        len(methods),
        len(tables),
        figsize=(5.6, 1.6 * len(methods) + 0.5),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for column, (title, table) in enumerate(tables.items()):
        for axes, method in zip(grid[:, column], methods, strict=True):
            for strategy, look in PROTECTED.items():
                rows = table[(table["method"] == method) & (table["strategy"] == strategy)]
                axes.plot(rows["mask_rate"], rows["value"], label=strategy, markersize=3, **look)
                if "low" in rows:
                    axes.fill_between(
                        rows["mask_rate"],
                        rows["low"],
                        rows["high"],
                        color=look["color"],
                        alpha=0.25,
                        linewidth=0,
                    )
            axes.tick_params(labelsize=8)
        grid[0, column].set_title(title, fontsize=10)
    for axes, method in zip(grid[:, 0], methods, strict=True):
        axes.set_ylabel(method, fontsize=10)
    figure.supxlabel("pixels protected (%)", fontsize=10)
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9
    )
    return figure


def training_figure(
    logs: dict[str, pd.DataFrame],
    families: dict[str, str],
    column: str,
    label: str,
    share_y: bool = True,
) -> Figure:
    """A column of the training logs over images seen, a panel an encoder; with axes of their own
    for losses, since objectives have different units."""
    columns, names = min(4, len(logs)), plain_names(list(logs))
    rows = -(-len(logs) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(5.6, 1.4 * rows + 0.4), sharey=share_y, squeeze=False
    )
    for axes in grid.flat[len(logs) :]:
        axes.axis("off")
    for axes, (name, style) in zip(grid.flat, line_styles(families, logs).items(), strict=False):
        axes.plot(
            logs[name]["images"] / 1000,
            logs[name][column],
            color=style["color"],
            linestyle=style["linestyle"],
        )
        axes.set_title(names[name].replace(", ", ",\n", 1), fontsize=8)
        axes.tick_params(labelsize=8)
    if share_y:
        grid[0, 0].set_ylim(bottom=0)  # after all are drawn: a limit that is set freezes the axis
    figure.supxlabel("images seen (thousands)", fontsize=10)
    figure.supylabel(label, fontsize=10)
    return figure


def score_figure(
    scores: pd.DataFrame, families: dict[str, str], share_x: bool = True, columns: int = 1,
    thresholds: dict[str, float] | None = None
) -> Figure:  # fmt: skip
    """Scores of whole encoders with intervals: one row an encoder, one panel a metric, on one axis
    unless the metrics have different units.

    Args:
        scores: rows as made by ``tables.score_row``.
        families: encoder -> family.
        share_x: one horizontal axis for all panels.
        columns: panels side by side.
        thresholds: metric -> where a vertical line goes.
    """
    metrics, names = list(dict.fromkeys(scores["metric"])), list(dict.fromkeys(scores["encoder"]))
    plain = plain_names(names)
    styles, lines = line_styles(families, names), -(-len(metrics) // columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(5.2, (0.28 * len(names) + 0.7) * lines),
        sharex=share_x,
        sharey=True,
        squeeze=False,
    )
    for axes in grid.flat[len(metrics) :]:
        axes.axis("off")
    for axes, metric in zip(grid.flat, metrics, strict=False):
        for y, name in enumerate(reversed(names)):
            rows = scores[(scores["encoder"] == name) & (scores["metric"] == metric)]
            look = {key: styles[name][key] for key in ("color", "marker")}
            for row in rows.itertuples():  # one, or none where the metric has no sense
                error = [[row.value - row.low], [row.high - row.value]]
                axes.errorbar(row.value, y, xerr=error, capsize=3, **look)
        if metric in (thresholds or {}):
            axes.axvline(thresholds[metric], color=INK, linewidth=1.5, linestyle=(0, (6, 2, 1, 2)))
        axes.set_yticks(range(len(names)), [plain[name] for name in reversed(names)])
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xlabel(metric)
        if columns > 1:
            # few and short numbers, which do not touch
            axes.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])
            axes.tick_params(axis="x", labelsize=9)
    return figure
