"""Every notebook reads like a paper and is ready to run: these are rules about the sources, so they
need no execution."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from lib.paths import ROOT
from lib.run.layout import contents, read_notebook

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMPORT = (ast.Import, ast.ImportFrom)
SCHEMATIC = re.compile(r"(from lib.report import show_schematic\n\nshow_schematic\(.*\))?")
PROFILES = sorted((ROOT / "notebooks" / "profiles").glob("*.yaml"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return read_notebook(request.param)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_sources_carry_no_outputs(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_exactly_one_parameters_cell(notebook):
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code_cells(notebook)) == 1


def test_title_is_a_question(notebook):
    title = notebook.cells[0].source.splitlines()[0]
    assert title.startswith("# ") and not title.startswith("# #") and title.endswith("?")


def test_cells_are_short_and_define_little(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= 25, cell.source.splitlines()[0]
        classes = [
            node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.ClassDef)
        ]
        assert not classes, "classes belong in lib"


def test_imports_stand_together_in_at_most_six_lines(notebook):
    """In one cell; a diagram that opens the page, before it, imports what draws it."""
    found = []
    for cell in code_cells(notebook):
        nodes = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, IMPORT)]
        if nodes and cell.source != SCHEMATIC.match(cell.source)[0]:
            found.append(sum(node.end_lineno - node.lineno + 1 for node in nodes))
    assert len(found) == 1 and found[0] <= 6, found


def test_every_figure_has_name_caption_and_alternative_text(notebook):
    for cell in code_cells(notebook):
        if (
            cell.source.rstrip().endswith(";")
            and "write_table" not in cell.source.rsplit("\n", 1)[-1]
        ):
            figure, image = (
                cell.metadata.get("mystnb", {}).get(key, {}) for key in ("figure", "image")
            )
            assert figure.get("name", "").startswith("fig-"), cell.source
            assert len(figure.get("caption", "")) > 40 and len(image.get("alt", "")) > 20, (
                cell.source
            )


def test_contents_profiles_and_files_agree():
    names = {path.stem for path in NOTEBOOKS}
    assert {name for name in contents(ROOT / "book" / "_toc.yml") if name in names} == names
    for profile in PROFILES:
        assert set(yaml.safe_load(profile.read_text()).get("notebooks", {})) <= names, profile.name


def test_no_machine_path_in_the_sources():
    for path in [*NOTEBOOKS, *PROFILES, *Path(ROOT / "book").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text and "/home/" not in text, path.name


def test_prose_names_chapters_without_linking_to_them():
    """A book of other encoders may lack any chapter, and a link to one would then stop its build."""
    for path in (ROOT / "book").rglob("*.md"):
        assert ".ipynb)" not in path.read_text(encoding="utf-8"), path.name
