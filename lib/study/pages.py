"""Pages of the book that are written from results: the summary, the verdicts, the status, and the foot of each notebook."""

import re
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from lib.study.claims import VERDICTS
from lib.study.show import html_table, with_interval
from lib.study.verdicts import PAPERS, mark, verdicts_table


def _line(claim: tuple) -> str:
    verdict = f'<a href="what_holds.html#{claim.row}">{mark(claim.verdict)}</a>'
    figure = f'<a href="{claim.ours}">{claim.figure}</a>'
    return f"- {verdict} {claim.statement} ({figure}, effect {with_interval(claim.effect, claim.low, claim.high)})"


def _counts(claims: pd.DataFrame, **chosen: str) -> str:
    counts = claims["verdict"].value_counts()
    address = {v: escape(urlencode({"verdict": v} | chosen)) for v in VERDICTS}
    return ", ".join(f'<a href="what_holds.html?{address[v]}">{counts[v]} {v}</a>' for v in VERDICTS if v in counts)


SEEDS = ' (<a href="seeds.html">what other seeds and longer training change</a>)'


def summary(claims: pd.DataFrame, seeds: bool = False) -> str:
    """What the study found so far: a count, then by paper one line a claim with its effect and verdict; what was reproduced is folded.

    Args:
        claims: with a column for the page, as from ``verdicts.read_claims``.
        seeds: whether the book has the page on seeds, for a link to it.
    """
    if claims.empty:
        return "No claim has been judged yet.\n"
    lines = [f"Of {len(claims)} claims tested so far: **{_counts(claims)}**. Intervals are over test images, not over training seeds{SEEDS if seeds else ''}.\n"]
    for paper, rows in claims.groupby("paper"):
        held = rows["verdict"] == "reproduced"
        lines.append(f"**{PAPERS.get(paper, paper)}**: {_counts(rows, paper=paper)}.\n")
        if (~held).any():
            lines += ["What was not reproduced, or remains undecided:\n", *(_line(c) for c in rows[~held].itertuples()), ""]
        if held.any():
            lines += ["```{dropdown} What was reproduced", *(_line(c) for c in rows[held].itertuples()), "```\n"]
    encoders = ", ".join(sorted({name for names in claims["encoders"] for name in re.split("[,;] ", names) if "/" in name}))
    return "\n".join([*lines, f"Compared: {encoders}."]) + "\n"


HOW_TO_READ = """\
Every claim judged so far, read from the results of the notebooks: what the paper reported, what was measured here, on which encoders. **A** is
*SSLA*, **B** is *What Do Self-Supervised Vision Transformers Learn?*; the name of a paper's figure leads to ours. *Second-hand* is what is known
from a summary by others alone. The papers measured other images and mostly larger encoders, so compare directions rather than sizes. A verdict
says where the 95 % interval over test images lies relative to a threshold that was written down before ([the rules](claims.md)).
"""


def verdicts_page(claims: pd.DataFrame, rules: dict[str, dict] | None = None) -> str:
    """*What holds?*: every judged claim in one table; then the claims of ``rules`` (id -> claim) that no page has judged."""
    parts = ["# What holds?\n", HOW_TO_READ if len(claims) else "No claim has been judged yet.\n"]
    if len(claims):
        parts.append(verdicts_table(claims) + "\n")
    waiting = [claim for name, claim in (rules or {}).items() if name not in set(claims["id"])]
    if waiting:
        parts.append("## Not judged yet\n\nNo encoder that these need was given:\n")
        parts += [f"- **{claim['paper']}, {claim['figure']}** {claim['statement']} The paper reported: {claim.get('reported', '—')}." for claim in waiting]
    return "\n".join(parts) + "\n"


def status_page(records: list[dict], left_out: dict[str, str] | None = None) -> str:
    """When each page was computed, from which commit, with which versions, and how long it took; what is left out, and why."""
    parts = ["# Status\n", "What each page was computed from. A page is computed again when anything in its fingerprint changes, and only then.\n"]
    if left_out:
        parts += ["## Left out\n", "No given encoder fits these pages:\n", *(f"- **{name}**: {reason}." for name, reason in left_out.items()), "\n## Computed\n"]
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
