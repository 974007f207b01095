"""The judged claims of a book as one table, beside what the papers reported."""

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

import pandas as pd

from lib.study.claims import VERDICTS, claims_table
from lib.study.show import number

PAPERS = {"A": "SSLA", "A and B": "The method of one, the question of the other", "B": "What Do Self-Supervised Vision Transformers Learn?"}
COLUMNS = ["Claim and statistic", "The paper reported", "Measured here", "Encoders", "Verdict"]


def read_claims(results: Path, notebooks: list[str], rules: dict[str, dict]) -> pd.DataFrame:
    """The judged claims of these notebooks, and what the rules say about each.

    Args:
        results: folder of the notebooks' tables.
        notebooks: names, in order.
        rules: id -> claim, as ``load_claims`` returns.

    Returns:
        columns of ``claims_table``; ``row``, the claim's anchor in the table; ``ours``, the address of our figure; ``reported``.
    """
    paths = {name: results / f"{name}.claims.csv" for name in notebooks}
    tables = [pd.read_csv(path).assign(page=name) for name, path in paths.items() if path.is_file()]
    claims = pd.concat(tables, ignore_index=True) if tables else claims_table([]).assign(page=None)
    about = [rules.get(name, {}) for name in claims["id"]]
    repeats = claims.groupby("id").cumcount() if tables else []  # a claim is judged for each pair of encoders
    return claims.assign(
        row=[f"claim-{name}" + (f"-{k + 1}" if k else "") for name, k in zip(claims["id"], repeats, strict=True)],
        ours=[f"{page}.html" + (f"#{rule['shows']}" if "shows" in rule else "") for page, rule in zip(claims["page"], about, strict=True)],
        reported=[rule.get("reported", "") for rule in about],
    )


def mark(verdict: str) -> str:
    """A verdict as a badge.

    >>> mark("not reproduced")
    '<span class="verdict not-reproduced">not reproduced</span>'
    """
    return f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>'


def _row(claim: tuple) -> str:
    figure = f'<a href="{escape(claim.ours)}">{escape(claim.paper)}, {escape(claim.figure)}</a>'
    measured = f"<span>{number(claim.effect)}</span> <span>[{number(claim.low)}, {number(claim.high)}]</span>"
    names = re.sub(r"[^\s,;]+/", "", claim.encoders).split(", ")  # without their group
    cells = [
        f"<strong>{figure}</strong> {escape(claim.statement)}<br><small>{escape(claim.statistic)}</small>",
        escape(claim.reported),
        f"{measured}<br><small>threshold {number(claim.threshold)}, n&nbsp;=&nbsp;{claim.n}</small>",
        ", ".join(f"<span>{escape(name)}</span>" for name in names),
        mark(claim.verdict),
    ]
    sort = ["", "", f' data-sort="{claim.effect}"', "", ""]
    columns = "".join(f'<td data-label="{label}"{key}>{cell}</td>' for label, key, cell in zip(COLUMNS, sort, cells, strict=True))
    return f'<tr id="{escape(claim.row)}" data-paper="{escape(claim.paper)}" data-verdict="{escape(claim.verdict)}">{columns}</tr>'


def _filter(name: str, options: dict[str, str], chosen: Iterable[str]) -> str:
    counts = pd.Series(chosen).value_counts()
    shown = "".join(f'<option value="{value}">{escape(label)} ({counts[value]})</option>' for value, label in options.items() if value in counts)
    return f'<label>{name.capitalize()} <select name="{name}"><option value="">all ({counts.sum()})</option>{shown}</select></label>'


def verdicts_table(claims: pd.DataFrame) -> str:
    """Claims as :func:`read_claims` returns them, as a table in their order, with filters that stay hidden unless ``verdicts.js`` runs."""
    papers = {name: f"{name}: {title}" for name, title in PAPERS.items()}
    filters = _filter("paper", papers, claims["paper"]) + _filter("verdict", {v: v for v in VERDICTS}, claims["verdict"])
    head = "".join(f'<th scope="col">{label}</th>' for label in COLUMNS)
    rows = "".join(_row(claim) for claim in claims.itertuples())
    return (
        f'<div class="verdicts-page"><form class="verdict-filters" autocomplete="off" hidden>{filters}<output></output></form>'
        f'<div class="table-scroll"><table class="study verdicts"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>'
    )
