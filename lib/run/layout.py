"""Where the notebooks of the study, their executed copies and their results are."""

from pathlib import Path

import nbformat
import yaml

from lib.paths import ROOT
from lib.run.errors import StudyError, one_line, unknown


def find_notebook(name: str, root: Path = ROOT) -> Path:
    """Path of ``notebooks/NAME.ipynb``.

    Raises:
        StudyError: no such notebook.
    """
    path = root / "notebooks" / f"{name}.ipynb"
    if not path.is_file():
        raise unknown("notebook", name, sorted(p.stem for p in path.parent.glob("*.ipynb")))
    return path


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook.

    Raises:
        StudyError: the file is not a notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises many kinds for a broken file
        raise StudyError(
            f"{path.name} cannot be read as a notebook: {one_line(error, 200)}"
        ) from error


def executed_notebook(profile: str, name: str, root: Path = ROOT) -> Path:
    """Path of the executed copy of a notebook."""
    return root / "build" / "notebooks" / profile / f"{name}.ipynb"


def record_path(profile: str, name: str, root: Path = ROOT) -> Path:
    """Path of the provenance record of a run."""
    return root / "data" / "results" / profile / f"{name}.json"


def tables_of(profile: str, name: str, root: Path = ROOT) -> list[Path]:
    """Tables of a notebook, ``NAME*.csv``, without those of notebooks whose longer name starts the
    same way."""
    longer = tuple(p.stem for p in (root / "notebooks").glob(f"{name}*.ipynb") if p.stem != name)
    return sorted(
        p
        for p in (root / "data" / "results" / profile).glob(f"{name}*.csv")
        if not p.name.startswith(longer)
    )


def contents(toc: Path) -> list[str]:
    """Names of the pages of a table of contents, ``_toc.yml``, in order, the first page first."""

    def files(node: object) -> list[str]:
        if isinstance(node, dict):
            return [
                name
                for key, value in node.items()
                for name in ([value] if key in ("root", "file") else files(value))
            ]
        return [name for item in node for name in files(item)] if isinstance(node, list) else []

    return files(yaml.safe_load(toc.read_text(encoding="utf-8")))


def pages_of_book(root: Path = ROOT) -> list[str]:
    """Notebooks in the table of contents, in order."""
    names = contents(root / "book" / "_toc.yml")
    return [name for name in names if (root / "notebooks" / f"{name}.ipynb").is_file()]
