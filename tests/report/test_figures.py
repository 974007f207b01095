import io
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from lib.report.figures import (
    curve_styles,
    curves,
    depth_figure,
    protection_figure,
    score_figure,
    training_figure,
)
from lib.report.names import plain_names
from lib.report.pictures import (
    attention_map_figure,
    image_rows,
    map_rows,
    query_box,
    shift_figure,
    show_image,
    token_map_figure,
)
from lib.report.style import INK, NULL, PIXELS, STYLES, line_styles
from lib.report.tables import COLUMNS

FAMILIES = {"fashion/moco": "CL", "fashion/simmim": "MIM", "random weights": "other"}
BLOCKS = (4, 2, 5)
SHORT = ["moco", "simmim", "random weights"]


pytestmark = pytest.mark.usefixtures("book_style")


def depth_table():
    rows = [
        (encoder, depth, head, metric, value, value - 0.05, value + 0.1, 9)
        for encoder, blocks in zip(FAMILIES, BLOCKS, strict=True)
        for depth in range(1, blocks + 1)
        for metric in ("nmi", "distance")
        for head, value in (("mean", blocks / depth), (1, 99.0))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def score_table():
    rows = enumerate(product(("k-NN", "probe"), FAMILIES))
    return pd.DataFrame(
        [
            (encoder, None, None, metric, i + 0.5, i + 0.25, i + 1.5, 9)
            for i, (metric, encoder) in rows
        ],
        columns=COLUMNS,
    )


def log(scale=1.0):
    return pd.DataFrame(
        {
            "images": [64, 128],
            "loss": [2.0 * scale, scale],
            "knn_accuracy": [0.5, 0.75],
            "representation_std": [1.0, 0.9],
        }
    )


def maps(depth):
    return torch.rand(depth, 2, 7, 7, generator=torch.Generator().manual_seed(depth))


def protection_table():
    rows = [
        (m, s, rate, rate / 100 + i)
        for m in ("BYOL", "MAE")
        for i, s in enumerate(("important", "random", "unimportant"))
        for rate in (0, 50, 100)
    ]
    return pd.DataFrame(rows, columns=["method", "strategy", "mask_rate", "value"]).assign(
        low=lambda t: t["value"] - 0.1, high=lambda t: t["value"] + 0.1
    )


LOGS = {"fashion/moco": log(), "fashion/simmim": log(0.5)}
IMAGE = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(0))
PUBLISHED = {"published": pd.DataFrame({"relative_depth": [0.5, 1.0], "value": [0.2, 0.1]})}
QUERIES = [(0, 6), (5, 2)]
FIGURES = {
    "depth": lambda: depth_figure(
        depth_table(), "nmi", FAMILIES, "NMI", {"uniform": 0.5}, PUBLISHED
    ),
    "images": lambda: image_rows(
        {"grey": torch.zeros(3, 1, 8, 8), "colour": torch.ones(2, 3, 8, 8)}
    ),
    "maps": lambda: attention_map_figure(
        IMAGE, {"fashion/moco": maps(1), "fashion/simmim": maps(1)}, QUERIES, 4
    ),
    "training": lambda: training_figure(LOGS, FAMILIES, "knn_accuracy", "k-NN accuracy"),
    "losses": lambda: training_figure(LOGS, FAMILIES, "loss", "loss", share_y=False),
    "attributions": lambda: map_rows(IMAGE[None], {"a map": -IMAGE[None]}),
    "protection": lambda: protection_figure(
        {
            "ours": protection_table(),
            "theirs": protection_table()[["method", "strategy", "mask_rate", "value"]],
        }
    ),
    "scores": lambda: score_figure(score_table(), FAMILIES),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_equal_inputs_give_equal_files(draw):
    def svg():
        file = io.BytesIO()
        draw().savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    first = svg()
    plt.figure()  # a figure in between changes nothing
    assert svg() == first and first.count(b"<path") > 1


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 6), (6, 0), (2, 5)])
@pytest.mark.parametrize("patch_size", [1, 4])
def test_the_query_box_covers_exactly_its_patch(row, column, patch_size):
    # each image pixel is zoom × zoom pixels of the figure
    side, zoom = 7 * patch_size, 8 if patch_size > 1 else 20
    figure = plt.figure(figsize=(side * zoom / 100,) * 2, dpi=100, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    show_image(axes, np.zeros((side, side)))
    box = query_box(row, column, patch_size)
    assert not box.get_fill()
    box.set(fill=True, facecolor="#ff0000", linewidth=0, antialiased=False)
    axes.add_patch(box)
    figure.canvas.draw()
    red = np.asarray(figure.canvas.buffer_rgba())[..., 0] == 255
    patch = np.zeros((7, 7), bool)
    patch[row, column] = True
    expected = np.kron(patch, np.ones((patch_size * zoom,) * 2, bool))
    assert np.array_equal(red, expected), (
        np.argwhere(red)[[0, -1]],
        np.argwhere(expected)[[0, -1]],
    )


def box_of(axes):
    (box,) = axes.patches
    return box.get_xy(), box.get_width(), box.get_height()


def test_attention_maps_stand_by_encoder_then_query_then_block():
    attention = {"fashion/moco": maps(2), "simmim": maps(3)}  # of different depth
    figure = attention_map_figure(IMAGE, attention, QUERIES, 4)
    panels = iter(figure.axes)
    for blocks in attention.values():
        for q, (row, column) in enumerate(QUERIES):
            picture = next(panels)
            assert np.array_equal(picture.images[0].get_array(), IMAGE[0]) and box_of(picture) == (
                (column * 4 - 0.5, row * 4 - 0.5),
                4,
                4,
            )
            for block, of_queries in enumerate(blocks):
                panel = next(panels)
                assert np.array_equal(panel.images[0].get_array(), of_queries[q]) and box_of(
                    panel
                ) == ((column - 0.5, row - 0.5), 1, 1)
                assert panel.images[0].get_clim() == (0, pytest.approx(of_queries[q].max().item()))
                assert panel.get_title() == ("" if q else str(block + 1))
    assert not list(panels)
    assert {"moco", "simmim"} <= {text.get_text() for text in figure.findobj(Text)}


@pytest.mark.parametrize("relative", [False, True])
def test_a_depth_figure_draws_the_mean_over_heads_of_one_metric(relative):
    axes = depth_figure(
        depth_table(), "nmi", FAMILIES, "NMI", {"uniform": 0.5}, PUBLISHED if relative else None
    ).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    for name, family, blocks in zip(SHORT, FAMILIES.values(), BLOCKS, strict=True):
        depth = np.arange(1, blocks + 1)
        assert lines[name].get_xdata() == pytest.approx(depth / blocks if relative else depth)
        assert lines[name].get_ydata() == pytest.approx(blocks / depth)
        assert (
            lines[name].get_color() == (NULL if family == "other" else STYLES[family][0])["color"]
        )
    # told apart without colour
    assert len({(line.get_linestyle(), line.get_marker()) for line in map(lines.get, SHORT)}) == 3
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((1 - 0.05, 4 + 0.1))
    assert ("published" in lines) == relative
    if relative:
        assert lines["published"].get_xdata() == pytest.approx([0.5, 1])
    assert set(lines["uniform"].get_ydata()) == {0.5}
    named = [text.get_text() for text in axes.texts]  # at the ends of the lines
    assert sorted(named) == sorted([*SHORT, "uniform", *(["published"] if relative else [])])
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "relative depth" if relative else "block",
        "NMI",
    )
    assert axes.get_title(loc="right") == "9 images" and axes.get_ylim()[0] == 0


