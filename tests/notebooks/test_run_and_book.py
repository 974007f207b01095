"""The way a user runs it: each notebook through papermill on tiny parameters, then the book, then
the pages in a browser."""

import functools
import http.server
import re
import subprocess
import threading

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.report.book import build
from lib.report.judge import ANSWERS, VERDICTS
from lib.run.layout import ROOT, executed_notebook
from lib.run.page import Page
from lib.run.profiles import resolve
from lib.run.runs import run_pages
from tests.browser import CHROMIUM, audit, needs_browser

TINY = {
    "images": 12, "probe_train": 200, "probe_test": 60, "neighbours": 5, "mosaics": 4,
    "mosaics_train": 8, "mosaics_test": 4, "resamples": 8, "sets": 2, "epochs": 1, "least_steps": 2,
    "views": 2, "steps": 2, "masks": 4, "random_masks": 1, "view_counts": [1, 2],
    "path_lengths": [1, 10, 40], "qualification": [200, 60], "long_paths": [20, 40],
    "long_images": 2,
}  # fmt: skip
OWN = {
    "downstream": {"labels": [20, 40]},
    "hybrid": {"labels": 40},
    "model_size": {"labels": 40},
    "axioms": {"encoders": ["fashion/simclr-r", "fashion/mae-s"], "images": 3},
}
TWO = {"encoders": ["fashion/simclr-r", "fashion/simmim-s"], "images": 3}
OWN |= {
    "protection": {"encoders": ["fashion/simclr-r"], "images": 4},
    "better_than_what": TWO,
    "trust": TWO,
    "stability": TWO,
}
PROFILE, _ = resolve("fashion", root=ROOT)
NAMES = [page.notebook for page in PROFILE]


@pytest.fixture(scope="module")
def runs():
    """Every notebook of the default profile, executed on tiny parameters into the profile
    ``custom``."""
    parameters = {page.notebook: page.parameters for page in PROFILE}
    tiny = {
        name: {k: TINY.get(k, v) for k, v in values.items()} | {"profile": "custom"}
        for name, values in parameters.items()
    }
    for name, values in OWN.items():
        tiny[name] |= values
    pages = [Page(name, values, "custom") for name, values in tiny.items()]
    found = {run.name: run for run in run_pages(pages, workers=2)}
    assert not any(run.why for run in found.values()), found
    return found


@pytest.fixture(scope="module")
def html(runs):
    """The folder of the built book."""
    return build("custom", list(runs), ROOT).parent


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_writes_tidy_tables(runs, name):
    assert runs[name].tables, "a notebook writes at least one table"
    for path in runs[name].tables:
        table = pd.read_csv(path)
        assert len(table)
        if path.name.endswith(".verdicts.csv"):
            assert set(table["word"]) <= {*VERDICTS, *ANSWERS}
        elif path.name.endswith(".cases.csv"):
            low, high = table["low"] - 1e-9, table["high"] + 1e-9
            assert ((low <= table["effect"]) & (table["effect"] <= high)).all()
        else:
            assert list(table.columns[:8]) == [
                "encoder",
                "depth",
                "head",
                "metric",
                "value",
                "low",
                "high",
                "n",
            ]
            # a share of few decisions has no interval where a resample holds none of them
            assert (table["low"].isna() == table["high"].isna()).all()
            table = table.dropna(subset=["value", "low", "high"])
            low, high = table["low"] - 1e-9, table["high"] + 1e-9
            assert len(table) and ((low <= table["value"]) & (table["value"] <= high)).all()


@pytest.mark.parametrize("name", NAMES)
def test_executed_notebook_holds_no_warning(runs, name):
    executed = nbformat.read(executed_notebook("custom", name, ROOT), as_version=4)
    errors = "".join(
        o.text
        for cell in executed.cells
        for o in cell.get("outputs", [])
        if o.output_type == "stream" and o.name == "stderr"
    )
    warned = [
        line for line in errors.splitlines() if "Warning" in line and "TqdmWarning" not in line
    ]
    assert not warned


@pytest.mark.parametrize("name", NAMES)
def test_outputs_hold_no_path_of_this_machine(runs, name):
    executed = nbformat.read(executed_notebook("custom", name, ROOT), as_version=4)
    shown = [
        output
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if output.get("name") != "stderr"
    ]
    assert str(ROOT) not in str(shown)


def test_every_page_stands_with_its_figures_and_provenance(html):
    for name in NAMES:
        soup = BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        figures = soup.select("figure")
        assert figures and all(
            figure.select_one("figcaption").text.strip().startswith("Figure") for figure in figures
        )
        assert "sha256" in soup.select_one("details.provenance").text


