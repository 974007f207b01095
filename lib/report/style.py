"""One style for every figure: it reads on white, on dark pages, in greyscale and on a phone."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
from matplotlib_inline.backend_inline import set_matplotlib_formats

INK = "#7a7a7a"  # contrast above 4 on white and on the dark page
NULL = dict(color="#8a8a8a", linestyle=":", marker="^")  # random weights
PIXELS = dict(color="#8a8a8a", linestyle=(0, (4, 3)), marker="x")  # raw pixels
# colours of equal weight on both pages; families differ in dash, encoders of a family in shade and
# marker
STYLES = {
    "CL": [
        dict(color=c, linestyle="-", marker=m)
        for c, m in (("#2b83c6", "o"), ("#8a6fd1", "D"), ("#1590a0", "v"), ("#6c7fb5", "P"))
    ],
    "MIM": [
        dict(color=c, linestyle="--", marker=m)
        for c, m in (("#d55e00", "s"), ("#b07a00", "X"), ("#d04a70", "<"), ("#a86a4a", ">"))
    ],
    "other": [
        dict(color=c, linestyle="-.", marker=m)
        for c, m in (("#2f9150", "p"), ("#6f8f1f", "h"), ("#3f8f80", "*"), ("#8a8a50", "d"))
    ],
}


def use_style() -> None:
    """Vector figures, transparent background, mid-grey ink; equal inputs give equal files."""
    set_matplotlib_formats("svg")
    ink = {f"{part}.color": INK for part in ("text", "xtick", "ytick")} | {
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "legend.labelcolor": INK,
    }
    plain = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": INK,
        "grid.alpha": 0.25,
        "legend.frameon": False,
    }
    clear = {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none"}
    plt.rcParams.update(
        ink
        | plain
        | clear
        | {
            "font.size": 11,
            "figure.figsize": (5.2, 3.6),
            "figure.constrained_layout.use": True,
            "svg.hashsalt": "study",
        }
    )


def short(encoder: str) -> str:
    """Name of an encoder without its group.

    >>> short("fashion/moco-v3-s")
    'moco-v3-s'
    """
    return encoder.rpartition("/")[2]


def is_null(name: str) -> bool:
    """Whether a curve is a reference that has learned nothing: random weights, or raw pixels."""
    return name.startswith(("random weights", "raw pixels"))


def line_styles(families: dict[str, str], names: Iterable[str] | None = None) -> dict[str, dict]:
    """Colour, dash and marker of each encoder: the dash tells the family, shade and marker the
    encoder within it.

    Args:
        families: encoder -> family, in drawing order.
        names: what is drawn, if it is more than ``families`` holds; what has no family counts as
            ``"other"``.

    >>> [style["marker"] for style in line_styles({"a": "CL", "b": "MIM", "c": "CL", "random weights": "other"}).values()]
    ['o', 's', 'D', '^']
    """
    styles, used = {}, dict.fromkeys(STYLES, 0)
    for name in families if names is None else names:
        family = families.get(name, "other")
        if is_null(name):
            styles[name] = PIXELS if name.startswith("raw pixels") else NULL
        else:
            styles[name] = STYLES[family][used[family] % len(STYLES[family])]
            used[family] += 1
    return styles
