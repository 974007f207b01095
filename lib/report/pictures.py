"""Figures made of images and maps."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from lib.report.names import plain_names
from lib.report.style import line_styles


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
    figure, grid = plt.subplots(
        len(rows), columns, figsize=(5.6, 0.78 * len(rows) * 7 / columns + 0.1), squeeze=False
    )
    for line, (label, images) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.axis("off")
        for axes, image in zip(line, images, strict=False):
            show_image(axes, image)
        line[0].text(
            -0.15, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=9
        )
    return figure


def map_rows(images: Tensor, maps: dict[str, Tensor]) -> Figure:
    """Attribution maps below their images: magnitudes, each from its smallest value to its 99 %
    quantile.

    Args:
        images: ``(n, channels, height, width)`` in [0, 1].
        maps: label -> ``(n, channels, height, width)``; channels are summed.
    """
    figure, grid = plt.subplots(
        1 + len(maps),
        len(images),
        figsize=(5.6, (1 + len(maps)) * 5.0 / len(images) + 0.1),
        squeeze=False,
    )
    for axes, image in zip(grid[0], images, strict=True):
        show_image(axes, image)
    for line, attribution in zip(grid[1:], maps.values(), strict=True):
        for axes, values in zip(line, attribution.abs().sum(1), strict=True):
            low, top = float(values.min()), float(values.flatten().quantile(0.99))
            top = top if top > low else float(values.max())
            show_image(axes, values, cmap="viridis", vmin=low, vmax=top if top > low else low + 1)
    for line, label in zip(grid, ["image", *maps], strict=True):
        line[0].text(
            -0.15, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=9
        )
    return figure


def attention_map_figure(
    image: Tensor, maps: dict[str, Tensor], queries: Sequence[tuple[int, int]], patch_size: int
) -> Figure:
    """Attention maps of two queries, block by block: a row for each encoder and query.

    Every map has its own scale, from 0 to its largest entry. The box marks the query's patch on the
    image and on the maps.

    Args:
        image: ``(channels, height, width)``.
        maps: encoder -> ``(depth, queries, rows, columns)``.
        queries: (row, column) of each query patch.
        patch_size: in pixels.
    """
    names = plain_names(list(maps))
    figure = plt.figure(figsize=(5.4, len(maps) * (0.62 * len(queries) + 0.45)))
    for part, (name, blocks) in zip(
        np.atleast_1d(figure.subfigures(len(maps), 1)), maps.items(), strict=True
    ):
        part.suptitle(names[name], x=0, ha="left", fontsize=11, fontweight="bold")
        grid = part.subplots(len(queries), len(blocks) + 1, squeeze=False)
        for q, (row, column) in enumerate(queries):
            show_image(grid[q, 0], image, "" if q else "block")
            grid[q, 0].add_patch(query_box(row, column, patch_size))
            for block, axes in enumerate(grid[q, 1:]):
                show_image(
                    axes,
                    blocks[block, q],
                    "" if q else f"{block + 1}",
                    cmap="viridis",
                    vmin=0,
                    vmax=None,
                )
                axes.add_patch(query_box(row, column, 1))
    return figure


def query_box(row: int, column: int, patch_size: int) -> Rectangle:
    """Outline of the patch at (row, column) on an image drawn with ``imshow``, whose pixels are
    centred on integers."""
    corner = column * patch_size - 0.5, row * patch_size - 0.5
    return Rectangle(corner, patch_size, patch_size, fill=False, edgecolor="#ff2d2d", linewidth=1.5)


def shift_figure(moved: dict[str, tuple[Tensor, Tensor]], families: dict[str, str]) -> Figure:
    """Tokens before (open) and after (filled) a step, joined by lines; a panel an encoder.

    Args:
        moved: encoder -> two tensors ``(tokens, ≥ 2)``; the first two columns are drawn.
        families: encoder -> family.
    """
    names, columns = plain_names(list(moved)), min(2, len(moved))
    rows = -(-len(moved) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(5.4, 2.5 * rows), squeeze=False)
    for axes in grid.flat[len(moved) :]:
        axes.axis("off")
    for axes, (name, style), (before, after) in zip(
        grid.flat, line_styles(families, moved).items(), moved.values(), strict=False
    ):
        colour = style["color"]
        axes.plot(
            *np.stack([before[:, :2].T, after[:, :2].T], axis=1),
            color=colour,
            linewidth=0.6,
            alpha=0.6,
        )
        axes.scatter(*before[:, :2].T, s=14, facecolors="none", edgecolors=colour, linewidths=0.8)
        axes.scatter(*after[:, :2].T, s=14, color=colour)
        axes.set_title(names[name], fontsize=10)
        axes.set_aspect("equal", adjustable="datalim")
        axes.tick_params(labelsize=8)
    return figure


def token_map_figure(
    points: dict[str, np.ndarray], classes: np.ndarray, names: Sequence[str]
) -> Figure:
    """Tokens in two dimensions, a panel an encoder; the colour and marker tell the class, the shade
    the image.

    Args:
        points: encoder -> ``(images, tokens, 2)``.
        classes: ``(images,)``.
        names: of the classes that occur, in increasing order of class.
    """
    plain = plain_names(list(points))
    looks = list(
        zip(
            (
                ("#2b83c6", "#174f7d", "#79b4e0"),
                ("#d55e00", "#8a3d00", "#f0914a"),
                ("#2f9150", "#175c2e", "#76c08f"),
            ),
            "os^",
            strict=True,
        )
    )
    figure, grid = plt.subplots(len(points), 1, figsize=(5.2, 4.2 * len(points)), squeeze=False)
    for axes, (encoder, tokens) in zip(grid[:, 0], points.items(), strict=True):
        for (shades, marker), of_class, name in zip(looks, np.unique(classes), names, strict=False):
            for i, image in enumerate(np.flatnonzero(classes == of_class)):
                axes.scatter(
                    *tokens[image].T,
                    s=7,
                    color=shades[i % len(shades)],
                    marker=marker,
                    linewidths=0,
                    label=None if i else name,
                )
        axes.set_title(plain[encoder], fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    grid[0, 0].legend(
        fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3, markerscale=2
    )
    return figure