def test_title_page_reads_its_findings_from_the_results(html):
    soup = BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")
    verdicts = pd.concat(
        pd.read_csv(path) for path in (ROOT / "data/results/custom").glob("*.verdicts.csv")
    )
    shown = [tag.text for tag in soup.select(".bd-article .verdict")]
    assert sorted(shown) == sorted(verdicts.loc[verdicts["part"] == "verdict", "word"])


def test_every_judged_claim_has_a_row_that_leads_to_its_figure(html):
    soup = BeautifulSoup((html / "what_holds.html").read_text(encoding="utf-8"), "html.parser")
    claims = [
        name
        for path in (ROOT / "data/results/custom").glob("*.verdicts.csv")
        for name in pd.read_csv(path)["claim"]
    ]
    assert {row["id"] for row in soup.select("table.verdicts tbody tr")} >= {
        f"claim-{name}" for name in claims
    }
    # check_html has followed them
    assert all("#fig-" in row.a["href"] for row in soup.select("table.verdicts tbody tr"))
    assert any(tag["src"].startswith("_static/verdicts.js") for tag in soup.select("script[src]"))


def test_mathjax_is_local(html):
    page = (html / "self_attention.html").read_text(encoding="utf-8")
    script = re.search(r'src="([^"]*mathjax[^"]*)"', page).group(1)
    assert (html / script.split("?")[0]).is_file()


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_the_window_and_load_everything(html, width, tmp_path):
    """In a browser: no sideways scrolling, every picture loaded, formulas typeset."""
    script = """<body><pre id="out"></pre><script>
    const pages = %s, out = document.getElementById("out");
    async function look(page) {
      const frame = document.createElement("iframe"); frame.width = %d; frame.height = 900; frame.src = page + ".html";
      document.body.append(frame); await new Promise(done => frame.onload = done); await new Promise(done => setTimeout(done, 1500));
      const doc = frame.contentDocument, pictures = [...doc.images];
      for (const p of pictures) { p.loading = "eager"; await p.decode().catch(() => 0); }
      out.append([page, doc.documentElement.scrollWidth, pictures.filter(p => !p.naturalWidth).length,
        doc.querySelectorAll(".math").length, doc.querySelectorAll("mjx-container").length].join(" ") + "\\n");
    }
    (async () => { for (const page of pages) await look(page); out.append("end"); })();
    </script></body>"""
    pages, probe = ["index", *NAMES, "what_holds"], html / f"probe-{width}.html"
    probe.write_text(script % (pages, width), encoding="utf-8")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=html)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
    )
    address = f"http://127.0.0.1:{server.server_port}/{probe.name}"
    command = [
        CHROMIUM,
        *flags.split(),
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=6000000",
        "--dump-dom",
        address,
    ]
    try:
        dom = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout
    finally:
        server.shutdown()
        probe.unlink()
    lines = BeautifulSoup(dom, "html.parser").select_one("#out").text.splitlines()
    assert lines[-1] == "end", dom[-2000:]
    assert len(lines) == len(pages) + 1
    for page, scroll, broken, formulas, typeset in (line.split() for line in lines[:-1]):
        assert int(scroll) <= width, f"{page} scrolls sideways: {scroll} px in a window of {width}"
        assert broken == "0", f"{page}: {broken} pictures did not load"
        assert formulas == typeset, f"{page}: {typeset} of {formulas} formulas are typeset"


@needs_browser
@pytest.mark.parametrize(("width", "first_screens"), [(1280, 900), (390, 2 * 844)])
def test_pages_answer_first_and_are_open_to_all(html, width, first_screens):
    """Measured in a browser, light and dark: verdict and figure on the first screens, no rule of
    accessibility broken, nothing cut, no message of an error, nothing from elsewhere."""
    judged = {
        path.name.split(".")[0] for path in (ROOT / "data/results/custom").glob("*.verdicts.csv")
    }
    for page in ["index", *NAMES, "what_holds", "claims", "references"]:
        found = audit(html / f"{page}.html", width)
        assert found["broken"] == [], page
        assert found["problems"] == [], page
        assert all(address.startswith("file:") for address in found["requests"]), page
        assert not found["sideways"], page
        if width == 1280:
            assert found["cut"] == 0, page
        if page in judged:
            assert max(found["verdict"], found["figure"]) <= first_screens, page


def test_pages_are_light_and_hold_no_path_of_this_machine(html):
    for page in html.glob("*.html"):
        assert page.stat().st_size < 3_000_000, page.name
        assert str(ROOT) not in page.read_text(encoding="utf-8"), page.name
    for notebook in (html / "_sources").glob("*.ipynb"):
        assert str(ROOT) not in notebook.read_text(encoding="utf-8"), notebook.name
