"""Pages of the book that are written from results: the summary, the verdicts, the status, and the
foot of each notebook."""

from html import escape
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from lib.report.heads import badge
from lib.report.judge import VERDICTS
from lib.report.show import html_table, with_interval
from lib.report.verdicts import PAPERS, verdicts_table


def _line(claim: tuple) -> str:
    verdict = f'<a href="what_holds.html#{claim.row}">{badge(claim.verdict)}</a>'
    figure = f'<a href="{claim.ours}">{claim.figure}</a>'
    return (
        f"- {verdict} {claim.statement} ({figure}, effect"
        f" {with_interval(claim.effect, claim.low, claim.high)}: {escape(claim.reason)})"
    )


def _counts(table: pd.DataFrame, **chosen: str) -> str:
    counts = table["verdict"].value_counts()
    address = {v: escape(urlencode({"verdict": v} | chosen)) for v in VERDICTS}
    return ", ".join(
        f'<a href="what_holds.html?{address[v]}">{counts[v]} {v}</a>'
        for v in VERDICTS
        if v in counts
    )


def summary(table: pd.DataFrame) -> str:
    """What the study found so far: a count, then by paper the claims of each verdict, folded.

    Args:
        table: as ``verdicts.read_verdicts`` returns.
    """
    if table.empty:
        return "No claim has been judged yet.\n"
    lines = [f"Of {len(table)} claims tested so far: **{_counts(table)}**.\n"]
    for paper, of_paper in table.groupby("paper"):
        lines.append(f"**{PAPERS.get(paper, paper)}**: {_counts(of_paper, paper=paper)}.\n")
        for verdict in VERDICTS:
            rows = of_paper[of_paper["verdict"] == verdict]
            if len(rows):
                title = f"```{{dropdown}} {verdict.capitalize()}: {len(rows)}"
                lines += [title, *(_line(claim) for claim in rows.itertuples()), "```\n"]
    return "\n".join(lines) + "\n"


HOW_TO_READ = """\
Every claim judged so far: what the paper reported, what was measured here, and four questions to
each, answered by marks. **A** is *SSLA*, **B** is *What Do Self-Supervised Vision Transformers
Learn?*; the name of a paper's figure leads to ours.

effect
: Does the first pair of encoders (or the first encoder) show it?

learned
: Does it exceed what random weights show, or, for a claim about any network, do they show it too?

all pairs
: Does every pair of encoders show it?

seeds
: Do trainings from at least three seeds show it, over seeds and images together?

Effects are given for the first pair that is good enough for the claim. The papers measured other
images and mostly larger encoders, so compare directions rather than sizes. *Second-hand* is what is
known from a summary by others alone. All rules were written down before ([the rules](claims.md)).
"""
CHANGED = """\
## What the amendment changed

Until 2026-11-25 a verdict was the effect of one pair of encoders alone. What follows are the verdicts
that are others now, and why; [the rules](claims.md) say what was amended.
"""


def verdicts_page(
    table: pd.DataFrame, rules: dict[str, dict] | None = None, changed: pd.DataFrame | None = None
) -> str:
    """*What holds?*: every judged claim in one table; then the claims that no page has judged, and
    what an amendment of the rules changed.

    Args:
        table: as ``verdicts.read_verdicts`` returns.
        rules: id -> rule.
        changed: as ``verdicts.changes`` returns.
    """
    if table.empty:
        return "# What holds?\n\nNo claim has been judged yet.\n"
    parts = ["# What holds?\n", HOW_TO_READ, verdicts_table(table) + "\n"]
    waiting = [rule for name, rule in (rules or {}).items() if name not in set(table["claim"])]
    if waiting:
        parts.append("## Not judged yet\n\nNo encoder that these need was given:\n")
        parts += [
            f"- **{rule['paper']}, {rule['figure']}** {rule['statement']} The paper reported:"
            f" {rule.get('reported', '—')}."
            for rule in waiting
        ]
    if changed is not None and len(changed):
        caption = f"{len(changed)} verdicts of the former rules that changed"
        parts += ["", CHANGED, html_table(changed, caption)]
    return "\n".join(parts) + "\n"


def status_page(records: list[dict], left_out: dict[str, str] | None = None) -> str:
    """When each page was computed, from which commit, with which versions, and how long it took;
    what is left out, and why."""
    parts = [
        "# Status\n",
        (
            "What each page was computed from. A page is computed again when anything in its"
            " fingerprint changes, and only then.\n"
        ),
    ]
    if left_out:
        parts += [
            "## Left out\n",
            "No given encoder fits these pages:\n",
            *(f"- **{name}**: {reason}." for name, reason in left_out.items()),
            "\n## Computed\n",
        ]
    if not records:
        return "\n".join([*parts, "No page has been computed yet.\n"])
    rows = [
        {
            "page": record["notebook"],
            "computed": f"{record['date'][:16].replace('T', ' ')} UTC",
            "seconds": record["seconds"],
            "commit": (
                record["commit"][:10]
                + (" and uncommitted changes" if record["uncommitted_changes"] else "")
            ),
            "key": record["fingerprint"]["key"][:12],
        }
        for record in records
    ]
    parts.append(
        html_table(
            pd.DataFrame(rows),
            f"{len(rows)} notebooks, {sum(r['seconds'] for r in records):.0f} s in all.",
        )
    )
    versions = [
        {"package": name, "version": version} for name, version in records[-1]["versions"].items()
    ]
    parts.append(
        "\n" + html_table(pd.DataFrame(versions), "Versions; the lock file pins all of them.")
    )
    return "\n".join(parts) + "\n"


def foot(record: dict) -> str:
    """Provenance at the foot of a notebook's page, as Markdown: parameters, hashes, versions, time,
    tables to download."""
    hashes = record["fingerprint"]
    flat = {
        "notebook": hashes["notebook"],
        **{path: sha for part in ("checkpoints", "data") for path, sha in hashes[part].items()},
    }
    facts = {
        "commit": (
            record["commit"]
            + (" with uncommitted changes" if record["uncommitted_changes"] else "")
        ),
        "computed": f"{record['date']}, in {record['seconds']} s",
        **{k: record[k] for k in ("device", "precision") if k in record},
        "versions": ", ".join(f"{k} {v}" for k, v in record["versions"].items()),
        **{f"parameter {name}": value for name, value in record["parameters"].items()},
        **{f"sha256 of {name}": sha for name, sha in flat.items()},
        "claims judged": ", ".join(hashes["claims"]) or "none",
        "modules of lib": f"{len(hashes['lib'])} files",
        "key": hashes["key"],
    }
    rows = "".join(
        f"<tr><th>{escape(k)}</th><td><code>{escape(str(v))}</code></td></tr>"
        for k, v in facts.items()
    )
    tables = [Path(path).name for path in record["outputs"] if path.endswith(".csv")]
    links = " · ".join(
        f"{{download}}`{name} <generated/{name}>` ({{download}}`LaTeX"
        f" <generated/{name.removesuffix('.csv')}.tex>`)"
        for name in tables
    )
    return (
        f"---\n\nTables of this page: {links}\n\n<details class='behind"
        " provenance'><summary>Provenance</summary><div class='table-scroll'><table"
        f" class='study'>{rows}</table></div></details>\n"
    )
