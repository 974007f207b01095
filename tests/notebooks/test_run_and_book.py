"""The way a user runs it: each notebook through papermill on tiny parameters, then the book, then the pages in a browser."""

import functools
import http.server
import re
import shutil
import subprocess
import threading

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.study.book import build
from lib.study.claims import VERDICTS
from lib.study.execute import run_notebook
from lib.study.layout import ROOT, executed_notebook
from lib.study.parallel import run_units
from lib.study.profiles import load_profile
from lib.study.units import Unit

TINY = {
    "images": 12, "probe_train": 200, "probe_test": 60, "neighbours": 5, "mosaics": 4, "mosaics_train": 8, "mosaics_test": 4, "resamples": 8,
    "sets": 2, "epochs": 1, "least_steps": 2, "views": 2, "steps": 2, "masks": 4, "random_masks": 1, "view_counts": [1, 2], "path_lengths": [1, 10, 40],
}  # fmt: skip
OWN = {"downstream": {"labels": [20, 40]}, "hybrid": {"labels": 40}, "model_size": {"labels": 40}, "axioms": {"encoders": ["fashion/simclr-r", "fashion/mae-s"], "images": 3}}
TWO = {"encoders": ["fashion/simclr-r", "fashion/simmim-s"], "images": 3}
OWN |= {"protection": {"encoders": ["fashion/simclr-r"], "images": 4}, "better_than_what": TWO, "trust": TWO, "stability": TWO}
NAMES = list(load_profile("fashion", [], None, ROOT))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def runs():
    """Every notebook of the default profile, executed on tiny parameters into the profile ``custom``."""
    parameters = load_profile("fashion", [], None, ROOT)
    tiny = {name: {k: TINY.get(k, v) for k, v in values.items()} | {"profile": "custom"} for name, values in parameters.items()}
    for name, values in OWN.items():
        tiny[name] |= values
    units = [Unit(name, "", "custom", values) for name, values in tiny.items()]
    failed = run_units([unit for unit in units if not unit.finished()], workers=2)
    assert not failed, failed
    return {name: run_notebook(name, values, "custom", ROOT) for name, values in tiny.items()}  # none is run again


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
        if path.name.endswith(".claims.csv"):
            assert set(table["verdict"]) <= set(VERDICTS)
            assert ((table["low"] <= table["effect"]) & (table["effect"] <= table["high"])).all()
        else:
            assert list(table.columns[:8]) == ["encoder", "depth", "head", "metric", "value", "low", "high", "n"]
            assert ((table["low"] <= table["value"] + 1e-9) & (table["value"] <= table["high"] + 1e-9)).all()


@pytest.mark.parametrize("name", NAMES)
def test_executed_notebook_holds_no_warning(runs, name):
    executed = nbformat.read(executed_notebook("custom", name, ROOT), as_version=4)
    errors = "".join(o.text for cell in executed.cells for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stderr")
    warned = [line for line in errors.splitlines() if "Warning" in line and "TqdmWarning" not in line]
    assert not warned


@pytest.mark.parametrize("name", NAMES)
def test_outputs_hold_no_path_of_this_machine(runs, name):
    executed = nbformat.read(executed_notebook("custom", name, ROOT), as_version=4)
    shown = [output for cell in executed.cells for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    assert str(ROOT) not in str(shown)


def test_every_page_stands_with_its_figures_and_provenance(html):
    for name in NAMES:
        soup = BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        figures = soup.select("figure")
        assert figures and all(figure.select_one("figcaption").text.strip().startswith("Figure") for figure in figures)
        assert "sha256" in soup.select_one("details.provenance").text


def test_title_page_reads_its_findings_from_the_results(html):
    soup = BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")
    claims = pd.concat(pd.read_csv(path) for path in (ROOT / "data/results/custom").glob("*.claims.csv"))
    shown = [tag.text for tag in soup.select(".bd-article .verdict")]
    assert sorted(shown) == sorted(claims["verdict"])


def test_every_judged_claim_has_a_row_that_leads_to_its_figure(html):
    soup = BeautifulSoup((html / "what_holds.html").read_text(encoding="utf-8"), "html.parser")
    claims = [name for path in (ROOT / "data/results/custom").glob("*.claims.csv") for name in pd.read_csv(path)["id"]]
    assert {row["id"] for row in soup.select("table.verdicts tbody tr")} >= {f"claim-{name}" for name in claims}
    assert all("#fig-" in row.a["href"] for row in soup.select("table.verdicts tbody tr"))  # check_html has followed them
    assert any(tag["src"].startswith("_static/verdicts.js") for tag in soup.select("script[src]"))


def test_mathjax_is_local(html):
    page = (html / "self_attention.html").read_text(encoding="utf-8")
    script = re.search(r'src="([^"]*mathjax[^"]*)"', page).group(1)
    assert (html / script.split("?")[0]).is_file()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
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
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    address = f"http://127.0.0.1:{server.server_port}/{probe.name}"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path}", "--virtual-time-budget=60000", "--dump-dom", address]
    try:
        dom = subprocess.run(command, capture_output=True, text=True, timeout=180).stdout
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
