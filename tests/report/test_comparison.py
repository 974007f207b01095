"""The comparison of a sweep's encoders: what it reads, and the page that shows it."""

import base64
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import papermill
import pytest
from bs4 import BeautifulSoup

from lib.report.comparison import COLUMNS, STATISTICS, Statistic, comparison
from lib.report.comparison_page import write_comparison
from lib.run.layout import ROOT
from lib.run.page import run_page
from lib.run.profiles import sweep_pages
from tests.browser import CHROMIUM, needs_browser

HEAD = "encoder,depth,head,metric,value,low,high,n"
TABLES = {
    "fashion/a": (
        "NAME,1,mean,attention distance,3,2,4,9\nNAME,2,mean,attention"
        " distance,7.25,7,7.5,9\nNAME,2,1,attention distance,99,99,99,9\nrandom"
        " weights,2,mean,attention distance,50,50,50,9\nNAME,2,mean,normalised mutual"
        " information,0.5,0.4,0.6,9"
    ),
    "fashion/b": "NAME,2,mean,attention distance,10.5,10,11,9",
}


@pytest.fixture
def units(root, tools, executions, monkeypatch):
    """Units of two notebooks and three encoders; the one that is compared has run with ``a`` and
    ``b``, whose tables are above."""
    tools["write_encoder"](root, "fashion/c")
    parameters = 'profile: str = "fashion"\nencoders: list = ["fashion/a"]'
    tools["write_notebook"](root, "self_attention", parameters)
    tools["write_notebook"](root, "fourier", parameters)
    tools["write_contents"](root, "self_attention", "fourier")
    (root / "notebooks/profiles/fashion.yaml").write_text(
        "shared: {profile: fashion, encoders: [fashion/a]}\n"
    )
    units, _ = sweep_pages("fashion", ["fashion/b", "fashion/a", "fashion/c"], root=root)
    stand_in = papermill.execute_notebook

    def writes_its_table(source, target, parameters, cwd, **rest):
        stand_in(source, target, parameters, cwd, **rest)
        (encoder,) = parameters["encoders"]
        Path(os.environ["STUDY_TABLES"], "self_attention.csv").write_text(
            f"{HEAD}\n{TABLES[encoder].replace('NAME', encoder)}\n"
        )

    monkeypatch.setattr(papermill, "execute_notebook", writes_its_table)
    for unit in units[:2]:
        run_page(unit, 1, root)
    return units


def test_a_row_is_the_last_block_of_the_encoder_averaged_over_heads(root, units):
    found = comparison(units, root)
    assert list(found.columns) == COLUMNS
    assert found.drop(columns="page").values.tolist() == [
        ["fashion/b", "attention distance, last block (px)", 10.5, 10.0, 11.0, 9],
        ["fashion/a", "attention distance, last block (px)", 7.25, 7.0, 7.5, 9],
        ["fashion/a", "normalised mutual information, last block", 0.5, 0.4, 0.6, 9],
    ]
    assert set(found["page"]) == {"self_attention"}


