"""A page: a notebook with its parameters and the folder of its results. Running it, by papermill."""

import json
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
import papermill
from nbclient.exceptions import DeadKernelError

from lib.paths import ROOT
from lib.run.environment import kernel_environment
from lib.run.errors import StudyError, one_line
from lib.run.fingerprint import fingerprint
from lib.run.layout import executed_notebook, find_notebook, read_notebook, record_path, tables_of
from lib.run.needs import without_masks
from lib.run.record import damage, make_record


@dataclass(frozen=True, eq=False)
class Page:
    """What is run, and where its results go.

    Attributes:
        notebook: its name.
        parameters: all of the notebook's, checked.
        profile: folder of the results.
        encoder: the only one, in a sweep.
    """

    notebook: str
    parameters: dict
    profile: str
    encoder: str = ""

    def __str__(self) -> str:
        return f"{self.notebook} × {self.encoder}" if self.encoder else self.notebook

    def hashes(self, root: Path = ROOT) -> dict:
        """Of all that it depends on; see :func:`lib.run.fingerprint.fingerprint`."""
        return fingerprint(find_notebook(self.notebook, root), self.parameters, root)

    def damage(self, root: Path = ROOT) -> str | None:
        """None if its results are there, of exactly what it would be computed from now; else why
        not, or nothing to say."""
        return damage(self.profile, self.notebook, self.hashes(root)["key"], root)


def staging(profile: str, root: Path = ROOT) -> Path:
    """Where the runs of a results folder write, each in a folder of its own."""
    return root / "data" / "results" / ".runs" / profile