def test_panels_share_the_quantity_and_each_draws_its_metric():
    table = depth_table()[lambda t: t["head"] == "mean"].assign(strength=lambda t: t["depth"] / 10)
    figure = curves(
        table, {"nmi": "NMI", "distance": "px"}, "strength", FAMILIES, "strength", from_zero=False
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["NMI", "px"] and figure.axes[
        -1
    ].get_xlabel() == "strength"
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == SHORT
        assert axes.lines[0].get_xdata() == pytest.approx(np.arange(1, 5) / 10)


def test_a_logarithmic_axis_is_asked_for():
    table = depth_table()[lambda t: t["head"] == "mean"].assign(labels=lambda t: 10 ** t["depth"])
    assert [
        curves(table, {"nmi": "NMI"}, "labels", FAMILIES, "labels", logarithmic=log)
        .axes[0]
        .get_xscale()
        for log in (True, False)
    ] == ["log", "linear"]


def test_a_shift_figure_joins_each_token_with_itself():
    before, after = torch.rand(2, 5, 3)
    figure = shift_figure(
        {
            "fashion/moco": (before, after),
            "simmim": (after, before),
            "random weights": (before, before),
        },
        FAMILIES,
    )
    drawn = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_title() for axes in drawn] == ["moco", "simmim", "random weights"]
    assert len(drawn[0].lines) == 5
    for token, line in enumerate(drawn[0].lines):
        assert line.get_xydata() == pytest.approx(np.stack([before[token, :2], after[token, :2]]))
    assert np.allclose(drawn[0].collections[1].get_offsets(), after[:, :2])


