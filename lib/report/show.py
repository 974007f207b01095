"""Tables as the book shows them: folded, scrollable on a phone, with intervals."""

from html import escape

import pandas as pd
from IPython.display import HTML


def number(value: float) -> str:
    """Three significant digits with a true minus sign.

    >>> number(-0.012345), number(14.36), number(0.0)
    ('−0.0123', '14.4', '0')
    """
    return f"{value:.3g}".replace("-", "−")


def with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval.

    >>> with_interval(0.5, 0.4, 0.61)
    '0.5 [0.4, 0.61]'
    """
    return f"{number(value)} [{number(low)}, {number(high)}]"


def html_table(table: pd.DataFrame, caption: str, index: bool = False) -> str:
    """A table with a caption that scrolls sideways in its own box."""
    body = table.to_html(index=index, border=0, classes="study", escape=True)
    return (
        "<div"
        f' class="table-scroll">{body.replace("<thead>", f"<caption>{escape(caption)}</caption><thead>", 1)}</div>'
    )


def show_frame(table: pd.DataFrame, caption: str, index: bool = False) -> HTML:
    """:func:`html_table`, shown by the cell that ends with it."""
    return HTML(html_table(table, caption, index))


def folded(html: str, summary: str) -> HTML:
    """HTML behind a line that opens it."""
    return HTML(f"<details class='behind'><summary>{escape(summary)}</summary>{html}</details>")


def show_table(table: pd.DataFrame, metric: str, encoders: list[str] | dict, caption: str) -> HTML:
    """The table behind a depth figure: blocks down, encoders across, heads averaged, 95 % intervals
    in brackets."""
    rows = table[(table["metric"] == metric) & (table["head"] == "mean")]
    cells = rows.assign(
        cell=[with_interval(*r) for r in rows[["value", "low", "high"]].itertuples(index=False)]
    )
    wide = (
        cells.pivot(index="depth", columns="encoder", values="cell")[list(encoders)]
        .rename_axis(index="block", columns=None)
        .reset_index()
    )
    return folded(
        html_table(wide, f"{caption}; n = {rows['n'].max()} images."), "The table behind the figure"
    )


def show_scores(scores: pd.DataFrame, caption: str) -> HTML:
    """The table behind a score figure: encoders down, metrics across, 95 % intervals in
    brackets."""
    cells = scores.assign(
        cell=[with_interval(*r) for r in scores[["value", "low", "high"]].itertuples(index=False)]
    )
    wide = cells.pivot(index="encoder", columns="metric", values="cell").loc[
        list(dict.fromkeys(scores["encoder"]))
    ]
    wide = wide.rename_axis(index=None, columns=None).fillna("—")
    return folded(
        html_table(wide, f"{caption}; n = {scores['n'].max()} test images.", index=True),
        "The table behind the figure",
    )