def run_page(page: Page, threads: int, root: Path = ROOT, bar: bool = False) -> float:
    """Run a page; its results appear all together at the end, or not at all.

    Args:
        page: to run; its results folder is held by the caller, see ``lib.run.runs``.
        threads: of the numeric libraries.
        root: of the repository.
        bar: show a bar over the cells.

    Returns:
        seconds.

    Raises:
        StudyError: a cell failed, or ended the kernel.
    """
    source, hashes = find_notebook(page.notebook, root), page.hashes(root)
    target = executed_notebook(page.profile, page.notebook, root)
    parent = staging(page.profile, root)
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=f"{page.notebook}-"))
    try:
        started = time.perf_counter()
        try:
            execute(source, page.parameters, folder, target, threads, root, bar)
        except Exception as error:
            raise failure(source, error) from error
        check_claims(page.notebook, folder / "tables", hashes["claims"])
        results = record_path(page.profile, page.notebook, root).parent.relative_to(root)
        outputs = {target.relative_to(root).as_posix(): folder / "page.ipynb"}
        outputs |= {
            (results / table.name).as_posix(): table for table in (folder / "tables").iterdir()
        }
        seconds = time.perf_counter() - started
        given = page.notebook, page.profile, page.parameters, hashes, seconds, outputs, root
        record = json.dumps(make_record(*given), indent=1, ensure_ascii=False) + "\n"
        (folder / "record.json").write_text(record, encoding="utf-8")
        ready = folder.with_name(f"{folder.name}.ready")
        os.rename(folder, ready)  # from here on the run counts, whatever happens
        publish(ready, root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return seconds


def execute(
    notebook: Path,
    parameters: dict,
    folder: Path,
    target: Path,
    threads: int,
    root: Path,
    bar: bool,
) -> None:
    """Execute into ``folder``: ``page.ipynb``, which names no path of this machine, and ``tables``.

    Raises:
        StudyError: a cell that never ran, since one before it ended the kernel.
    """
    (folder / "tables").mkdir()
    source, executed = folder / notebook.name, folder / "page.ipynb"
    dataset = parameters.get("dataset", "fashion")
    nbformat.write(without_masks(read_notebook(notebook), dataset), source)
    with kernel_environment(folder / "tables", threads) as config:
        papermill.execute_notebook(
            source, executed, parameters=parameters, cwd=root, progress_bar=bar,
            kernel_name="python3", language="python", extra_arguments=["--log-level=ERROR"],
            config=config,
        )  # fmt: skip
    source.unlink()
    found = read_notebook(executed)
    for number, cell in enumerate(found.cells, start=1):
        ended = any(o.get("ename") == "SystemExit" for o in cell.get("outputs", []))
        status = cell.metadata.get("papermill", {}).get("status", "completed")
        if cell.cell_type == "code" and (ended or status != "completed"):
            raise StudyError(
                f"cell {number} of {len(found.cells)} ended the kernel, so those after it never ran"
            )
    paths = {"input_path": notebook.relative_to(root).as_posix()}
    paths["output_path"] = target.relative_to(root).as_posix()
    found.metadata.setdefault("papermill", {}).update(paths)
    nbformat.write(found, executed)


def check_claims(name: str, tables: Path, known: dict[str, str]) -> None:
    """Refuse a judged claim that is not in the page's key: it would not be judged again.

    Raises:
        StudyError: names it.
    """
    for table in tables.glob("*.csv"):
        columns = pd.read_csv(table, nrows=0).columns if table.stat().st_size else []
        column = next((c for c in ("claim", "id") if c in columns), None)
        judged = set(pd.read_csv(table)[column].astype(str)) if column else set()
        if judged - set(known):
            raise StudyError(
                f"notebook {name} judges {', '.join(sorted(judged - set(known)))}, which book/claims.yaml"
                f" does not give to this page: write `page: {name}` there."
            )


def publish(ready: Path, root: Path = ROOT) -> None:
    """Move the results of a finished run to their places, the record last; if that is stopped, the
    next run does the rest."""
    if (ready / "record.json").is_file():
        record = json.loads((ready / "record.json").read_text(encoding="utf-8"))
        profile, name = record["profile"], record["notebook"]
        for path in record["outputs"]:
            table = ready / "tables" / Path(path).name
            _move(table if path.endswith(".csv") else ready / "page.ipynb", root / path)
        for table in tables_of(profile, name, root):
            if table.relative_to(root).as_posix() not in record["outputs"]:
                table.unlink()  # of an earlier version of the notebook
        _move(ready / "record.json", record_path(profile, name, root))
    shutil.rmtree(ready)


def _move(file: Path, target: Path) -> None:
    """Unless it was moved before; also from one file system to another, and never half."""
    if not file.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(file, target)
    except OSError:
        beside = target.with_name(f".{target.name}.half")
        shutil.copyfile(file, beside)
        os.replace(beside, target)
        file.unlink()


def settle(profile: str, root: Path = ROOT) -> None:
    """Finish what a run that was killed had to publish, and remove what others left unfinished."""
    parent = staging(profile, root)
    for folder in sorted(parent.glob("*"), key=lambda path: path.stat().st_mtime_ns):
        if folder.suffix == ".ready":
            publish(folder, root)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # not there, or a kernel that outlived its worker is still writing
        parent.rmdir()


def failure(notebook: Path, error: Exception) -> StudyError:
    """The one paragraph about a cell that failed."""
    if not isinstance(error, papermill.PapermillExecutionError):
        dead = isinstance(error, DeadKernelError)
        said = str(error) if isinstance(error, StudyError) else f"{type(error).__name__}: {error}"
        why = "its Python process ended, often for lack of memory" if dead else one_line(said)
        return StudyError(
            f"notebook {notebook.stem} failed: {why.rstrip('.')}. Results of earlier runs are kept."
        )
    cells = read_notebook(notebook).cells
    tagged = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    # papermill adds a cell after the parameters
    number = error.cell_index + (0 if error.cell_index > tagged[0] else 1)
    first_line = one_line(error.source.strip().partition("\n")[0], 80)
    return StudyError(
        f"notebook {notebook.stem} failed in cell {number} of {len(cells)}, which begins"
        f" `{first_line}`: {error.ename}: {one_line(error.evalue).rstrip('.')}. Results of earlier"
        " runs are kept; correct the cell, or what it calls, and run again."
    )


def said_of_damage(page: Page, root: Path = ROOT) -> list[str]:
    """What the kernel said about kept files that it found damaged."""
    cells = read_notebook(executed_notebook(page.profile, page.notebook, root)).cells
    text = "".join(o.get("text", "") for c in cells for o in c.get("outputs", []))
    return re.findall(r"^.* is damaged, computed again: .*$", text, re.MULTILINE)
