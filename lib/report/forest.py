"""Forest plots of claims: every pair, the same with random weights, and seeds, each with its
interval, against the threshold."""

import re
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.report.judge import JOINT, places
from lib.report.style import INK, NULL, STYLES, short

LOOKS = {  # kinds differ in marker and filling, so that they can be told apart in grey
    "trained": {"color": STYLES["CL"][0]["color"], "marker": "o", "markersize": 5},
    "trained, not a good encoder": {
        "color": STYLES["CL"][0]["color"],
        "marker": "o",
        "markersize": 5,
        "mfc": "none",
    },
    "random weights": {"color": NULL["color"], "marker": "^", "markersize": 5, "mfc": "none"},
    "seeds and images": {"color": STYLES["MIM"][0]["color"], "marker": "D", "markersize": 6},
}


def rows_of(cases: pd.DataFrame, rule: Mapping) -> pd.DataFrame:
    """The lines of one claim's forest plot, from the top: trained, with random weights in the
    place that the rule names, seeds.

    Args:
        cases: of one claim, columns ``lib.report.judge.CASES``.
        rule: of the claim.

    Returns:
        ``look`` (a name of ``LOOKS``), ``label``, ``effect``, ``low``, ``high``.
    """
    place, compared = rule.get("untrained"), places(rule)
    exchanged = compared if place == "holds" else [place]
    wanted = (cases["kind"] != "untrained") | cases["place"].isin(exchanged)
    lines = cases[wanted & (cases["kind"] != "learned")].drop_duplicates(["kind", "encoders"])
    looks = {"trained": "trained", "untrained": "random weights", "seeds": "seeds and images"}
    order = sorted(
        range(len(compared)), key=compared.__getitem__
    )  # CL before MIM, whichever is subtracted
    lines = lines.assign(
        look=[
            "trained, not a good encoder" if kind == "trained" and not qualified else looks[kind]
            for kind, qualified in zip(lines["kind"], lines["qualified"], strict=True)
        ],
        label=[
            JOINT.join(re.sub(r" \(seed \d+\)$", "", short(names.split(JOINT)[i])) for i in order)
            for names in lines["encoders"]
        ],
        order=lines["kind"].map({"trained": 0, "untrained": 1, "seeds": 2}),
    )
    return lines.sort_values("order", kind="stable")[
        ["look", "label", "effect", "low", "high"]
    ].reset_index(drop=True)


def _panel(axes: Axes, lines: pd.DataFrame, labels: list[str], threshold: float) -> None:
    height = {label: len(labels) - 1 - i for i, label in enumerate(labels)}
    for line in lines.itertuples():  # several random networks share a line
        error = [[line.effect - line.low], [line.high - line.effect]]
        look = LOOKS[line.look]
        axes.errorbar(
            line.effect, height[line.label], xerr=error, linestyle="none", elinewidth=1.2, **look
        )
    axes.axvline(threshold, color=INK, linewidth=1.5, linestyle=(0, (6, 2, 1, 2)))
    axes.set_yticks(list(height.values()), labels)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])


def forest_figure(cases: pd.DataFrame, rules: Mapping[str, Mapping], columns: int = 2) -> Figure:
    """A panel a claim, a line a case with its 95 % interval; the claim says: right of the
    dash-dotted line.

    Panels side by side share their lines, so claims of different cases stand below one another.

    Args:
        cases: columns ``lib.report.judge.CASES``.
        rules: id -> rule.
        columns: most panels side by side.
    """
    if cases.empty:
        figure, axes = plt.subplots(figsize=(5.6, 0.6))
        axes.axis("off")
        axes.text(0, 0.5, "No claim speaks of the given encoders.", va="center")
        return figure
    lines = {claim: rows_of(of, rules[claim]) for claim, of in cases.groupby("claim", sort=False)}
    labels = {claim: list(dict.fromkeys(of["label"])) for claim, of in lines.items()}
    bands: list[list[str]] = []  # claims side by side
    for claim, of in labels.items():
        if bands and len(bands[-1]) < columns and set(labels[bands[-1][0]]) == set(of):
            bands[-1].append(claim)
        else:
            bands.append([claim])
    heights = [0.13 * len(labels[band[0]]) + 0.55 for band in bands]
    figure, grid = plt.subplots(
        len(bands),
        max(map(len, bands)),
        figsize=(5.6, sum(heights) + 0.4),
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    for axes_of, band in zip(grid, bands, strict=True):
        for axes, claim in zip(axes_of, band, strict=False):
            _panel(axes, lines[claim], labels[band[0]], rules[claim]["threshold"])
            axes.set_title(claim, fontsize=9)
            axes.tick_params(labelleft=axes is axes_of[0])
        for axes in axes_of[len(band) :]:
            axes.axis("off")
    looks = [look for look in LOOKS if any(look in set(of["look"]) for of in lines.values())]
    handles = [Line2D([], [], linestyle="none", label=look, **LOOKS[look]) for look in looks]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(2, len(looks)), fontsize=8)
    return figure
