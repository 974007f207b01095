"""Write the editions as folders and archives: build/lab/student, solutions, instructor."""

import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from lib.lab.glossary import read_glossary, words_of
from lib.lab.source import EDITIONS, MODULES, edition_of
from lib.paths import ROOT

BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
BINDER = "https://mybinder.org/badge_logo.svg"
OF_STUDENTS = "lab"  # branch that holds the students' notebooks, with a folder for each edition


def badges(repository: str, name: str) -> str:
    """Links that open a student's notebook on Colab and Binder; none where the address is not on
    GitHub."""
    place = repository.removesuffix(".git").removeprefix("https://github.com/")
    if place == repository or place.count("/") != 1:
        return ""
    colab = (
        f"https://colab.research.google.com/github/{place}/blob/{OF_STUDENTS}/student/{name}.ipynb"
    )
    binder = f"https://mybinder.org/v2/gh/{place}/{OF_STUDENTS}?labpath=student%2F{name}.ipynb"
    return f"[![Open in Colab]({BADGE})]({colab}) [![Open on Binder]({BINDER})]({binder})"


def finished(
    source: NotebookNode, edition: str, name: str, repository: str, root: Path
) -> NotebookNode:
    """An edition with links to open it elsewhere and the terms that it uses."""
    notebook = edition_of(source, edition, MODULES.index(name) + 1, repository, root)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    words = words_of(text, read_glossary(root))
    lines = [f"- **{word}**: {meaning}" for word, meaning in words.items()]
    notebook.cells.append(new_markdown_cell("\n".join(["## Words", "", *lines]), id="words"))
    links = badges(repository, name)
    if links and edition == "student":
        notebook.cells[0].source += f"\n\n{links}"
    return notebook


def write_editions(
    executed: dict[str, NotebookNode], repository: str = "", root: Path = ROOT
) -> list[Path]:
    """Write every edition but the book's, each as a folder and as an archive.

    Args:
        executed: name -> module, as from :func:`lib.lab.execute.modules`.
        repository: where the first cell of a notebook finds the study; empty where it is not known.
        root: of the repository.

    Returns:
        the archives, ``build/lab/EDITION.zip``.
    """
    archives = []
    for edition in EDITIONS[1:]:
        folder = root / "build" / "lab" / edition
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, source in executed.items():
            notebook = finished(source, edition, name, repository, root)
            nbformat.write(notebook, folder / f"{name}.ipynb")
        shutil.copy(root / "notebooks" / "lab" / "requirements.txt", folder)
        archives.append(Path(shutil.make_archive(str(folder), "zip", folder)))
    return archives
