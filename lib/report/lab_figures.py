"""Figures of the lab."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from lib.lab.small import CONTRASTIVE, MASKED
from lib.report.style import INK, line_styles

FAMILIES = {CONTRASTIVE: "CL", MASKED: "MIM"}


def depth_curves(
    curves: Mapping[str, ArrayLike],
    ylabel: str,
    xlabel: str = "block",
    reference: tuple[str, float] | None = None,
    predicted: Sequence[float] | None = None,
    x: Sequence[float] | None = None,
) -> Figure:
    """One curve a name, such as an encoder.

    Args:
        curves: name -> ``(n,)`` values, or ``(n, 3)`` values with the ends of their intervals.
        ylabel, xlabel: of the axes.
        reference: label and height of a horizontal line.
        predicted: a sketch by hand, drawn thin and grey.
        x: where the values stand; 1, 2, … unless told.
    """
    figure, axes = plt.subplots(figsize=(5.4, 3.4))
    for name, style in line_styles(FAMILIES, curves).items():
        values = np.asarray(curves[name])
        at = np.arange(1, len(values) + 1) if x is None else np.asarray(x)
        middle = values[:, 0] if values.ndim == 2 else values
        axes.plot(at, middle, label=name, markersize=5, **style)
        if values.ndim == 2:
            axes.fill_between(at, *values[:, 1:].T, color=style["color"], alpha=0.25, linewidth=0)
    if reference is not None:
        axes.axhline(reference[1], color=INK, linestyle=(0, (6, 2, 1, 2)), label=reference[0])
    if predicted is not None:
        at = np.arange(1, len(predicted) + 1) if x is None else np.asarray(x)
        axes.plot(at, predicted, color=INK, linewidth=1, marker=".", label="your sketch")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return figure


def picture_rows(
    rows: Mapping[str, Sequence[Tensor]],
    titles: Sequence[str] = (),
    box: tuple[int, float, float] | None = None,
) -> Figure:
    """Rows of small grey or coloured pictures, each with its own scale.

    Args:
        rows: label -> pictures ``(height, width)`` or ``(channels, height, width)``.
        titles: of the columns.
        box: side in pixels, left and upper edge of a red box in the first column.
    """
    across = max(map(len, rows.values()))
    figure, grid = plt.subplots(
        len(rows), across, figsize=(1.05 * across + 1.1, 1.15 * len(rows) + 0.3), squeeze=False
    )
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for line, (label, pictures) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        for axes, picture in zip(line, pictures, strict=False):
            shown = picture.detach()
            if shown.ndim == 3:
                shown = shown[0] if len(shown) == 1 else shown.permute(1, 2, 0)
            axes.imshow(shown, cmap="gray" if picture.ndim == 3 else "viridis")
        if box is not None:
            side, left, top = box
            line[0].add_patch(
                plt.Rectangle((left - 0.5, top - 0.5), side, side, fill=False, color="red")
            )
    for axes, title in zip(grid[0], titles, strict=False):
        axes.set_title(title, fontsize=9)
    return figure
