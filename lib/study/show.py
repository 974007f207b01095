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
    return f'<div class="table-scroll">{body.replace("<thead>", f"<caption>{escape(caption)}</caption><thead>", 1)}</div>'


def folded(html: str, summary: str) -> HTML:
    """HTML behind a line that opens it."""
    return HTML(f"<details class='behind'><summary>{escape(summary)}</summary>{html}</details>")


def show_table(table: pd.DataFrame, metric: str, encoders: list[str] | dict, caption: str) -> HTML:
    """The table behind a depth figure: blocks down, encoders across, heads averaged, 95 % intervals in brackets."""
    rows = table[(table["metric"] == metric) & (table["head"] == "mean")]
    cells = rows.assign(cell=[with_interval(*r) for r in rows[["value", "low", "high"]].itertuples(index=False)])
    wide = cells.pivot(index="depth", columns="encoder", values="cell")[list(encoders)].rename_axis(index="block", columns=None).reset_index()
    return folded(html_table(wide, f"{caption}; n = {rows['n'].max()} images."), "The table behind the figure")


def claims_html(claims: pd.DataFrame) -> str:
    """Judged claims as a table: statement and statistic, effect with interval and threshold, verdict."""
    if claims.empty:
        return "<p>No claim can be judged: it takes at least one contrastive encoder and one masked image model.</p>"
    rows = [
        f'<tr id="claim-{escape(c.id)}"><td><strong>{escape(c.figure)}</strong> {escape(c.statement)}<br><small>{escape(c.statistic)}</small></td>'
        f"<td>{with_interval(c.effect, c.low, c.high)}<br><small>threshold {number(c.threshold)}, n = {c.n}</small></td>"
        f'<td><span class="verdict {c.verdict.replace(" ", "-")}">{c.verdict}</span></td></tr>'
        for c in claims.itertuples()
    ]
    head = "<thead><tr><th>Claim and statistic</th><th>Effect [95 %]</th><th>Verdict</th></tr></thead>"
    encoders = escape("; ".join(sorted(set(claims["encoders"]))))
    return f'<div class="table-scroll"><table class="study claims"><caption>Encoders: {encoders}.</caption>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def show_claims(claims: pd.DataFrame) -> HTML:
    """Judged claims as HTML for a notebook."""
    return HTML(claims_html(claims))


def show_scores(scores: pd.DataFrame, caption: str) -> HTML:
    """The table behind a score figure: encoders down, metrics across, 95 % intervals in brackets."""
    cells = scores.assign(cell=[with_interval(*r) for r in scores[["value", "low", "high"]].itertuples(index=False)])
    wide = cells.pivot(index="encoder", columns="metric", values="cell").loc[list(dict.fromkeys(scores["encoder"]))]
    wide = wide.rename_axis(index=None, columns=None)
    return folded(html_table(wide, f"{caption}; n = {scores['n'].max()} test images.", index=True), "The table behind the figure")