def test_a_token_map_has_a_marker_for_each_class_and_a_shade_for_each_image():
    points = np.random.default_rng(0).normal(size=(4, 6, 2))
    figure = token_map_figure(
        {"fashion/moco": points, "simmim": points}, np.array([3, 3, 7, 7]), ["dress", "bag"]
    )
    first = figure.axes[0]
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["dress", "bag"] and len(
        first.collections
    ) == 4
    assert len({tuple(c.get_facecolor()[0]) for c in first.collections}) == 4
    assert np.allclose(first.collections[2].get_offsets(), points[2])


def test_encoders_of_one_family_share_the_dash_and_differ_in_colour_and_marker():
    styles = line_styles({name: "CL" for name in "abcd"} | {"e": "MIM"})
    assert (
        len({s["linestyle"] for n, s in styles.items() if n != "e"}) == 1
        and styles["e"]["linestyle"] != styles["a"]["linestyle"]
    )
    assert (
        len({s["color"] for s in styles.values()})
        == len({s["marker"] for s in styles.values()})
        == 5
    )
    assert line_styles({"a": "CL"}, ["a", "raw pixels", "b"]) == {
        "a": STYLES["CL"][0],
        "raw pixels": PIXELS,
        "b": STYLES["other"][0],
    }


def test_images_are_drawn_as_they_are():
    colour = torch.rand(3, 4, 5)
    rows = {"one": torch.rand(2, 1, 4, 4), "two": colour[None]}
    figure = image_rows(rows)
    first, second, third, empty = figure.axes
    assert np.array_equal(first.images[0].get_array(), rows["one"][0, 0]) and np.array_equal(
        second.images[0].get_array(), rows["one"][1, 0]
    )
    assert np.allclose(third.images[0].get_array(), colour.permute(1, 2, 0)) and not empty.images
    assert first.images[0].get_clim() == (0, 1)  # a dark image stays dark
    assert [axes.texts[0].get_text() for axes in (first, third)] == ["one", "two"]


def test_a_score_figure_has_a_panel_for_each_metric_and_a_row_for_each_encoder():
    scores = score_table()
    figure = score_figure(scores, FAMILIES)
    assert [axes.get_xlabel() for axes in figure.axes] == ["k-NN", "probe"]
    names = dict(zip(FAMILIES, SHORT, strict=True))
    for axes, metric in zip(figure.axes, ("k-NN", "probe"), strict=True):
        labels = {
            tick: label.get_text()
            for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        }
        for container, encoder in zip(axes.containers, reversed(FAMILIES), strict=True):
            (value,), (y,) = container.lines[0].get_data()
            expected = scores[(scores["encoder"] == encoder) & (scores["metric"] == metric)].iloc[0]
            assert (
                labels[y] == names[encoder]
                and value == expected["value"]
                and container.lines[0].get_color() == line_styles(FAMILIES)[encoder]["color"]
            )
            assert container.lines[2][0].get_segments()[0][:, 0].tolist() == [
                expected["low"],
                expected["high"],
            ]
    # the first stands on top
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][-1] == "moco"


@pytest.mark.parametrize(("column", "share_y"), [("loss", False), ("knn_accuracy", True)])
def test_a_training_figure_has_a_panel_for_each_encoder(column, share_y):
    logs = {
        f"fashion/{name}": log(scale) for name, scale in zip("abcde", (1, 2, 3, 4, 5), strict=True)
    }
    drawn = [axes for axes in training_figure(logs, {}, column, "what", share_y).axes if axes.lines]
    assert [axes.get_title() for axes in drawn] == list("abcde")
    for axes, values in zip(drawn, logs.values(), strict=True):
        assert axes.lines[0].get_xdata() == pytest.approx([0.064, 0.128])
        assert axes.lines[0].get_ydata() == pytest.approx(values[column].to_numpy())
    assert (len({axes.get_ylim() for axes in drawn}) == 1) == share_y


