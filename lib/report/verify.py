"""Are the tables of a run those of the repository, as far as another machine can tell?

``python -m lib.report.verify --profile fashion`` compares, column by column, within the tolerances
of ``book/tolerances.yaml``.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml

from lib.paths import ROOT
from lib.report.show import html_table, number
from lib.run.errors import StudyError

TOLERANCES = ROOT / "book" / "tolerances.yaml"
Within = Literal["exact", "smooth", "counted", "interval"]
MEASURED = ("value", "low", "high", "effect")
WORDS = ("verdict", "word")
SMOOTH, IMAGES = 1e-5, 2
MEANING = {
    "exact": "the same",
    "smooth": "1e-5 of the value, or of 1",
    "counted": f"{IMAGES} of the n images",
    "interval": "half the width of its own interval",
}
FOUND = ["table", "column", "metrics", "within", "rows", "largest", "allowed", "wrong", "why"]


@dataclass(frozen=True)
class Tolerance:
    """A rule of ``book/tolerances.yaml``.

    Attributes:
        tables, columns, metrics: patterns, as of file names; any of them must fit.
        within: how near.
        why: the reason, for readers.
    """

    tables: tuple[str, ...]
    within: Within
    why: str
    columns: tuple[str, ...] = ("*",)
    metrics: tuple[str, ...] = ("*",)

    def fits(self, table: str, column: str, metric: str) -> bool:
        """Does it speak of this value?"""
        pairs = ((self.tables, table), (self.columns, column), (self.metrics, metric))
        return all(any(fnmatch(name, p) for p in patterns) for patterns, name in pairs)


ABOUT = Tolerance(("*",), "exact", "What the rows are about.")
VERDICTS = Tolerance(("*",), "exact", "A verdict is what the study says.")


def load_tolerances(path: Path = TOLERANCES) -> list[Tolerance]:
    """Rules in order.

    Raises:
        ValueError: a rule with other fields, an unknown ``within``, a last rule that does not fit
            everything.
    """
    rules = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        if not {"tables", "within", "why"} <= set(entry) <= set(Tolerance.__dataclass_fields__):
            raise ValueError(f"{path}: a rule has tables, within and why, got {list(entry)}")
        if entry["within"] not in MEANING:
            raise ValueError(f"{path}: within is one of {list(MEANING)}, got {entry['within']!r}")
        rules.append(
            Tolerance(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
        )
    if not rules or not rules[-1].fits("any", "any", "any"):
        raise ValueError(f"{path}: the last rule must fit every table, column and metric")
    return rules


def allowed(within: Within, rows: pd.DataFrame, column: str) -> np.ndarray:
    """Largest difference ``(rows,)`` that the rule allows, from the repository's own rows.

    >>> rows = pd.DataFrame({"value": [0.5], "low": [0.4], "high": [0.8], "n": [100]})
    >>> allowed("interval", rows, "value").round(3).tolist(), allowed("counted", rows, "low").tolist()
    ([0.2], [0.020004])
    """
    rounding = 1e-5 * rows[column].abs()  # of six digits in the file
    if within == "counted" and "n" in rows:
        return (IMAGES / rows["n"] + rounding).to_numpy()
    if within == "interval" and {"low", "high"} <= set(rows):
        return ((rows["high"] - rows["low"]) / 2 + rounding).to_numpy()
    return (SMOOTH * rows[column].abs().clip(lower=1)).to_numpy()


def compare(
    name: str, expected: pd.DataFrame, found: pd.DataFrame, rules: list[Tolerance]
) -> pd.DataFrame:
    """How far a table is from the repository's, by column and rule; columns ``FOUND``.

    Rows belong together that agree in every column that is not measured. ``largest`` is the largest
    difference, ``allowed`` the smallest tolerance among the rows, ``wrong`` says what is beyond it.

    Args:
        name: of the table, without its ending.
        expected: the repository's, as text.
        found: of the run, as text.
        rules: as :func:`load_tolerances` returns.
    """
    measured = [c for c in expected.columns if c in MEASURED]
    words = [c for c in expected.columns if c in WORDS]
    keys = [c for c in expected.columns if c not in (*measured, *words)]
    report = []

    def add(column, rule, rows, wrong, metrics="", largest=np.nan, limit=np.nan):
        line = (name, column, metrics, rule.within, rows, largest, limit, wrong, rule.why)
        report.append(dict(zip(FOUND, line, strict=True)))

    ids = lambda t: t[keys].agg("|".join, axis=1)
    same = list(expected.columns) == list(found.columns)
    wrong = "" if same else f"columns {list(expected.columns)}, now {list(found.columns)}"
    if same and sorted(ids(expected)) != sorted(ids(found)):
        apart = sorted(set(ids(expected)) ^ set(ids(found))) or ["in another number"]
        wrong = f"{len(apart)} rows are not in both: {apart[0]}"
    add("keys", ABOUT, len(expected), wrong)
    if wrong:
        return pd.DataFrame(report, columns=FOUND)
    old, new = (
        t.assign(same_row=ids(t), turn=ids(t).groupby(ids(t)).cumcount()) for t in (expected, found)
    )
    both = old.merge(new, on=["same_row", "turn"], suffixes=("", " now"))
    for column in words:
        changed = both[both[column] != both[f"{column} now"]]
        told = [
            f"{a}: {b}, now {c}"
            for a, b, c in changed[[both.columns[0], column, f"{column} now"]].values
        ]
        add(column, VERDICTS, len(both), "; ".join(told))
    metric = both["metric"] if "metric" in both else pd.Series("", both.index)
    number = {
        c: pd.to_numeric(both[c], errors="coerce")
        for c in both.columns
        if c.split()[0] in (*MEASURED, "n")
    }
    numbers = pd.DataFrame(number)
    for column in measured:
        which = metric.map(
            lambda m, c=column: next(i for i, r in enumerate(rules) if r.fits(name, c, m))
        )
        for i, rows in numbers.groupby(which):
            rule, now = rules[i], rows[f"{column} now"]
            limit = (
                np.zeros(len(rows))
                if rule.within == "exact"
                else allowed(rule.within, rows, column)
            )
            gap = (now - rows[column]).abs().to_numpy()
            beyond = (gap > limit) | (now.isna() != rows[column].isna()).to_numpy()
            first = both["same_row"][rows.index[beyond]].head(1).tolist()
            told = f"{beyond.sum()} of {len(rows)} rows, first {first[0]}" if first else ""
            largest, limit = np.nanmax(gap, initial=0), np.nanmin(limit, initial=np.inf)
            add(column, rule, len(rows), told, ", ".join(rule.metrics), largest, limit)
    return pd.DataFrame(report, columns=FOUND)


def read_text(table: Path | StringIO) -> pd.DataFrame:
    """A CSV file as it is written: every cell text, an empty one empty."""
    return pd.read_csv(table, dtype=str, keep_default_na=False)


def committed(profile: str, against: str, root: Path = ROOT) -> dict[str, pd.DataFrame]:
    """Tables of a profile in a commit, or in a folder of results.

    Raises:
        StudyError: neither, or no tables there.
    """
    folder = Path("data") / "results" / profile
    if (Path(against) / f"{profile}").is_dir():
        paths = sorted((Path(against) / profile).glob("*.csv"))
        return {path.name.removesuffix(".csv"): read_text(path) for path in paths}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StudyError(
                f"{against!r} is neither a commit of this repository nor a folder of results with"
                f" {profile}: {done.stderr.strip()}"
            )
        return done.stdout

    names = git("ls-tree", "--name-only", against, f"{folder.as_posix()}/").split()
    tables = [name for name in names if name.endswith(".csv")]
    if not tables:
        raise StudyError(f"{against} holds no tables in {folder}")
    read = lambda name: read_text(StringIO(git("show", f"{against}:{name}")))
    return {Path(name).name.removesuffix(".csv"): read(name) for name in tables}


def verify(profile: str, against: str = "HEAD", root: Path = ROOT) -> pd.DataFrame:
    """:func:`compare` of every table; one that only one side has is wrong.

    Args:
        profile: whose tables, in ``data/results/PROFILE``.
        against: a commit, or a folder that holds a folder ``PROFILE``.
        root: of the repository.
    """
    rules, old = (
        load_tolerances(root / "book" / "tolerances.yaml"),
        committed(profile, against, root),
    )
    paths = sorted((root / "data" / "results" / profile).glob("*.csv"))
    new = {path.name.removesuffix(".csv"): read_text(path) for path in paths}
    report = [compare(name, old[name], new[name], rules) for name in old if name in new]
    for name in sorted(set(old) ^ set(new)):
        where = "the repository has no such table" if name in new else "the run has no such table"
        line = (name, "keys", "", "exact", 0, np.nan, np.nan, where, "")
        report.append(pd.DataFrame([line], columns=FOUND))
    return pd.concat(report, ignore_index=True).sort_values("table", kind="stable")


def how_exact(rules: list[Tolerance], found: pd.DataFrame | None = None) -> str:
    """Tables of the page *How exact?*: the rules, and by table the largest share of its tolerance
    that a comparison used, if there was one.

    Args:
        rules: as :func:`load_tolerances` returns.
        found: as :func:`verify` returns.
    """
    rows = [
        {
            "tables": ", ".join(rule.tables),
            "what": ", ".join(p for p in (*rule.columns, *rule.metrics) if p != "*") or "all",
            "within": MEANING[rule.within],
            "why": rule.why,
        }
        for rule in rules
    ]
    caption = "What may differ on another machine; the first line that fits counts"
    text = html_table(pd.DataFrame(rows), caption)
    if found is None:
        return text
    largest = found.groupby("table", sort=False)["largest"].max().fillna(0)
    wrong = found[found["wrong"].fillna("") != ""].groupby("table")["wrong"].first()
    shown = pd.DataFrame({"largest difference": largest, "beyond its tolerance": wrong}).fillna(
        "no"
    )
    shown = shown.rename_axis("table").reset_index()
    shown["largest difference"] = shown["largest difference"].map(number)
    return f"{text}\n\n{html_table(shown, 'The last comparison on this machine')}"


def last_comparison(profile: str, root: Path = ROOT) -> Path:
    """Where the report of the last comparison lies."""
    return root / "build" / "verify" / f"{profile}.csv"


def main(argv: list[str] | None = None) -> int:
    """Compare, print and write ``build/verify/PROFILE.csv``; 1 if anything is wrong, 2 for a
    mistake."""
    parser = argparse.ArgumentParser(prog="python -m lib.report.verify", description=__doc__)
    parser.add_argument("--profile", default="fashion", help="default: fashion")
    parser.add_argument(
        "--against", default="HEAD", help="a commit, or a folder of results (default: HEAD)"
    )
    arguments = parser.parse_args(argv)
    try:
        found = verify(arguments.profile, arguments.against)
    except (StudyError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    path = last_comparison(arguments.profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(path, index=False, float_format="%.3g", lineterminator="\n")
    shown = found.drop(columns=["why", "metrics", "wrong"])
    print(shown.to_string(index=False, float_format=lambda x: f"{x:.2g}", na_rep=""))
    wrong = found[found["wrong"] != ""]
    for line in wrong.itertuples():
        print(f"{line.table}, {line.column}: {line.wrong}", file=sys.stderr)
    print(
        f"{found['table'].nunique()} tables compared with {arguments.against}:"
        f" {len(wrong)} columns differ beyond their tolerance"
    )
    return 1 if len(wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
