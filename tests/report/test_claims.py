"""The rules, and a page's cases and verdicts by them."""

import numpy as np
import pandas as pd
import pytest
import yaml

from lib.report.claims import (
    CLAIMS,
    FIELDS,
    cases_of,
    load_claims,
    read_cases,
    read_verdict_rows,
    resampled_cases,
    write_verdicts,
)
from lib.report.intervals import bootstrap_mean, resampled_mean
from lib.report.judge import CASES, VERDICT_COLUMNS, VERDICTS, Compared, judge
from lib.report.verdicts import PAPERS
from lib.run.layout import ROOT, find_notebook

CLAIM = {
    "id": "A1",
    "paper": "A",
    "figure": "Fig. 1",
    "statement": "It is so.",
    "statistic": "how much",
    "threshold": 0.05,
    "page": "ssla",
    "compares": "CL − MIM",
}
PAIR = Compared(
    {"a": {"CL"}, "b": {"MIM"}, "c": {"MIM"}}, {"a": ["null"], "b": ["null"], "c": ["null"]}
)


@pytest.fixture
def write(tmp_path):
    def write(*claims):
        path = tmp_path / "claims.yaml"
        path.write_text(yaml.safe_dump(list(claims), allow_unicode=True))
        return path

    return write


def without(field):
    return {k: v for k, v in CLAIM.items() if k != field}


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ([CLAIM, CLAIM], "the id 'A1' stands twice"),
        ([without("threshold")], "a claim has the fields"),
        ([without("page")], "a claim has the fields"),
        ([CLAIM | {"comment": "?"}], "may have .*'shows', 'reported'.* got .*'comment'"),
        ([CLAIM | {"untrained": "MAE"}], r"untrained of A1 is one of \['CL', 'MIM', 'holds'\]"),
        ([CLAIM | {"needs": "holds"}], r"needs of A1 is one of \['CL', 'MIM'\], got 'holds'"),
    ],
)
def test_refuses_rules(write, claims, message):
    with pytest.raises(ValueError, match=message):
        load_claims(write(*claims))


def test_the_rules_of_the_study_are_complete():
    rules = load_claims(CLAIMS)
    assert rules
    for name, rule in rules.items():
        assert isinstance(rule["threshold"], float), name
        assert rule["paper"] in PAPERS and name.startswith(rule["paper"][0]), name
        assert rule["statement"].endswith("."), name
        assert all(isinstance(rule[f], str) and rule[f] for f in FIELDS if f != "threshold"), name
        assert find_notebook(rule["page"]), name


def test_former_verdicts_stay_readable_and_each_has_a_successor_or_a_reason():
    former = pd.read_csv(ROOT / "book" / "amendments" / "2026-11-25.csv").fillna("")
    rules = load_claims(CLAIMS)
    assert len(former) == 59 and former["verdict"].value_counts()["reproduced"] == 31
    for row in former.itertuples():
        successors = row.now.split()
        assert bool(successors) != bool(row.dropped), row.id
        assert set(successors) <= set(rules), row.id
        assert row.low <= row.effect <= row.high, row.id


def values(mean, n=40, seed=0):
    return mean + 0.1 * np.random.default_rng(seed).normal(size=n)


def test_cases_of_means_are_paired_over_images(write):
    noise = values(0.0)
    statistics = {
        "a": {"A1": 0.5 + noise}, "b": {"A1": 0.2 + noise}, "c": {"A1": values(0.1, seed=1)},
        "null": {"A1": values(0.0, seed=2)},
    }  # fmt: skip
    cases = cases_of(statistics, PAIR, seed=3, path=write(CLAIM))
    assert list(cases.columns) == CASES
    first = cases.iloc[0]
    assert (first["encoders"], first["kind"], first["n"]) == ("a · b", "trained", 40)
    assert first[["effect", "low", "high"]].tolist() == pytest.approx([0.3] * 3)  # noise cancels
    other = cases[(cases["kind"] == "trained") & (cases["encoders"] == "a · c")].iloc[0]
    expected = bootstrap_mean(statistics["a"]["A1"] - statistics["c"]["A1"], seed=3)
    assert other[["effect", "low", "high"]].tolist() == pytest.approx([float(x) for x in expected])


def test_an_encoder_without_a_statistic_makes_no_case(write):
    cases = cases_of({"a": {"A1": values(0.5)}, "b": {}}, PAIR, path=write(CLAIM))
    assert cases.empty and list(cases.columns) == CASES


def test_refuses_what_has_no_rule_and_images_that_differ(write):
    with pytest.raises(ValueError, match=r"no rule in claims.yaml for A2"):
        cases_of({"a": {"A2": values(0.5)}}, PAIR, path=write(CLAIM))
    with pytest.raises(ValueError, match=r"A1: expected the same images for all, got \[39, 40\]"):
        statistics = {"a": {"A1": values(0.5)}, "b": {"A1": values(0.5, 39)}}
        cases_of(statistics, PAIR, path=write(CLAIM))


def test_verdicts_are_those_of_the_written_numbers(results):
    rules = load_claims()
    statistic = {"a": resampled_mean(values(0.9)), "b": resampled_mean(values(0.1, seed=1))}
    null = {"null": resampled_mean(values(0.95, seed=2))}
    cases = resampled_cases({"B2-same-map": statistic | null}, PAIR, 40)
    verdicts = write_verdicts(cases, "p", "page")
    assert list(verdicts.columns) == VERDICT_COLUMNS
    again = judge(read_cases(results / "p" / "page.cases.csv"), rules)
    pd.testing.assert_frame_equal(again, verdicts)
    written = read_verdict_rows(results / "p" / "page.verdicts.csv")
    words = dict(zip(written["part"], written["word"], strict=True))
    assert (
        words["null"] == "no"
        and words["effect"] == "yes"
        and words["verdict"] == "holds, but not by learning"
    )


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "data" / "results" / "fashion").glob("*.cases.csv")),
    ids=lambda path: path.name,
)
def test_the_verdicts_of_the_study_follow_from_its_tables(path):
    """Recomputed without ``lib.report.judge``, from the columns that are written."""
    rules = load_claims()
    cases = read_cases(path)
    found = read_verdict_rows(path.with_name(path.name.replace(".cases.", ".verdicts.")))
    words = found[found["part"] == "verdict"].set_index("claim")["word"]
    assert set(words) <= set(VERDICTS) and set(words.index) == set(cases["claim"])
    for claim, word in words.items():
        rule, above, below, learned = rules[claim], [], [], []
        for row in cases[cases["claim"] == claim].itertuples():
            asked = ("trained", "seeds", "untrained")[
                : 3 if rule.get("untrained") == "holds" else 2
            ]
            low, high = row.low - (row.high - row.low) / 20, row.high + (row.high - row.low) / 20
            if row.qualified and row.kind in asked:
                above.append(low > rule["threshold"])
                below.append(high < rule["threshold"])
            if row.qualified and row.kind == "learned" and row.place == rule.get("untrained"):
                learned.append(low > 0)
        if not above:
            expected = "not testable here"
        elif any(above) and any(below):
            expected = "depends on the pair or the seed"
        elif not (all(above) or all(below)):
            expected = "undecided"
        elif all(below):
            expected = "not reproduced"
        elif all(learned):
            expected = "reproduced"
        else:
            both = "depends on the pair or the seed", "holds, but not by learning"
            expected = both[0] if any(learned) else both[1]
        assert word == expected, claim
