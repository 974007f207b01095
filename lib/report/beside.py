"""*My encoder beside the study's*: every statistic as a dot among the reference encoders and random
weights, and a table that others can append to."""

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from html import escape
from pathlib import Path

import pandas as pd

from lib.encoders.card import CHECKPOINTS, read_card
from lib.paths import ROOT
from lib.report.comparison import COLUMNS, STATISTICS, comparison
from lib.report.names import plain_names
from lib.report.show import number, with_interval
from lib.report.style import is_null
from lib.run.errors import StudyError
from lib.run.profiles import sweep_pages

PROVENANCE = ["method", "architecture", "source", "sha256", "licence", "images", "added"]


def study_rows(profile: str, root: Path = ROOT) -> pd.DataFrame:
    """Every statistic of every encoder in a profile's results, random weights among them.

    Returns:
        columns ``comparison.COLUMNS``.
    """
    rows = []
    for statistic in STATISTICS:
        path = root / "data" / "results" / profile / f"{statistic.table}.csv"
        if path.is_file():
            table = pd.read_csv(path, dtype={"head": str})
            encoders = table["encoder"].dropna().unique()
            rows += [statistic.of(encoder, table) for encoder in encoders]
    return pd.DataFrame([row for row in rows if row], columns=COLUMNS)


