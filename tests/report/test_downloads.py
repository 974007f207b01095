"""What readers take away: notebooks that run anywhere, tables behind figures, LaTeX, links, a citation."""

import os
import subprocess
import sys

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lib.report.book import configuration, repository_url
from lib.report.downloads import citation, for_readers, links_out, tables_behind
from lib.run.layout import ROOT


def figure(source, **more):
    captioned = {"mystnb": {"figure": {"caption": "Some curves.", "name": "fig-x"}}}
    return new_code_cell(source, metadata=captioned, **more)


def test_a_downloaded_notebook_runs_in_an_empty_folder_by_its_first_cell(tmp_path):
    clone = tmp_path / "repository"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), clone], check=True)
    (clone / "requirements.lock").write_text("pytest\n")  # the packages are here already
    notebook = for_readers(
        new_notebook(cells=[new_code_cell("import lib.report; print('ran')")]), ""
    )
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "-c", source]
    alone = os.environ | {"PYTHONPATH": ""}
    asked = subprocess.run(command, cwd=empty, env=alone, capture_output=True, text=True)
    assert "set STUDY_REPOSITORY" in asked.stderr
    given = alone | {"STUDY_REPOSITORY": clone.as_uri()}
    done = subprocess.run(command, cwd=empty, env=given, capture_output=True, text=True)
    assert done.stdout == "ran\n", done.stderr
    assert (empty / "ssl-study" / "lib").is_dir()


def test_nothing_of_this_machine_stays():
    noise = new_output("stream", name="stderr", text="100 %")
    said = new_output("stream", name="stdout", text="5")
    cell = new_code_cell("1", outputs=[noise, said], metadata={"papermill": {"start_time": "now"}})
    executed = new_notebook(cells=[cell], metadata={"papermill": {"input_path": "/some/where"}})
    reader = for_readers(executed, "")
    assert "papermill" not in nbformat.writes(reader)
    assert [output.name for output in reader.cells[1].outputs] == ["stdout"]


def test_code_is_folded_and_parameters_are_in_the_foot():
    cells = [
        new_code_cell("a = 1", metadata={"tags": ["parameters"]}),
        new_code_cell("b = 2"),
        new_code_cell("c = 3", metadata={"tags": ["remove-input"]}),
    ]
    tags = [cell.metadata["tags"] for cell in for_readers(new_notebook(cells=cells), "").cells]
    assert tags == [
        ["remove-cell"],
        ["parameters", "remove-cell"],
        ["hide-input"],
        ["remove-input"],
    ]


def test_a_figure_leads_to_the_table_that_it_draws():
    cells = [
        new_code_cell('write_table(a, profile, "page")'),
        new_code_cell('write_table(b, profile, "page.more");'),
        new_code_cell("some = a.query('x')"),
        figure("curves(b, 'x');", id="direct"),
        figure("curves(some[some['y'] > 0], 'x');", id="derived"),
        figure("image_rows(images);", id="pictures"),
    ]
    notebook = new_notebook(cells=cells)
    assert tables_behind(notebook) == {"direct": "page.more", "derived": "page"}
    caption = for_readers(notebook, "").cells[4].metadata["mystnb"]["figure"]["caption"]
    assert caption == "Some curves. {download}`CSV <generated/page.more.csv>`"


@pytest.mark.parametrize(
    "url", ["https://github.com/someone/study", "https://github.com/someone/study.git"]
)
def test_links_follow_from_the_address(url):
    links = links_out("fourier", url)
    assert "colab.research.google.com/github/someone/study/blob/notebooks/fourier.ipynb" in links
    assert "mybinder.org/v2/gh/someone/study/notebooks?labpath=fourier.ipynb" in links
    assert "github.com/someone/study/blob/main/notebooks/fourier.ipynb" in links


def test_without_an_address_nothing_leads_anywhere():
    assert links_out("fourier", "") == ""


def test_the_address_is_written_once(tmp_path):
    config = tmp_path / "_config.yml"
    text = (ROOT / "book" / "_config.yml").read_text(encoding="utf-8")
    known = text.replace('url: ""', 'url: "https://github.com/someone/study"')
    assert known != text or repository_url(ROOT / "book" / "_config.yml")
    config.write_text(known, encoding="utf-8")
    values = yaml.safe_load(configuration(config))
    assert values["html"]["use_repository_button"] and values["html"]["use_issues_button"]
    assert values["repository"]["url"].startswith("https://github.com/")


def test_citation_is_that_of_the_file():
    text = citation(ROOT / "CITATION.cff", "https://example.org/x")
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert facts["title"] in text and "url = {https://example.org/x}" in text
    assert "url" not in citation(ROOT / "CITATION.cff", "")


def test_every_reference_has_a_link():
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").split("\n@")
    for entry in entries:
        assert any(f"{field} " in entry for field in ("doi", "eprint", "url")), entry[:60]
