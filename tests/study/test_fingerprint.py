"""A key changes exactly when something that the run depends on changes."""

import os

import nbformat
import pytest
from PIL import Image

from lib.study import fingerprint as module
from lib.study.errors import StudyError
from lib.study.execute import run_notebook, run_profile
from lib.study.fingerprint import fingerprint, imported, library_files
from lib.study.layout import find_notebook
from lib.study.parallel import run_unit
from lib.study.parameters import check_parameters
from lib.study.provenance import read_record
from lib.study.units import Unit


def key(root, name="first", **given) -> str:
    notebook = find_notebook(name, root)
    return fingerprint(notebook, check_parameters(notebook, given, root), root)["key"]


def edit(path, change) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def test_library_files_are_followed_through_imports_and_packages(root):
    found = [path.relative_to(root).as_posix() for path in library_files(find_notebook("first", root), root)]
    assert found == ["lib/__init__.py", "lib/tools/__init__.py", "lib/tools/base.py", "lib/tools/double.py"]
    assert library_files(find_notebook("first_second", root), root) == []


@pytest.mark.parametrize(
    "path",
    [
        "lib/tools/double.py", "lib/tools/base.py", "lib/tools/__init__.py", "lib/__init__.py", "data/checkpoints/fashion/a.safetensors",
        "data/fashion-mnist/SHA256SUMS", "data/published/numbers.csv", "book/claims.yaml", "requirements.lock",
    ],
)  # fmt: skip
def test_a_change_in_what_the_run_depends_on_changes_the_key(root, path):
    before = key(root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    with (root / path).open("a") as file:
        file.write("\n# changed")
    assert key(root) != before


@pytest.mark.parametrize("path", ["lib/other.py", "lib/tools/new.py", "data/checkpoints/fashion/b.safetensors", "book/index.md", "data/results/x.csv"])
def test_a_change_elsewhere_keeps_the_key(root, path):
    before = key(root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("# changed")
    assert key(root) == before


def test_the_card_of_an_encoder_counts(root, tools):
    before = key(root)
    tools["write_encoder"](root, "fashion/a", b"other weights")
    assert key(root) != before


def test_parameters_count_and_defaults_count_the_same_as_given_values(root):
    assert key(root, images=4, scale=1.5) == key(root)
    assert len({key(root), key(root, images=5), key(root, scale=2.0), key(root, encoders=["fashion/b"])}) == 4


def test_cells_and_tags_count_but_outputs_and_metadata_do_not(root):
    path, before = find_notebook("first", root), key(root)

    def noise(notebook):
        notebook.metadata["kernelspec"] = {"name": "other", "display_name": "Other"}
        notebook.cells[2].id, notebook.cells[2].execution_count, notebook.cells[2].metadata["collapsed"] = "abc", 7, True
        notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="x")]

    edit(path, noise)
    assert key(root) == before
    edit(path, lambda notebook: notebook.cells[2].metadata.update(tags=["hide-input"]))
    tagged = key(root)
    edit(path, lambda notebook: notebook.cells[0].update(source="# another title"))
    assert len({before, tagged, key(root)}) == 3


def test_imports_are_found_in_every_form_and_place(root, tools):
    source = "import lib.a.b as x, os\ntry:\n    from lib.c import (d,\n        e)\nexcept ImportError: pass\ndef f():\n    from ..g import h"
    assert imported(source, "lib.p.q", "") == {"lib.a.b", "lib.c", "lib.c.d", "lib.c.e", "lib.p.g", "lib.p.g.h"}
    notebook = tools["write_notebook"](root, "magic", "a = 1", "%matplotlib inline\n!ls\nfrom lib.tools import base")
    assert "base.py" in {path.name for path in library_files(notebook, root)}


def test_code_that_is_not_python_is_refused(root, tools):
    with pytest.raises(StudyError, match="cell 3 of wrong.ipynb is not Python"):
        library_files(tools["write_notebook"](root, "wrong", "a = 1", "x = = 2"), root)
    (root / "lib" / "tools" / "base.py").write_text("def")
    with pytest.raises(StudyError, match="lib/tools/base.py is not Python"):
        library_files(find_notebook("first", root), root)


@pytest.fixture
def pictures(root, tools, monkeypatch):
    """A folder of images that both notebooks take, and the list of looks through it."""
    folder, looks = root / "pictures", []
    for number in range(4):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    for name in ("first", "first_second"):
        tools["write_notebook"](root, name, f'profile: str = "fashion"\nimages: int = 4\ndataset: str = "{folder}"')
    (root / "notebooks" / "profiles" / "fashion.yaml").write_text("shared: {profile: fashion, images: 1}\nnotebooks: {first: {}, first_second: {}}\n")
    look = module.folder_digest
    monkeypatch.setattr(module, "folder_digest", lambda path: looks.append(path) or look(path))
    return folder, looks


def change(folder) -> None:
    """Another time of change of a file, as when its contents are replaced by others of the same size."""
    os.utime(folder / "a" / "0.png", ns=(1, 1))


def test_a_run_looks_through_a_folder_once_and_the_next_run_notices_a_change(root, executions, pictures):
    folder, looks = pictures
    run_profile("fashion", root=root)
    assert executions == ["first", "first_second"] and looks == [folder]
    run_profile("fashion", root=root)
    assert len(executions) == len(looks) == 2
    change(folder)
    run_profile("fashion", root=root)
    assert executions[2:] == ["first", "first_second"] and len(looks) == 3


def test_a_notebook_alone_and_a_change_during_a_run_are_noticed(root, executions, pictures):
    folder, _ = pictures
    run_notebook("first", {"images": 1}, "fashion", root)
    change(folder)
    assert not run_notebook("first", {"images": 1}, "fashion", root).reused and len(executions) == 2
    with module.folders_once():
        before = key(root, "first", images=1)
        os.utime(folder / "a" / "0.png", ns=(2, 2))
        assert key(root, "first", images=1) == before
    assert key(root, "first", images=1) != before
    with module.folders_once({folder: "known"}):
        known = key(root, "first", images=1)
    assert known not in (before, key(root, "first", images=1))


def test_a_worker_takes_the_digests_that_it_is_given(root, executions, pictures):
    folder, looks = pictures
    values = check_parameters(find_notebook("first", root), {"images": 1}, root)
    assert run_unit(Unit("first", "", "fashion", values), root, False, {folder: "known"})[0] == ""
    assert looks == [] and read_record("fashion", "first", root)["fingerprint"]["data"]["dataset"] == "known"
