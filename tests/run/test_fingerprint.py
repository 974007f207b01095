"""A key changes exactly when something that the run depends on changes."""

import os
import shutil

import nbformat
import pytest
import yaml
from PIL import Image

from lib.paths import ROOT
from lib.run import fingerprint as module
from lib.run.errors import StudyError
from lib.run.fingerprint import claims_of, fingerprint, library
from lib.run.layout import find_notebook
from lib.run.page import Page, run_page
from lib.run.parameters import check_parameters
from lib.run.profiles import resolve
from lib.run.record import read_record
from lib.run.runs import run_pages


def key(root, name="first", **given) -> str:
    notebook = find_notebook(name, root)
    return fingerprint(notebook, check_parameters(notebook, given, root), root)["key"]


def edit(path, change) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def test_the_library_is_followed_through_imports(root):
    found = library(find_notebook("first", root), root)
    assert list(found) == ["lib/tools/base.py", "lib/tools/double.py"]
    assert library(find_notebook("first_second", root), root) == {}


@pytest.mark.parametrize("page", ["fourier", "trust"])
def test_a_page_that_imports_from_facades_depends_on_what_it_uses_and_no_more(page, tmp_path):
    """On a copy of lib: every module of the six packages is changed in turn."""
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    notebook = find_notebook(page)
    before = library(notebook, tmp_path)
    packages = ("attribution", "data", "encoders", "pretrain", "probes", "report")
    modules = [p for name in packages for p in (tmp_path / "lib" / name).glob("*.py")]
    for path in modules:
        text = path.read_text()
        path.write_text(
            f"{text}\nif True:\n    CHANGED = 1\n" if path.stem != "__init__" else f"{text}#"
        )
        used = path.relative_to(tmp_path).as_posix() in before
        assert (library(notebook, tmp_path) != before) == used, path.name
        path.write_text(text)
    used = set(before) & {path.relative_to(tmp_path).as_posix() for path in modules}
    assert 20 < len(used) < len(modules) / 2 and not any("__init__" in name for name in used)
    expected = {"fourier": "data/mosaic", "trust": "attribution/separation"}[page]
    assert f"lib/{expected}.py" in used
    assert ("lib/attribution/ssla.py" in used) == (page == "trust")


@pytest.mark.parametrize(
    "path",
    [
        "lib/tools/double.py",
        "lib/tools/base.py",
        "lib/tools/__init__.py",
        "lib/__init__.py",
        "data/checkpoints/fashion/a.yaml",
        "data/checkpoints/fashion/a.safetensors",
        "data/checkpoints/fashion/a.csv",
        "data/fashion-mnist/t10k-images-idx3-ubyte.gz",
        "data/published/numbers.csv",
    ],
)
def test_a_change_in_what_the_run_depends_on_changes_the_key(root, path):
    before = key(root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    with (root / path).open("a") as file:
        file.write("\nchanged = 1\n" if path.endswith(".py") else "\n# changed\n")
    assert key(root) != before


@pytest.mark.parametrize(
    "path",
    [
        "lib/other.py",
        "lib/tools/new.py",
        "data/checkpoints/fashion/b.safetensors",
        "book/index.md",
        "book/_toc.yml",
        "data/results/x.csv",
        "requirements.lock",
    ],
)
def test_a_change_elsewhere_keeps_the_key(root, path):
    before = key(root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("changed = 1\n")
    assert key(root) == before


@pytest.mark.parametrize("path", ["double.py", "base.py", "__init__.py"])
def test_comments_and_docstrings_keep_the_key(root, path):
    before = key(root)
    file = root / "lib" / "tools" / path
    file.write_text('"""Words."""\n# more words\n' + file.read_text().replace("(x):", "( x ):"))
    assert key(root) == before


def test_versions_of_the_numeric_libraries_count(root, monkeypatch):
    before = key(root)
    for package in module.PACKAGES:
        known = module.versions(module.PACKAGES) | {package: "0.0.1"}
        with monkeypatch.context() as patched:
            patched.setattr(module, "versions", lambda _, known=known: known)
            assert key(root) != before, package


CLAIM = {
    "id": "X",
    "page": "first",
    "paper": "A",
    "figure": "Fig. 1",
    "statement": "One is more.",
    "statistic": "one minus two",
    "threshold": 0.1,
    "reported": "much",
    "shows": "fig-one",
    "untrained": "CL",
}


@pytest.mark.parametrize("field", CLAIM)
def test_of_a_claim_only_what_decides_it_counts_and_only_for_its_page(root, field):
    path = root / "book" / "claims.yaml"
    path.write_text(yaml.safe_dump([CLAIM, CLAIM | {"id": "Y", "page": "first_second"}]))
    before, other = key(root), key(root, "first_second")
    assert list(claims_of(find_notebook("first", root), root)) == ["X"]
    changed = CLAIM | {field: 7 if field == "threshold" else f"{CLAIM[field]}."}
    path.write_text(yaml.safe_dump([changed, CLAIM | {"id": "Y", "page": "first_second"}]))
    assert (key(root) == before) == (field in module.PROSE)
    assert key(root, "first_second") == other


def test_the_card_of_an_encoder_counts(root, tools):
    before = key(root)
    tools["write_encoder"](root, "fashion/a", b"other weights")
    assert key(root) != before


def test_parameters_count_and_defaults_count_the_same_as_given_values(root):
    assert key(root, images=4, scale=1.5) == key(root)
    assert (
        len(
            {
                key(root),
                key(root, images=5),
                key(root, scale=2.0),
                key(root, encoders=["fashion/b"]),
            }
        )
        == 4
    )


def test_cells_and_tags_count_but_outputs_and_metadata_do_not(root):
    path, before = find_notebook("first", root), key(root)

    def noise(notebook):
        notebook.metadata["kernelspec"] = {"name": "other", "display_name": "Other"}
        (
            notebook.cells[2].id,
            notebook.cells[2].execution_count,
            notebook.cells[2].metadata["collapsed"],
        ) = ("abc", 7, True)
        notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="x")]

    edit(path, noise)
    assert key(root) == before
    edit(path, lambda notebook: notebook.cells[2].metadata.update(tags=["hide-input"]))
    tagged = key(root)
    edit(path, lambda notebook: notebook.cells[0].update(source="# another title"))
    assert len({before, tagged, key(root)}) == 3