def test_results_of_anything_else_than_the_unit_do_not_count(root, units):
    # edited after the run
    (root / "data/results/sweep-fashion-b/self_attention.csv").write_text(
        f"{HEAD}\nfashion/b,2,mean,attention distance,0,0,0,9\n"
    )
    assert set(comparison(units, root)["encoder"]) == {"fashion/a"}


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        (Statistic("", "t", "m", "steps"), 0.1),
        (Statistic("", "t", "m", where={"steps": 5}), 0.4),
        (Statistic("", "t", "m", "value"), 0.4),
        (Statistic("", "t", "m", "value", reads="steps"), 5),
        (Statistic("", "t", "m", where={"steps": 6}), None),
        (Statistic("", "t", "other"), None),
    ],
)
def test_which_row_a_statistic_reads(statistic, value):
    table = pd.DataFrame(
        {
            "encoder": "a",
            "depth": None,
            "head": np.nan,
            "metric": "m",
            "value": [0.4, 0.1],
            "low": 0.0,
            "high": 1.0,
            "n": 9,
            "steps": [5, 10],
        }
    )
    row = statistic.of("a", table)
    assert (row and row["value"]) == value and statistic.of("b", table) is None
    if row:
        assert (row["low"] is None) == (statistic.reads != "value")


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)
def test_the_tables_of_the_study_have_every_statistic_once_for_each_encoder(statistic):
    table = pd.read_csv(
        ROOT / "data" / "results" / "fashion" / f"{statistic.table}.csv", dtype={"head": str}
    )
    for encoder in {name for name in table["encoder"] if name.startswith("fashion/")}:
        row = statistic.of(encoder, table)
        assert row and np.isfinite(row["value"]), encoder
        chosen = table[
            (table["encoder"] == encoder)
            & (table["metric"] == statistic.metric)
            & (table["head"].isna() | (table["head"] == "mean"))
        ]
        for column, value in statistic.where.items():
            chosen = chosen[chosen[column] == value]
        assert statistic.largest or len(chosen) == 1, "more than one row would do"


def test_every_notebook_of_the_profile_is_compared_or_measures_what_others_do():
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks - {statistic.page for statistic in STATISTICS} == {
        "decoder",
        "hybrid",
        "model_size",
        "own_picture",
        "seeds",
        "shape_without_masks",
    }
    assert len({statistic.name for statistic in STATISTICS}) == len(STATISTICS)


def test_the_page_has_a_row_an_encoder_and_stands_alone(root, units):
    page = write_comparison(units, ["fashion/b", "fashion/a", "fashion/c"], root)
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    rows = [
        [cell.get_text(" ") for cell in row.find_all(["th", "td"])]
        for row in soup.select("tbody tr")
    ]
    assert rows == [
        ["fashion/b", "10.5 [10, 11]", "–"],
        ["fashion/a", "7.25 [7, 7.5]", "0.5 [0.4, 0.6]"],
        ["fashion/c", "–", "–"],
    ]
    assert [head.text for head in soup.select("thead th.page")] == ["self_attention"] and len(
        soup.select("th[aria-sort=none] > button")
    ) == 3
    csv = (root / "data" / "results" / "sweep" / "comparison.csv").read_text(encoding="utf-8")
    assert (
        csv.startswith(",".join(COLUMNS))
        and '\nfashion/a,"normalised mutual information, last block",0.5,0.4,0.6,9,self_attention\n'
        in csv
    )
    link = soup.select_one("a[download]")["href"]
    assert base64.b64decode(link.partition("base64,")[2]).decode() == csv
    assert not re.findall(r"https?://|src=", str(soup)) and str(root) not in str(soup)


@needs_browser
def test_a_click_on_a_heading_sorts_and_a_phone_scrolls_inside_the_table_alone(
    root, units, tmp_path
):
    page = write_comparison(units, ["fashion/b", "fashion/a", "fashion/c"], root)
    script = """<script>
    const seen = [], look = () => seen.push([...document.querySelectorAll("tbody th")].map(th => th.textContent.slice(-1)).join("") + " " +
      [...document.querySelectorAll("th[aria-sort]")].map(th => th.getAttribute("aria-sort")).join(","));
    for (const i of [0, 0, 1, 1, 2]) { document.querySelectorAll("thead button")[i].click(); look(); }
    document.documentElement.style.width = "390px"; // narrower than the least window of Chromium
    document.body.style.width = "300px"; const box = document.querySelector(".box");
    document.body.dataset.seen = [...seen, document.body.scrollWidth <= 390, box.scrollWidth > box.clientWidth].join(";");
    </script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
        " --disable-component-update --disable-sync --dump-dom"
    )
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'browser'}", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=180).stdout
    assert BeautifulSoup(dom, "html.parser").body["data-seen"].split(";") == [
        "abc ascending,none,none", "cba descending,none,none", "bac none,descending,none",
        "abc none,ascending,none", "abc none,none,descending", "true", "true",
    ]  # fmt: skip
