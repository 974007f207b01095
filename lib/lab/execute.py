"""Run a module of the lab once, and keep the result until anything that it depends on changes."""

import os
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from lib.lab.small import list_cards
from lib.lab.source import MODULES, module_path, read_module
from lib.paths import ROOT
from lib.run.errors import StudyError
from lib.run.fingerprint import fingerprint

MOST_SECONDS = 600  # for a cell: a lecturer's laptop may be busy


def key_of(name: str, root: Path = ROOT) -> str:
    """Hash of a module's cells, of the code and the garments' encoders that it uses, and of versions."""
    parameters = {"dataset": "fashion", "encoders": list_cards("fashion")}
    return fingerprint(module_path(name, root), parameters, root)["key"]


def executed_path(name: str, root: Path = ROOT) -> Path:
    """Path of the executed source."""
    return root / "build" / "lab" / "executed" / f"{name}.ipynb"


def executed(name: str, root: Path = ROOT) -> NotebookNode:
    """The module with its outputs, run now or kept from a run that depends on the same.

    Args:
        name: of the module.
        root: of the repository; the kernel runs there.

    Raises:
        StudyError: a cell failed.
    """
    key, path = key_of(name, root), executed_path(name, root)
    if path.is_file():
        kept = nbformat.read(path, as_version=4)
        if kept.metadata.get("lab", {}).get("key") == key:
            return kept
    notebook = read_module(name, root)
    client = NotebookClient(
        notebook,
        timeout=MOST_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(root)}},
    )
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with client.setup_kernel(env=environment):
        process = psutil.Process(client.km.provisioner.pid)
        for number, cell in enumerate(tqdm(notebook.cells, f"lab: {name}", unit="cell")):
            before = sum(process.cpu_times()[:2])
            try:
                client.execute_cell(cell, number)
            except CellExecutionError as error:
                raise StudyError(f"lab/{name}.ipynb, cell {number}: {error}") from error
            if cell.cell_type == "code":
                cell.metadata["seconds"] = round(sum(process.cpu_times()[:2]) - before, 2)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            streams = [o for o in cell.outputs if o.get("name") == "stderr"]
            cell.outputs = [o for o in cell.outputs if o not in streams]
    notebook.metadata["lab"] = {"key": key}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    nbformat.write(notebook, partial)
    partial.replace(path)
    return notebook


def seconds(cell: NotebookNode) -> float:
    """Seconds of processor time that a code cell took: what a busy machine does not change."""
    return cell.metadata.get("seconds", 0.0)


def modules(root: Path = ROOT) -> dict[str, NotebookNode]:
    """Every module, executed."""
    return {name: executed(name, root) for name in MODULES if module_path(name, root).is_file()}