def test_scores_stand_side_by_side_with_their_thresholds():
    figure = score_figure(
        score_table(), FAMILIES, share_x=False, columns=2, thresholds={"probe": 0.7}
    )
    left, right = figure.axes
    assert left.get_position().x1 < right.get_position().x0
    assert [line.get_xdata()[0] for line in right.lines if line.get_linestyle() == "--"] == [
        0.7
    ] and not any(line.get_linestyle() == "--" for line in left.lines)


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
@pytest.mark.parametrize(
    "colour",
    [INK, NULL["color"], *(style["color"] for styles in STYLES.values() for style in styles)],
)
def test_lines_and_ink_read_on_both_pages(page, colour):
    def luminance(value):
        return np.dot(
            [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(value)],
            [0.2126, 0.7152, 0.0722],
        )

    light, dark = sorted((luminance(page), luminance(colour)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > (4 if colour == INK else 3)  # WCAG: 3 for graphics


def test_a_protection_figure_has_a_row_for_each_method_and_a_column_for_each_table():
    ours = protection_table()
    figure = protection_figure(
        {
            "ours": ours,
            "theirs": ours[ours["method"] == "MAE"][["method", "strategy", "mask_rate", "value"]],
        }
    )
    grid = np.reshape(figure.axes, (2, 2))
    assert [axes.get_title() for axes in grid[0]] == ["ours", "theirs"] and [
        axes.get_ylabel() for axes in grid[:, 0]
    ] == ["BYOL", "MAE"]
    assert [line.get_label() for line in grid[0, 0].lines] == ["important", "random", "unimportant"]
    assert grid[1, 1].lines[2].get_ydata() == pytest.approx([2, 2.5, 3]) and grid[1, 1].lines[
        2
    ].get_xdata() == pytest.approx([0, 50, 100])
    # bands only where intervals are known
    assert len(grid[0, 0].collections) == 3 and not grid[1, 1].collections
    assert len({(line.get_linestyle(), line.get_marker()) for line in grid[0, 0].lines}) == 3


def test_maps_are_magnitudes_each_on_its_own_scale():
    attribution = torch.stack([IMAGE - 0.5, 10 * IMAGE])
    panels = map_rows(torch.stack([IMAGE, IMAGE]), {"a": attribution, "zero": 0 * attribution}).axes
    assert np.array_equal(panels[2].images[0].get_array(), attribution[0, 0].abs())
    first, second = (attribution[i].abs() for i in (0, 1))
    expected = [
        (first.min(), first.quantile(0.99)),
        (second.min(), second.quantile(0.99)),
        (0.0, 1.0),
    ]
    assert [panels[i].images[0].get_clim() for i in (2, 3, 4)] == [
        pytest.approx(tuple(map(float, limits))) for limits in expected
    ]
    assert [panels[i].texts[0].get_text() for i in (0, 2, 4)] == ["image", "a", "zero"]


def test_names_at_the_ends_of_lines_do_not_touch_and_keep_their_order():
    names = [f"method {k}" for k in range(6)]
    heights = [1.0, 1.001, 1.002, 0.2, 0.201, 5.0]
    table = pd.concat(
        pd.DataFrame({"x": [0, 1], "encoder": name, "metric": "m", "value": [0.5, height]})
        for name, height in zip(names, heights, strict=True)
    ).assign(low=0.0, high=1.0, n=3)
    figure = curves(table, {"m": "m"}, "x", dict.fromkeys(names, "CL"), "x")
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]  # without their lines
    assert [text.get_text() for text in figure.axes[0].texts] == [
        names[k] for k in np.argsort(heights, kind="stable")
    ]
    for below, above in zip(boxes, boxes[1:], strict=False):
        assert above.y0 >= below.y0 + 0.9 * below.height


def test_more_than_six_encoders_are_drawn_family_by_family_on_one_scale():
    families = (
        dict.fromkeys("abcde", "CL") | dict.fromkeys("fg", "MIM") | {"random weights": "other"}
    )
    table = pd.concat(
        pd.DataFrame({"x": [0, 1], "encoder": name, "metric": "m", "value": [0.0, k + 1.0]})
        for k, name in enumerate(families)
    ).assign(low=0.0, high=1.0, n=3)
    first, second = curves(table, {"m": "m"}, "x", families, "x").axes
    assert [line.get_label() for line in first.lines] == [*"abcde", "random weights"]
    assert [line.get_label() for line in second.lines] == [*"fg", "random weights"]
    assert first.get_ylim() == second.get_ylim() and first.get_ylim()[1] >= 8


def test_hybrids_take_an_ordered_scale_of_colours():
    weights = ("0", "0.2", "0.4", "0.6", "1")
    families = {f"fashion/hybrid-{w}-s": "other" for w in weights}
    styles = curve_styles(families, plain_names(list(families)))
    blue = [to_rgb(style["color"])[2] for style in styles.values()]
    assert blue == sorted(blue) and len(set(blue)) == 5
    assert styles["fashion/hybrid-0-s"]["color"] == STYLES["MIM"][0]["color"]
    assert styles["fashion/hybrid-1-s"]["color"] == STYLES["CL"][0]["color"]


def test_no_panel_of_a_training_figure_is_cut():
    logs = {
        name: pd.DataFrame({"images": [0, 1000], "loss": [0.0, top]})
        for name, top in (("small", 0.1), ("large", 9.0))
    }
    figure = training_figure(logs, {"small": "CL", "large": "MIM"}, "loss", "loss")
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert low == 0 and high >= 9
