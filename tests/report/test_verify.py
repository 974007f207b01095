import subprocess
from pathlib import Path

import pandas as pd
import pytest

from lib.report import verify as module
from lib.report.verify import (
    TOLERANCES,
    Tolerance,
    committed,
    compare,
    how_exact,
    load_tolerances,
    main,
    verify,
)
from lib.run.errors import StudyError

RULES = [
    Tolerance(("probe",), "counted", "counts", metrics=("accuracy",)),
    Tolerance(("attack*",), "interval", "chaos"),
    Tolerance(("*",), "smooth", "sums"),
]


def table(value=0.5, metric="accuracy", n=100, encoder="a", **others):
    row = dict(encoder=encoder, depth=1, metric=metric, value=value, low=0.4, high=0.6, n=n)
    return pd.DataFrame([row | others]).astype(str)


def wrong(found):
    return dict(found.loc[found["wrong"] != "", ["column", "wrong"]].values)


@pytest.mark.parametrize(
    ("name", "metric", "near", "far"),
    [
        ("probe", "accuracy", 0.5 + 0.0199, 0.5 + 0.0202),  # two of 100 images
        ("attack.x", "score", 0.5 + 0.0999, 0.5 - 0.1002),  # half of 0.4 to 0.6
        ("other", "score", 0.5 + 0.9e-5, 0.5 - 1.1e-5),
        ("probe", "score", 0.5 + 0.9e-5, 0.5 - 1.1e-5),
    ],
)
def test_tolerance_of_each_kind(name, metric, near, far):
    old = table(metric=metric)
    assert wrong(compare(name, old, table(near, metric), RULES)) == {}
    found = compare(name, old, table(far, metric), RULES)
    assert list(wrong(found)) == ["value"] and "1 of 1 rows, first a|1" in wrong(found)["value"]
    line = found[found["column"] == "value"].iloc[0]
    assert line["largest"] == pytest.approx(abs(far - 0.5)) and line["largest"] > line["allowed"]


def test_large_values_are_compared_by_their_size():
    assert wrong(compare("other", table(5000), table(5000.04), RULES)) == {}
    assert list(wrong(compare("other", table(5000), table(5000.06), RULES))) == ["value"]


def test_rows_in_another_order_are_the_same():
    rows = [table(0.1), table(0.2, encoder="b"), table(0.3), table(0.4)]  # two times the same keys
    old = pd.concat(rows, ignore_index=True)
    assert wrong(compare("other", old, old.iloc[[1, 0, 2, 3]], RULES)) == {}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (table(n=99), "2 rows are not in both: a|1|accuracy|100"),
        (table(encoder="b"), "2 rows are not in both"),
        (pd.concat([table(), table()]), "rows are not in both: in another number"),
        (table(labels=3), "columns"),
        (table("nan"), "1 of 1 rows"),
    ],
)
def test_other_rows_columns_and_missing_values_are_wrong(new, said):
    (problem,) = wrong(compare("other", table(), new, RULES)).values()
    assert said in problem


@pytest.mark.parametrize("word", ["verdict", "word"])
def test_a_changed_verdict_is_wrong_however_near_its_numbers(word):
    claim = lambda w: pd.DataFrame([{"id": "B1", "effect": "0.1", "n": "9", word: w}])
    assert wrong(compare("a.claims", claim("undecided"), claim("undecided"), RULES)) == {}
    found = compare("a.claims", claim("undecided"), claim("reproduced"), RULES)
    assert wrong(found) == {word: "B1: undecided, now reproduced"}


def test_values_without_interval_or_number_have_the_smooth_tolerance():
    old = pd.DataFrame([{"a": "x", "value": "1"}])
    for name in ("probe", "attack"):
        assert wrong(compare(name, old, old.assign(value="1.000009"), RULES)) == {}
        assert wrong(compare(name, old, old.assign(value="1.0001"), RULES))


@pytest.fixture
def repository(tmp_path):
    results = tmp_path / "data" / "results" / "p"
    results.mkdir(parents=True)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "tolerances.yaml").write_text(TOLERANCES.read_text())
    table().to_csv(results / "one.csv", index=False)
    table().to_csv(results / "two.csv", index=False)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(tmp_path)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path


def test_a_run_against_the_last_commit_or_a_folder(repository, tmp_path):
    assert wrong(verify("p", root=repository)) == {}
    results = repository / "data" / "results"
    table(0.9).to_csv(results / "p" / "one.csv", index=False)
    found = verify("p", root=repository)
    assert set(found.loc[found["wrong"] != "", "table"]) == {"one"}
    other = verify("p", against=str(results), root=repository)  # itself
    assert wrong(other) == {} and len(other) == len(found)
    (results / "p" / "two.csv").rename(results / "p" / "three.csv")
    found = verify("p", root=repository)
    told = dict(found.loc[found["wrong"] != "", ["table", "wrong"]].values)
    assert told["two"] == "the run has no such table"
    assert told["three"] == "the repository has no such table"


def test_what_is_neither_a_commit_nor_a_folder(repository):
    with pytest.raises(StudyError, match="'nowhere' is neither a commit"):
        committed("p", "nowhere", repository)
    with pytest.raises(StudyError, match="HEAD holds no tables in data/results/q"):
        committed("q", "HEAD", repository)


def test_the_command_fails_on_a_difference_and_writes_its_report(repository, monkeypatch, capsys):
    monkeypatch.setattr(module, "ROOT", repository)
    monkeypatch.setattr(verify, "__defaults__", ("HEAD", repository))
    monkeypatch.setattr(module.last_comparison, "__defaults__", (repository,))
    assert main(["--profile", "p"]) == 0
    table(0.9).to_csv(repository / "data" / "results" / "p" / "one.csv", index=False)
    assert main(["--profile", "p"]) == 1
    assert "one, value: 1 of 1 rows" in capsys.readouterr().err
    report = pd.read_csv(repository / "build" / "verify" / "p.csv")
    page = how_exact(load_tolerances(), report)
    assert "0.4" in page and "1 of 1 rows" in page
    monkeypatch.setattr(verify, "__defaults__", ("gone", repository))
    assert main(["--profile", "p", "--against", "gone"]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {tables: ['*'], within: near, why: x}", "within is one of"),
        ("- {tables: ['*'], within: exact}", "has tables, within and why"),
        ("- {tables: ['a'], within: exact, why: x}", "last rule must fit"),
    ],
)
def test_bad_rules_are_refused(tmp_path, text, message):
    path = tmp_path / "tolerances.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_tolerances(path)


def test_the_rules_of_the_study_name_tables_that_are_there():
    results = Path(module.ROOT, "data", "results", "fashion")
    tables = [path.name.removesuffix(".csv") for path in results.glob("*.csv")]
    for rule in load_tolerances():
        for pattern in rule.tables:
            named = Tolerance((pattern,), "exact", "")
            known = pattern in ("*.verdicts", "*.cases") or "." in pattern
            assert known or any(named.fits(name, "value", "") for name in tables), pattern
