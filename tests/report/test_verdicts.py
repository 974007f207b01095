"""The table of all verdicts, and its script in a browser."""

import re
import shutil
import subprocess

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.report.claims import load_claims
from lib.report.judge import CASES, judge
from lib.report.verdicts import (
    COLUMNS,
    MARKS,
    changes,
    in_present_words,
    marks,
    read_verdicts,
    reason,
    verdicts_html,
    verdicts_table,
)
from lib.run.layout import ROOT
from tests.browser import CHROMIUM, needs_browser

RULE = {
    "id": "X1",
    "paper": "B",
    "figure": "Fig. 3",
    "statement": "<b>x</b> < y.",
    "statistic": "y & x",
    "threshold": 0.05,
    "page": "one",
    "compares": "CL − MIM",
    "shows": "fig-x",
    "reported": "<i>1 px</i>",
}
RULES = {
    "X1": RULE,
    "Y": RULE | {"id": "Y", "paper": "A and B", "compares": "CL", "untrained": "CL"},
    "Z": RULE | {"id": "Z", "needs": "CL"},
}
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


def case(claim, encoders, effect, kind="trained", place="", qualified=True, dataset="fashion"):
    ends = effect - 0.1, effect + 0.1
    return (claim, dataset, kind, encoders, place, effect, *ends, 7, qualified)


ROWS = {
    "one": [
        case("X1", "g/a · g/b", 0.4),
        case("X1", "g/a · g/b", -3.0, dataset="photographs"),
        case("Z", "g/a · g/b", 12.0, qualified=False),
    ],
    "two": [
        case("Y", "g/a", 1.5),
        case("Y", "random weights", 0.5, "untrained", "CL"),
        case("Y", "g/a", 1.0, "learned", "CL"),
        case("Y", "g/c", 0.6),
        case("Y", "g/c", 0.05, "learned", "CL"),
    ],
}


@pytest.fixture
def claims(tmp_path):
    """Four verdicts of two pages, one claim on two data sets."""
    for page, rows in ROWS.items():
        cases = pd.DataFrame(rows, columns=CASES)
        cases.to_csv(tmp_path / f"{page}.cases.csv", index=False)
        judge(cases, RULES).to_csv(tmp_path / f"{page}.verdicts.csv", index=False)
    return read_verdicts(tmp_path, ["two", "none", "one"], RULES)


def test_verdicts_of_several_pages_are_read_in_their_order_with_what_their_rules_say(claims):
    assert list(claims["row"]) == ["claim-Y", "claim-X1", "claim-X1-2", "claim-Z"]
    assert list(claims["ours"]) == ["two.html#fig-x"] + ["one.html#fig-x"] * 3
    assert list(claims["verdict"]) == [
        "depends on the pair or the seed", "reproduced", "not reproduced", "not testable here",
    ]  # fmt: skip
    assert set(claims["reported"]) == {"<i>1 px</i>"}
    assert claims.loc[3, "effect"] == 12.0  # shown, though no encoder is a good one


def test_a_claim_without_a_rule_any_more_is_left_out(claims, tmp_path):
    assert list(read_verdicts(tmp_path, ["one"], {"X1": RULE})["claim"]) == ["X1", "X1"]
    assert read_verdicts(tmp_path, ["none"], RULES).empty


def test_a_row_holds_all_that_is_known_of_a_claim_escaped(claims):
    soup = BeautifulSoup(verdicts_table(claims), "html.parser")
    row = soup.find(id="claim-X1")
    cells = [re.sub(r"\s+", " ", cell.text) for cell in row.find_all("td")]
    assert cells[:2] == ["B, Fig. 3 <b>x</b> < y. On fashion.y & x", "<i>1 px</i>"]
    assert cells[2] == "0.4 [0.3, 0.5]threshold 0.05, n = 7, a, b"
    assert cells[4] == "reproducedholds in 1 of 1 pair"
    assert row.a["href"] == "one.html#fig-x" and not row.select("td > b, td > i")
    assert [c["data-label"] for c in row.find_all("td")] == COLUMNS
    assert [th.text for th in soup.find_all("th")] == COLUMNS


def test_every_mark_is_a_form_of_its_own_with_its_word():
    assert len(set(MARKS.values())) == len(MARKS)
    words = {"effect": "yes", "null": "mixed", "pairs": "no", "seeds": "not testable here"}
    soup = BeautifulSoup(marks(words), "html.parser")
    assert [b.text for b in soup.find_all("b")] == ["✓", "◑", "✗", "–"]
    assert [said.text for said in soup.select(".said")] == list(words.values())
    assert [mark["title"] for mark in soup.select(".mark")][1] == "learned: mixed"


def test_the_reason_says_where_a_claim_holds_and_what_random_weights_do():
    of = lambda claim: pd.DataFrame(
        [row for rows in ROWS.values() for row in rows if row[:2] == (claim, "fashion")],
        columns=CASES,
    )
    assert (
        reason(of("Y"), RULES["Y"]) == "holds in 2 of 2 encoders; exceeds random weights in 1 of 2"
    )
    assert reason(of("Z"), RULES["Z"]).startswith("no CL encoder here is read better")
    two = pd.DataFrame(
        [*of("X1").itertuples(index=False), case("X1", "g/c · g/b", -1.0)], columns=CASES
    )
    assert reason(two, RULE) == "holds in 1 of 2 pairs; fails in 1 of 2 pairs"


def test_a_page_shows_its_verdicts_escaped_and_says_so_if_there_are_none():
    cases = pd.DataFrame(ROWS["two"], columns=CASES)
    soup = BeautifulSoup(verdicts_html(judge(cases, RULES), cases, RULES), "html.parser")
    row = soup.find(id="claim-Y")
    assert "<b>x</b> < y." in row.text and "1.5 [1.4, 1.6]" in row.text
    assert row.select_one(".verdict").text == "depends on the pair or the seed"
    none = cases.head(0)
    assert "No claim can be judged" in verdicts_html(judge(none, RULES), none, RULES)


