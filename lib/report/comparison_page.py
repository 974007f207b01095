"""The page of a comparison: one file that needs no network, with a table that its reader sorts."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import pandas as pd

from lib.paths import ROOT
from lib.report.comparison import STATISTICS, comparison
from lib.report.show import number
from lib.run.page import Page

TEMPLATE = Path(__file__).with_name("comparison.html")


def cell(row: pd.DataFrame) -> str:
    """The cell of a statistic, from its row of the comparison, or from none: a dash."""
    if row.empty:
        return '<td data-key="">–</td>'
    value, low, high = row.iloc[0][["value", "low", "high"]]
    interval = "" if pd.isna(low) else f"<small>[{number(low)}, {number(high)}]</small>"
    return f'<td data-key="{value:.6g}">{number(value)}{interval}</td>'


def html_rows(found: pd.DataFrame, encoders: Sequence[str]) -> str:
    """Heads and rows of the table: an encoder a row, its statistics by page; a statistic that no
    encoder has gets no column.

    Args:
        found: as :func:`lib.report.comparison.comparison` returns.
        encoders: in the order of the rows.
    """
    shown = [statistic for statistic in STATISTICS if statistic.name in set(found["statistic"])]
    pages = {
        page: sum(statistic.page == page for statistic in shown)
        for page in dict.fromkeys(statistic.page for statistic in shown)
    }
    button = '<th scope="col" aria-sort="none"{more}><button type="button">{name}</button></th>'
    first = button.format(name="encoder", more=' rowspan="2"') + "".join(
        f'<th scope="colgroup" class="page" colspan="{n}">{p}</th>' for p, n in pages.items()
    )
    second = "".join(button.format(name=escape(statistic.name), more="") for statistic in shown)
    lines = ["<thead>", f"<tr>{first}</tr>", f"<tr>{second}</tr>", "</thead>", "<tbody>"]
    for encoder in encoders:
        mine = found[found["encoder"] == encoder]
        cells = "".join(cell(mine[mine["statistic"] == statistic.name]) for statistic in shown)
        lines.append(
            f'<tr><th scope="row" data-key="{escape(encoder)}">{escape(encoder)}</th>{cells}</tr>'
        )
    return "\n".join([*lines, "</tbody>"])


def write_comparison(pages: Sequence[Page], encoders: Sequence[str], root: Path = ROOT) -> Path:
    """Write ``data/results/sweep/comparison.csv`` and the page.

    Args:
        pages: of all notebooks; those that are finished are compared.
        encoders: in the order of the rows.
        root: of the repository.

    Returns:
        the page, ``build/sweep/comparison.html``.
    """
    found = comparison(pages, root)
    csv = found.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    html = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        csv=base64.b64encode(csv.encode()).decode(), table=html_rows(found, encoders)
    )
    table, page = (
        root / "data" / "results" / "sweep" / "comparison.csv",
        root / "build" / "sweep" / "comparison.html",
    )
    for path, text in ((table, csv), (page, html)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return page
