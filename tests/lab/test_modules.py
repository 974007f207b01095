"""The modules as a class runs them: every cell, in time; the pages that come of them, in a browser."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

from lib.lab.execute import executed, key_of, seconds
from lib.lab.source import FIRST_CELL, MODULES, read_module, tags
from lib.paths import ROOT


@pytest.fixture(scope="module", params=MODULES)
def ran(request):
    """A module with its outputs: from its last run if nothing has changed since."""
    return executed(request.param)


def output(cell):
    return "".join(o.get("text", "") for o in cell.outputs)


@pytest.mark.parametrize("name", MODULES)
def test_the_images_are_the_one_parameter(name):
    (cell,) = (cell for cell in read_module(name).cells if "parameters" in tags(cell))
    assert cell.source.startswith('dataset: str = "fashion"')


def test_every_check_passes_and_every_figure_is_there(ran):
    for cell in ran.cells:
        if "check" in tags(cell):
            assert output(cell).startswith("✓"), output(cell)
        if cell.cell_type == "code" and cell.source.endswith(";"):
            assert any("image/svg+xml" in o.get("data", {}) for o in cell.outputs), cell.source


def test_cells_are_quick(ran):
    spent = [seconds(cell) for cell in ran.cells if cell.cell_type == "code"]
    assert max(spent) < 10  # of the processor: 5 on each of two cores
    assert 0 < sum(spent) < 120


def test_outputs_hold_no_path_of_this_machine_and_no_warning(ran):
    shown = json.dumps([cell.get("outputs", []) for cell in ran.cells])
    assert str(ROOT) not in shown
    assert "Warning" not in shown


def test_a_change_of_a_check_or_of_a_cell_runs_the_module_again(tmp_path, monkeypatch):
    from lib.lab import execute

    before = key_of("attention")
    changed = read_module("attention")
    changed.cells[-1].source += " "
    path = tmp_path / "notebooks" / "lab" / "attention.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(changed, path)
    monkeypatch.setattr(execute, "module_path", lambda name, root: path)
    assert key_of("attention") != before


def test_first_cell_fetches_the_study_into_an_empty_folder(tmp_path):
    origin, empty = tmp_path / "origin", tmp_path / "empty"
    (origin / "lib" / "lab").mkdir(parents=True)
    (origin / "lib" / "lab" / "mark.txt").write_text("here")
    empty.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(origin)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)
    script = (
        f"{FIRST_CELL.read_text()}\nprint(os.getcwd(), sys.path[0], *os.listdir(study / 'lib/lab'))"
    )
    run = lambda **env: subprocess.run(
        [sys.executable, "-c", script], cwd=empty, env=os.environ | env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    done = run(REPOSITORY=origin.as_uri())
    assert done.stdout.split() == [str(empty), str(empty / "study"), "mark.txt"], done.stderr
    assert run(REPOSITORY="/nowhere").returncode == 0  # fetched already
    subprocess.run(["rm", "-r", str(empty / "study")], check=True)
    assert "write the address" in run(REPOSITORY="").stderr
