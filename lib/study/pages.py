"""Pages of the book that are written from results: the summary, the verdicts, the status, and the foot of each notebook."""

from html import escape
from pathlib import Path

import pandas as pd

from lib.study.claims import VERDICTS
from lib.study.show import claims_html, html_table, with_interval

PAPERS = {"A": "SSLA", "B": "What Do Self-Supervised Vision Transformers Learn?"}


def read_claims(results: Path, notebooks: list[str]) -> pd.DataFrame:
    """The judged claims of these notebooks, with the notebook's name as ``page``; empty when none has any."""
    tables = [pd.read_csv(path).assign(page=name) for name in notebooks if (path := results / f"{name}.claims.csv").is_file()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["verdict", "page", "paper"])


def summary(claims: pd.DataFrame) -> str:
    """What the study found so far: a count, and one line a claim with its effect and verdict."""
    if claims.empty:
        return "No claim has been judged yet.\n"
    counts = claims["verdict"].value_counts()
    total = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if v in counts)
    encoders = "; ".join(sorted(set(claims["encoders"])))
    lines = [f"Of {len(claims)} claims tested so far: **{total}**. Compared: {encoders}. Intervals are over test images, not over training seeds.\n"]
    for c in claims.itertuples():
        mark = f'<span class="verdict {c.verdict.replace(" ", "-")}">{c.verdict}</span>'
        lines.append(f"- {mark} {c.statement} ([{c.figure}]({c.page}.ipynb), effect {with_interval(c.effect, c.low, c.high)})")
    return "\n".join(lines) + "\n"


def verdicts_page(claims: pd.DataFrame) -> str:
    """*What holds?*: every judged claim, by paper."""
    parts = ["# What holds?\n", "Every claim judged so far, read from the results of the notebooks. The rules are on [a page of their own](claims.md).\n"]
    for paper, rows in claims.groupby("paper"):
        pages = ", ".join(f"[]({page}.ipynb)" for page in dict.fromkeys(rows["page"]))
        parts.append(f"## {PAPERS.get(paper, paper)}\n\nFrom {pages}.\n\n{claims_html(rows)}\n")
    if claims.empty:
        parts.append("No claim has been judged yet.\n")
    return "\n".join(parts)


def status_page(records: list[dict]) -> str:
    """When each page was computed, from which commit, with which versions, and how long it took."""
    parts = ["# Status\n", "What each page was computed from. A page is computed again when anything in its fingerprint changes, and only then.\n"]
    if not records:
        return "\n".join([*parts, "No page has been computed yet.\n"])
    rows = [
        {
            "page": record["notebook"],
            "computed": f"{record['date'][:16].replace('T', ' ')} UTC",
            "seconds": record["seconds"],
            "commit": record["commit"][:10] + (" and uncommitted changes" if record["uncommitted_changes"] else ""),
            "key": record["fingerprint"]["key"][:12],
        }
        for record in records
    ]
    parts.append(html_table(pd.DataFrame(rows), f"{len(rows)} notebooks, {sum(r['seconds'] for r in records):.0f} s in all."))
    versions = [{"package": name, "version": version} for name, version in records[-1]["versions"].items()]
    parts.append("\n" + html_table(pd.DataFrame(versions), "Versions; the lock file pins all of them."))
    return "\n".join(parts) + "\n"


def foot(record: dict) -> str:
    """Provenance at the foot of a notebook's page, as Markdown: parameters, hashes, versions, time, tables to download."""
    hashes = record["fingerprint"]
    flat = {"notebook": hashes["notebook"], **{path: sha for part in ("checkpoints", "data", "lock") for path, sha in hashes[part].items()}}
    facts = {
        "commit": record["commit"] + (" with uncommitted changes" if record["uncommitted_changes"] else ""),
        "computed": f"{record['date']}, in {record['seconds']} s",
        "versions": ", ".join(f"{k} {v}" for k, v in record["versions"].items()),
        **{f"parameter {name}": value for name, value in record["parameters"].items()},
        **{f"sha256 of {name}": sha for name, sha in flat.items()},
        "modules of lib": f"{len(hashes['lib'])} files",
        "key": hashes["key"],
    }
    rows = "".join(f"<tr><th>{escape(k)}</th><td><code>{escape(str(v))}</code></td></tr>" for k, v in facts.items())
    tables = [Path(path).name for path in record["outputs"] if path.endswith(".csv")]
    links = " · ".join(f"{{download}}`{name} <generated/{name}>`" for name in tables)
    return (
        f"---\n\nTables of this page: {links}\n\n<details class='behind provenance'><summary>Provenance</summary>"
        f"<div class='table-scroll'><table class='study'>{rows}</table></div></details>\n"
    )