def test_magics_are_no_obstacle(root, tools):
    source = "%matplotlib inline\n!ls\nfrom lib.tools import base"
    notebook = tools["write_notebook"](root, "magic", "a = 1", source)
    assert list(library(notebook, root)) == ["lib/tools/base.py"]


def test_code_that_is_not_python_is_refused(root, tools):
    with pytest.raises(StudyError, match="cell 3 of wrong.ipynb is not Python"):
        library(tools["write_notebook"](root, "wrong", "a = 1", "x = = 2"), root)
    (root / "lib" / "tools" / "base.py").write_text("def")
    with pytest.raises(StudyError, match="base.py is not Python"):
        library(find_notebook("first", root), root)


@pytest.fixture
def pictures(root, tools, monkeypatch):
    """A folder of images that both notebooks take, and the list of looks through it."""
    folder, looks = root / "pictures", []
    for number in range(4):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(path)
    for name in ("first", "first_second"):
        tools["write_notebook"](
            root, name, f'profile: str = "fashion"\nimages: int = 4\ndataset: str = "{folder}"'
        )
    (root / "notebooks" / "profiles" / "fashion.yaml").write_text(
        "shared: {profile: fashion, images: 1}\nnotebooks: {first: {}, first_second: {}}\n"
    )
    look = module.folder_digest
    monkeypatch.setattr(module, "folder_digest", lambda path: looks.append(path) or look(path))
    return folder, looks


def change(folder) -> None:
    """Another time of change of a file, as when its contents are replaced by others of the same
    size."""
    os.utime(folder / "a" / "0.png", ns=(1, 1))


def test_a_run_looks_through_a_folder_once_and_the_next_run_notices_a_change(
    root, executions, pictures
):
    folder, looks = pictures

    def run():
        run_pages(resolve("fashion", root=root)[0], root=root)

    run()
    assert executions == ["first", "first_second"] and looks == [folder]
    run()
    assert len(executions) == len(looks) == 2
    change(folder)
    run()
    assert executions[2:] == ["first", "first_second"] and len(looks) == 3


def test_a_change_during_a_run_is_noticed_by_the_next(root, executions, pictures):
    folder, _ = pictures
    page = Page(
        "first", check_parameters(find_notebook("first", root), {"images": 1}, root), "fashion"
    )
    run_page(page, 1, root)
    with module.folders_once():
        before = page.hashes(root)["key"]
        change(folder)
        assert page.hashes(root)["key"] == before
    assert page.damage(root) == ""
    assert read_record("fashion", "first", root)["fingerprint"]["key"] == before
