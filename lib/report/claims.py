"""The rules of the claims (``book/claims.yaml``), and the verdicts of a page by them."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml
from numpy import ndarray
from numpy.typing import ArrayLike

from lib.paths import ROOT
from lib.report.intervals import resampled_mean
from lib.report.judge import CASES, Compared, judge, measured_cases, places
from lib.report.tables import write_table

CLAIMS = ROOT / "book" / "claims.yaml"
FIELDS = ["id", "paper", "figure", "statement", "statistic", "threshold", "page", "compares"]
OPTIONAL = ["untrained", "needs", "shows", "reported", "amended"]


def load_claims(path: Path = CLAIMS) -> dict[str, dict]:
    """Rules by id.

    Raises:
        ValueError: a claim that lacks a field, has an unknown one, repeats an id, or puts random
            weights or a need in a place that it does not compare.
    """
    claims: dict[str, dict] = {}
    for claim in yaml.safe_load(Path(path).read_text(encoding="utf-8")):
        if not set(FIELDS) <= set(claim) <= {*FIELDS, *OPTIONAL}:
            raise ValueError(
                f"{path}: a claim has the fields {FIELDS} and may have {OPTIONAL}, got"
                f" {list(claim)}"
            )
        if claim["id"] in claims:
            raise ValueError(f"{path}: the id {claim['id']!r} stands twice")
        for key, more in (("untrained", ["holds"]), ("needs", [])):
            allowed = [*places(claim), *more]
            if key in claim and claim[key] not in allowed:
                raise ValueError(
                    f"{path}: {key} of {claim['id']} is one of {allowed}, got {claim[key]!r}"
                )
        claims[claim["id"]] = claim
    return claims


def resampled_cases(
    statistics: Mapping[str, Mapping[str, ndarray]], compared: Compared, n: int, path: Path = CLAIMS
) -> pd.DataFrame:
    """Cases of claims whose statistics are resampled already.

    Args:
        statistics: claim -> encoder or random network -> ``(1 + resamples,)``; see
            ``lib.report.intervals``.
        compared: who is.
        n: images behind each.
        path: of the rules.

    Returns:
        columns ``lib.report.judge.CASES``.

    Raises:
        ValueError: a claim without a rule.
    """
    rules = load_claims(path)
    unknown = sorted(set(statistics) - set(rules))
    if unknown:
        raise ValueError(f"no rule in {path.name} for {', '.join(unknown)}")
    tables = [measured_cases(c, rules[c], of, compared, n) for c, of in statistics.items()]
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=CASES)


def cases_of(
    statistics: Mapping[str, Mapping[str, ArrayLike]],
    compared: Compared,
    seed: int = 0,
    path: Path = CLAIMS,
) -> pd.DataFrame:
    """Cases of claims whose statistics are means over images.

    Args:
        statistics: encoder or random network -> claim -> ``(images,)``, on the same images for all
            that have the claim.
        compared: who is.
        seed: of the bootstrap over images.
        path: of the rules.

    Returns:
        columns ``lib.report.judge.CASES``, in the order in which claims first appear.

    Raises:
        ValueError: a claim without a rule, or of different numbers of images.
    """
    names = dict.fromkeys(claim for of in statistics.values() for claim in of)
    tables = []
    for claim in names:
        values = {name: of[claim] for name, of in statistics.items() if claim in of}
        numbers = {len(v) for v in values.values()}
        if len(numbers) > 1:
            raise ValueError(f"{claim}: expected the same images for all, got {sorted(numbers)}")
        resampled = {name: resampled_mean(v, seed=seed) for name, v in values.items()}
        tables.append(resampled_cases({claim: resampled}, compared, numbers.pop(), path))
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=CASES)


def write_verdicts(cases: pd.DataFrame, profile: str, name: str) -> pd.DataFrame:
    """Judge a page's cases and write both tables, ``NAME.cases.csv`` and ``NAME.verdicts.csv``.

    The verdicts are of the numbers as they are written, so that whoever recomputes them from the
    table of cases finds the same.

    Args:
        cases: columns ``lib.report.judge.CASES``.
        profile: of the results.
        name: of the page.

    Returns:
        the verdicts, columns ``lib.report.judge.VERDICT_COLUMNS``.
    """
    written = read_cases(write_table(cases, profile, f"{name}.cases"))
    verdicts = judge(written, load_claims())
    write_table(verdicts, profile, f"{name}.verdicts")
    return verdicts


def read_cases(path: Path) -> pd.DataFrame:
    """A table of cases as it was written."""
    return pd.read_csv(path, keep_default_na=False, dtype={"place": str, "qualified": bool})


def read_verdict_rows(path: Path) -> pd.DataFrame:
    """A table of verdicts as it was written; ``"null"`` is a word in it."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])