def dots(rows: pd.DataFrame, mine: str) -> str:
    """One statistic of all encoders on one axis, as SVG: mine large with its interval, the others
    small and named when pointed at, random weights as hollow triangles."""
    low, high = rows[["value", "low"]].min().min(), rows[["value", "high"]].max().max()
    pad = 0.05 * (high - low or 1)
    at = lambda value: 8 + 304 * (value - low + pad) / (high - low + 2 * pad)
    names, parts = plain_names(list(rows["encoder"])), ['<path class="axis" d="M8 18H312"/>']
    for row in rows.sort_values("encoder", key=lambda names: names == mine).itertuples():
        x, words = at(row.value), f"{names[row.encoder]}: {number(row.value)}"
        title = f"<title>{escape(words)}</title>"
        if row.encoder == mine:
            if pd.notna(row.low):
                parts.append(f'<path class="mine" d="M{at(row.low):.1f} 18H{at(row.high):.1f}"/>')
            parts.append(f'<circle class="mine" cx="{x:.1f}" cy="18" r="7">{title}</circle>')
        elif is_null(row.encoder):
            parts.append(f'<path class="null" d="M{x:.1f} 12l6 11h-12z">{title}</path>')
        else:
            parts.append(f'<circle class="study" cx="{x:.1f}" cy="18" r="4">{title}</circle>')
    learned = rows[(rows["encoder"] != mine) & ~rows["encoder"].map(is_null)]["value"]
    words = f"mine among {len(learned)} encoders of the study" + (
        f", which lie from {number(learned.min())} to {number(learned.max())}"
        if len(learned)
        else ""
    )
    return (
        f'<svg viewBox="0 0 320 36" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --mine: #c04a00; --study: #2b6fa8; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #14181e; --mine: #f08a3c; --study: #62aee6; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 0.3rem 0.6rem; border-bottom: 1px solid #8888; vertical-align: middle; }
svg { width: 100%; min-width: 12rem; max-width: 22rem; } .axis { stroke: currentColor; opacity: 0.4; }
.mine { fill: var(--mine); stroke: var(--mine); stroke-width: 2.5; } .study { fill: var(--study); opacity: 0.75; } .null { fill: none; stroke: currentColor; }
a { color: var(--study); }
@media (max-width: 600px) { thead { display: none; } tr, td { display: block; border: 0; padding: 0.1rem 0; } tr { border-bottom: 1px solid #8888; padding: 0.5rem 0; } }
"""  # noqa: E501


def beside_page(table: pd.DataFrame, mine: str, results: str) -> str:
    """The page, complete in itself.

    Args:
        table: columns ``comparison.COLUMNS``: the study's rows and mine.
        mine: name of the encoder.
        results: address of the folder of its results, for links.

    Raises:
        StudyError: there is no number of the encoder.
    """
    own = table[table["encoder"] == mine]
    if own.empty:
        raise StudyError(f"no finished page has a statistic of {mine}")
    rows = []
    for row in own.itertuples():
        value = (
            number(row.value) if pd.isna(row.low) else with_interval(row.value, row.low, row.high)
        )
        same = table[table["statistic"] == row.statistic]
        rows.append(
            f"<tr><td>{escape(row.statistic)}</td><td>{dots(same, mine)}</td><td>{value}<br>"
            f'<a href="{escape(results)}/{row.page}.csv">table of {escape(row.page)}</a></td></tr>'
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
        f' content="width=device-width"><title>{escape(mine)} beside the study</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(mine)} beside the study's encoders</h1>"
        "<p>Each line is one statistic. The large dot is this encoder with its 95 % interval over"
        " images, small dots are the study's encoders (point at one for its name), triangles are"
        ' random weights and raw pixels. <a href="leaderboard.csv">All numbers as a table'
        " that you can append to</a>.</p><table><thead><tr><th>Statistic</th><th>Where it lies</th>"
        f"<th>Value</th></tr></thead><tbody>{''.join(rows)}</tbody></table></body></html>"
    )


def provenance(encoder: str, dataset: str, root: Path = CHECKPOINTS) -> dict:
    """What a row of the leaderboard says of its encoder: facts of the card, the images, the day."""
    path, day = root / f"{encoder}.yaml", datetime.now(timezone.utc).date().isoformat()
    card = asdict(read_card(path)) if path.is_file() else {}
    return {fact: card.get(fact, "") for fact in PROVENANCE[:5]} | {"images": dataset, "added": day}


def leaderboard(table: pd.DataFrame, dataset: str, path: Path) -> pd.DataFrame:
    """Write the table with provenance; rows that are there of other encoders stay, those of the same
    encoder, statistic and images are replaced.

    Returns:
        what was written: ``comparison.COLUMNS`` and ``PROVENANCE``.
    """
    facts = {name: provenance(name, dataset) for name in table["encoder"].unique()}
    added = table.assign(
        **{f: table["encoder"].map(lambda e, f=f: facts[e][f]) for f in PROVENANCE}
    )
    known = (
        pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.is_file() else added[:0]
    )
    both = pd.concat([known, added]) if len(known) else added
    kept = both.drop_duplicates(["encoder", "statistic", "images"], keep="last")
    path.parent.mkdir(parents=True, exist_ok=True)
    kept.to_csv(path, index=False)
    return kept


def beside(
    mine: str, others: Iterable[str] = (), profile: str = "fashion", dataset: str = "",
    root: Path = ROOT,
) -> Path:  # fmt: skip
    """Write page and leaderboard of an encoder that a sweep has measured.

    Args:
        mine: its name.
        others: encoders measured by sweeps too.
        profile: of the sweep, whose results hold the study's encoders.
        dataset: images other than the profile's; the study's numbers are then left out, since they
            are of other images.
        root: of the repository.

    Returns:
        the page, ``build/compare/NAME/index.html``.

    Raises:
        StudyError: no finished page has a statistic of the encoder.
    """
    pages, _ = sweep_pages(profile, [mine, *others], (), dataset, root)
    measured = comparison(pages, root)
    study = study_rows(profile, root) if not dataset else measured[:0]
    study = study[~study["encoder"].isin([mine, *others])]
    table = pd.concat([study, measured], ignore_index=True) if len(study) else measured
    folder = root / "build" / "compare" / mine.replace("/", "--")
    own = next(page.profile for page in pages if page.encoder == mine)
    page = beside_page(table, mine, f"../../../data/results/{own}")
    leaderboard(table, dataset or profile, folder / "leaderboard.csv")
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


def main(argv: list[str] | None = None) -> None:
    """Write the page of an encoder beside the study's."""
    parser = argparse.ArgumentParser(prog="python -m lib.report.beside", description=main.__doc__)
    parser.add_argument("encoder", help="such as custom/mine")
    parser.add_argument("--with", dest="others", default="", help="other encoders that were swept")
    parser.add_argument("--profile", default="fashion", help="default: fashion")
    parser.add_argument("--data", default="", help="folder of images that the sweep was given")
    given = parser.parse_args(argv)
    others = given.others.replace(",", " ").split()
    try:
        print(beside(given.encoder, others, given.profile, given.data).relative_to(ROOT))
    except StudyError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
