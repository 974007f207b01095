"""The table of all judged claims, and its script in a browser."""

import re
import shutil
import subprocess

import pytest
from bs4 import BeautifulSoup

from lib.study.claims import claims_table
from lib.study.layout import ROOT
from lib.study.verdicts import COLUMNS, read_claims, verdicts_table

CLAIM = dict(id="X1", paper="B", figure="Fig. 3", statement="<b>x</b> < y.", statistic="y & x", threshold=0.05, effect=0.2, low=0.1, high=0.3)
FOUND = CLAIM | dict(n=7, encoders="g/a, g/b", verdict="reproduced")
RULES = {"X1": dict(shows="fig-x", reported="<i>1 px</i>"), "Y": {}}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"


@pytest.fixture
def claims(tmp_path):
    """Four claims of two notebooks, one of them judged for two pairs of encoders and one without a rule."""
    rows = [FOUND, FOUND | dict(effect=-3.0, low=-4.0, high=-2.0, verdict="not reproduced"), FOUND | dict(id="Z", effect=12.0, low=9.0, high=15.0)]
    claims_table(rows).to_csv(tmp_path / "one.claims.csv", index=False)
    other = FOUND | dict(id="Y", paper="A and B", effect=1.5, low=0.0, high=2.0, verdict="undecided", encoders="hybrids with λ = 0, 1")
    claims_table([other]).to_csv(tmp_path / "two.claims.csv", index=False)
    return read_claims(tmp_path, ["two", "none", "one"], RULES)


def test_claims_of_several_notebooks_are_read_in_their_order_with_what_their_rules_say(claims):
    assert list(claims["row"]) == ["claim-Y", "claim-X1", "claim-X1-2", "claim-Z"]
    assert list(claims["ours"]) == ["two.html", "one.html#fig-x", "one.html#fig-x", "one.html"]
    assert list(claims["reported"]) == ["", "<i>1 px</i>", "<i>1 px</i>", ""]


def test_a_row_holds_all_that_is_known_of_a_claim_escaped(claims):
    soup = BeautifulSoup(verdicts_table(claims), "html.parser")
    row = soup.find(id="claim-X1")
    cells = [re.sub(r"\s+", " ", cell.text) for cell in row.find_all("td")]
    assert cells == ["B, Fig. 3 <b>x</b> < y.y & x", "<i>1 px</i>", "0.2 [0.1, 0.3]threshold 0.05, n = 7", "a, b", "reproduced"]
    assert row.a["href"] == "one.html#fig-x" and not soup.find_all(["b", "i"])
    assert [cell["data-label"] for cell in row.find_all("td")] == [th.text for th in soup.find_all("th")] == COLUMNS


def test_without_a_script_all_rows_are_shown_and_the_filters_hidden(claims):
    soup = BeautifulSoup(verdicts_table(claims), "html.parser")
    assert soup.form.has_attr("hidden") and not soup.select("tr[hidden]") and len(soup.select("tbody tr")) == 4
    assert [option["value"] for option in soup.find("select", attrs={"name": "paper"}).find_all("option")] == ["", "A and B", "B"]
    assert [option.text for option in soup.find("select", attrs={"name": "verdict"}).find_all("option")] == [
        "all (4)", "reproduced (2)", "not reproduced (1)", "undecided (1)",
    ]  # fmt: skip


@pytest.fixture
def browse(claims, tmp_path):
    """Open the table as a file, with an address and a script of our own, and return what stands there then."""

    def browse(query: str, script: str = "") -> BeautifulSoup:
        own = f"<script>document.addEventListener('DOMContentLoaded', () => {{ {script}; document.title = location.search; }})</script>"
        page = f"<!doctype html><title></title>{verdicts_table(claims)}<script src='verdicts.js'></script>{own}"
        shutil.copy(ROOT / "book" / "_static" / "verdicts.js", tmp_path)
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", f"file://{tmp_path}/page.html{query}"]
        return BeautifulSoup(subprocess.run(command, capture_output=True, text=True, timeout=120).stdout, "html.parser")

    return browse


def shown(soup):
    return [row["id"].removeprefix("claim-") for row in soup.select("tbody tr:not([hidden])")]


CHOOSE = "const s = document.querySelector('[name={}]'); s.value = '{}'; s.dispatchEvent(new Event('input', {{bubbles: true}}))"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(
    ("query", "script", "rows", "search"),
    [
        ("", "", ["Y", "X1", "X1-2", "Z"], ""),
        ("?verdict=not+reproduced&paper=B", "", ["X1-2"], "?verdict=not+reproduced&paper=B"),
        ("?paper=A+and+B&verdict=unheard", "", ["Y"], "?paper=A+and+B&verdict=unheard"),
        ("?paper=B", CHOOSE.format("verdict", "reproduced"), ["X1", "Z"], "?paper=B&verdict=reproduced"),
        ("?paper=B", CHOOSE.format("paper", ""), ["Y", "X1", "X1-2", "Z"], ""),
    ],
)
def test_filters_follow_the_address_and_the_address_the_filters(browse, query, script, rows, search):
    soup = browse(query, script)
    assert shown(soup) == rows and soup.title.text == search
    assert soup.output.text == f"{len(rows)} of 4 claims shown" and not soup.form.has_attr("hidden")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("column", "clicks", "rows"), [(2, 1, ["X1-2", "X1", "Y", "Z"]), (2, 2, ["Z", "Y", "X1", "X1-2"]), (0, 1, ["Y", "X1", "X1-2", "Z"])])
def test_a_click_sorts_by_a_column_and_a_second_the_other_way(browse, column, clicks, rows):
    soup = browse("", f"const b = document.querySelectorAll('th button')[{column}]; for (let i = 0; i < {clicks}; i++) b.click()")
    assert shown(soup) == rows
    assert [th.get("aria-sort") for th in soup.find_all("th") if th.get("aria-sort")] == [["ascending", "descending"][clicks - 1]]
    assert soup.find_all("th")[column].get("aria-sort")