def test_an_amendment_lists_what_changed_and_why(claims):
    table = claims[claims["dataset"] == "fashion"]
    former = pd.DataFrame(
        [
            ("X1", "reproduced", "X1", ""),
            ("old", "undecided", "X1 Y", ""),
            ("Z", "not testable here", "Z", ""),
            ("gone", "reproduced", "", "a tautology"),
        ],
        columns=["id", "verdict", "now", "dropped"],
    )
    found = changes(table, former)
    assert list(found["claim"]) == ["old, now X1", "old, now Y", "gone"]
    assert list(found["now"]) == ["reproduced", "depends on the pair or the seed", "dropped"]
    assert (
        found["why"].iloc[2] == "a tautology" and "exceeds random weights" in found["why"].iloc[1]
    )


def test_every_rule_shows_a_figure_of_its_page():
    from lib.run.layout import find_notebook, read_notebook

    for name, rule in load_claims().items():
        cells = read_notebook(find_notebook(rule["page"])).cells
        names = {c.metadata.get("mystnb", {}).get("figure", {}).get("name") for c in cells}
        assert rule["shows"] in names, name


def test_without_a_script_all_rows_are_shown_and_the_filters_hidden(claims):
    soup = BeautifulSoup(verdicts_table(claims), "html.parser")
    assert soup.form.has_attr("hidden") and not soup.select("tr[hidden]")
    assert len(soup.select("tbody tr")) == 4
    options = {
        name: [o.text for o in soup.find("select", attrs={"name": name}).find_all("option")]
        for name in ("paper", "verdict")
    }
    assert [text.partition(":")[0] for text in options["paper"]] == ["all (4)", "A and B", "B"]
    assert options["verdict"] == [
        "all (4)", "reproduced (1)", "depends on the pair or the seed (1)", "not reproduced (1)",
        "not testable here (1)",
    ]  # fmt: skip


@pytest.fixture
def browse(claims, tmp_path):
    """Open the table as a file, with an address and a script of our own, and return what stands
    there then."""

    def browse(query: str, script: str = "") -> BeautifulSoup:
        own = (
            f"<script>document.addEventListener('DOMContentLoaded', () => {{ {script};"
            " document.title = location.search; })</script>"
        )
        page = (
            f"<!doctype html><title></title>{verdicts_table(claims)}<script"
            f" src='verdicts.js'></script>{own}"
        )
        shutil.copy(ROOT / "book" / "_static" / "verdicts.js", tmp_path)
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        command = [
            CHROMIUM,
            *FLAGS.split(),
            f"--user-data-dir={tmp_path / 'browser'}",
            "--dump-dom",
            f"file://{tmp_path}/page.html{query}",
        ]
        return BeautifulSoup(
            subprocess.run(command, capture_output=True, text=True, timeout=120).stdout,
            "html.parser",
        )

    return browse


def shown(soup):
    return [row["id"].removeprefix("claim-") for row in soup.select("tbody tr:not([hidden])")]


CHOOSE = (
    "const s = document.querySelector('[name={}]'); s.value = '{}'; s.dispatchEvent(new"
    " Event('input', {{bubbles: true}}))"
)


@needs_browser
@pytest.mark.parametrize(
    ("query", "script", "rows", "search"),
    [
        ("", "", ["Y", "X1", "X1-2", "Z"], ""),
        ("?verdict=not+reproduced&paper=B", "", ["X1-2"], "?verdict=not+reproduced&paper=B"),
        ("?paper=A+and+B&verdict=unheard", "", ["Y"], "?paper=A+and+B&verdict=unheard"),
        ("?paper=B", CHOOSE.format("verdict", "reproduced"), ["X1"], "?paper=B&verdict=reproduced"),
        ("?paper=B", CHOOSE.format("paper", ""), ["Y", "X1", "X1-2", "Z"], ""),
    ],
)
def test_filters_follow_the_address_and_the_address_the_filters(
    browse, query, script, rows, search
):
    soup = browse(query, script)
    assert shown(soup) == rows and soup.title.text == search
    assert soup.output.text == f"{len(rows)} of 4 claims shown" and not soup.form.has_attr("hidden")


@needs_browser
@pytest.mark.parametrize(
    ("column", "clicks", "rows"),
    [
        (2, 1, ["X1-2", "X1", "Y", "Z"]),
        (2, 2, ["Z", "Y", "X1", "X1-2"]),
        (0, 1, ["Y", "X1", "Z", "X1-2"]),
    ],
)
def test_a_click_sorts_by_a_column_and_a_second_the_other_way(browse, column, clicks, rows):
    soup = browse(
        "",
        f"const b = document.querySelectorAll('th button')[{column}]; for (let i = 0; i < {clicks};"
        " i++) b.click()",
    )
    assert shown(soup) == rows
    assert [th.get("aria-sort") for th in soup.find_all("th") if th.get("aria-sort")] == [
        ["ascending", "descending"][clicks - 1]
    ]
    assert soup.find_all("th")[column].get("aria-sort")


def test_a_page_of_an_earlier_day_is_shown_in_the_words_of_today():
    html = '<td><span data-claim="A&amp;1">Old < <b>.</span> kept <span data-claim="Z">same</span></td>'
    rules = {"A&1": {"statement": "New & < true."}}
    assert in_present_words(html, rules) == (
        '<td><span data-claim="A&amp;1">New &amp; &lt; true.</span> kept <span'
        ' data-claim="Z">same</span></td>'
    )
