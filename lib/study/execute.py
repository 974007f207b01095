"""Run notebooks with papermill, repeat nothing that is unchanged, and keep the last good results when a run fails."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from traitlets.config import Config

from lib.study.errors import StudyError, one_line
from lib.study.fingerprint import fingerprint, folders_once
from lib.study.layout import ROOT, executed_notebook, find_notebook, read_notebook, tables_of
from lib.study.needs import without_masks
from lib.study.parameters import check_parameters
from lib.study.profiles import resolve, results_profile
from lib.study.provenance import is_current, write_record


@dataclass(frozen=True)
class Run:
    """A notebook that ran, or whose results were reused.

    Attributes:
        name, profile: of the notebook and of the folder of its results.
        notebook: executed notebook.
        tables: files the notebook wrote.
        reused: nothing had changed since the last good run, so nothing was executed.
    """

    name: str
    profile: str
    notebook: Path
    tables: list[Path]
    reused: bool


def failure(notebook: Path, error: Exception) -> StudyError:
    """The one paragraph about a cell that failed."""
    if not isinstance(error, papermill.PapermillExecutionError):
        dead = isinstance(error, DeadKernelError)
        reason = "its Python process ended, often for lack of memory" if dead else one_line(f"{type(error).__name__}: {error}").rstrip(".")
        return StudyError(f"notebook {notebook.stem} failed: {reason}. Results of earlier runs are kept.")
    cells = read_notebook(notebook).cells
    tagged = [index for index, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    number = error.cell_index + (0 if error.cell_index > tagged[0] else 1)  # papermill adds a cell after the parameters
    first_line = one_line(error.source.strip().partition("\n")[0], 80)
    return StudyError(
        f"notebook {notebook.stem} failed in cell {number} of {len(cells)}, which begins `{first_line}`: {error.ename}: {one_line(error.evalue).rstrip('.')}. "
        f"Results of earlier runs are kept; correct the cell, or what it calls, and run again."
    )


@contextmanager
def kernel_sockets() -> Iterator[Config]:
    """Where a kernel listens: in socket files of its own, since kernels that start at once may draw the same TCP port; by TCP on Windows, without such files."""
    if os.name == "nt":
        yield Config()
        return
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="study-") as folder:  # a socket's path has at most 103 characters
        yield Config(KernelManager={"transport": "ipc", "connection_file": f"{folder}/kernel.json"})


def execute(notebook: Path, parameters: dict, target: Path, root: Path) -> None:
    """Execute into a temporary file, then move it to ``target``; the executed notebook names no machine path."""
    (root / "build").mkdir(exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / "build", prefix="running-") as folder, kernel_sockets() as config:
        temporary, source = Path(folder) / notebook.name, Path(folder) / "source" / notebook.name
        source.parent.mkdir()
        nbformat.write(without_masks(read_notebook(notebook), parameters.get("dataset", "fashion")), source)
        kernel = dict(kernel_name="python3", language="python", extra_arguments=["--log-level=ERROR"], config=config)
        papermill.execute_notebook(source, temporary, parameters=parameters, cwd=root, progress_bar=True, **kernel)
        executed = read_notebook(temporary)
        paths = {"input_path": notebook.relative_to(root).as_posix(), "output_path": target.relative_to(root).as_posix()}
        executed.metadata.setdefault("papermill", {}).update(paths)
        nbformat.write(executed, temporary)
        os.replace(temporary, target)


def put_back(profile: str, name: str, tables: dict[Path, bytes], root: Path) -> None:
    """Leave exactly these tables of a notebook."""
    for path in tables_of(profile, name, root):
        path.unlink()
    for path, content in tables.items():
        path.write_bytes(content)


def run_notebook(name: str, parameters: dict, profile: str, root: Path = ROOT, force: bool = False) -> Run:
    """Run a notebook, or reuse its last good run if nothing that it depends on has changed.

    Args:
        name: of ``notebooks/NAME.ipynb``.
        parameters: given values; the notebook's defaults serve for the others.
        profile: folder of the results, ``build/notebooks/PROFILE`` and ``data/results/PROFILE``.
        root: of the repository.
        force: run even if nothing has changed.

    Raises:
        StudyError: refused before execution, or failed; then the last good results are as they were.
    """
    notebook = find_notebook(name, root)
    parameters = check_parameters(notebook, parameters, root)
    if parameters.get("profile", profile) != profile:
        raise StudyError(f"notebook {name} was given profile={parameters['profile']!r}, but its results go to the folder {profile!r}; give both the same.")
    target, hashes = executed_notebook(profile, name, root), fingerprint(notebook, parameters, root)
    if not force and is_current(profile, name, hashes["key"], root):
        print(f"{name}: unchanged since the last run ({profile}, key {hashes['key'][:8]})", flush=True)
        return Run(name, profile, target, tables_of(profile, name, root), reused=True)
    print(f"{name}: running ({profile}, key {hashes['key'][:8]})", flush=True)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tables_of(profile, name, root)}
    started = time.perf_counter()
    try:
        execute(notebook, parameters, target, root)
    except BaseException as error:  # an interruption too must leave the last good tables
        put_back(profile, name, {path: content for path, (_, content) in before.items()}, root)
        if isinstance(error, Exception):
            raise failure(notebook, error) from error
        raise
    for path, (modified, _) in before.items():
        if path.exists() and path.stat().st_mtime_ns == modified:
            path.unlink()  # of an earlier version of the notebook, which this one no longer writes
    tables, seconds = tables_of(profile, name, root), time.perf_counter() - started
    write_record(profile, name, parameters, hashes, seconds, tables, root)
    print(f"{name}: done in {seconds:.0f} s, {len(tables)} table{'' if len(tables) == 1 else 's'}", flush=True)
    return Run(name, profile, target, tables, reused=False)


@folders_once()
def run_profile(
    profile: str, assignments: list[str] = (), only: str | None = None, root: Path = ROOT, force: bool = False, workers: int = 1
) -> list[Run]:  # fmt: skip
    """Check all the parameters of a profile, then run its notebooks in order; one that fails does not stop the others.

    Args:
        profile: of ``notebooks/profiles/PROFILE.yaml``.
        assignments: ``["images=64", …]``; with any, the results go to the profile ``custom``.
        only: a notebook, to run no other.
        root: of the repository.
        force: run even what has not changed.
        workers: notebooks at once.

    Raises:
        StudyError: refused before anything was executed; or, after all ran, what failed.
    """
    (parameters, left_out), results = resolve(profile, list(assignments), only, root), results_profile(profile, list(assignments), root)
    for name, reason in left_out.items():
        print(f"{name}: left out: {reason}", flush=True)
    runs, failures = [], []
    if workers > 1:
        from lib.study.parallel import run_units  # which runs notebooks by this module
        from lib.study.units import Unit

        units = [Unit(name, "", results, values) for name, values in parameters.items()]
        waiting = [unit for unit in units if force or not unit.finished(root)]
        failures = [why for _, why in run_units(waiting, workers, None, root, force)]
        folder = {name: (executed_notebook(results, name, root), tables_of(results, name, root)) for name in parameters}
        runs = [Run(unit.notebook, results, *folder[unit.notebook], reused=unit not in waiting) for unit in units]
        print(f"{len(waiting)} of {len(units)} notebooks were run, the others are unchanged", flush=True)
    for name, values in parameters.items() if workers == 1 else ():
        try:
            runs.append(run_notebook(name, values, results, root, force))
        except StudyError as error:
            print(f"{name}: failed", flush=True)
            failures.append(str(error))
    if failures:
        summary = f"{len(failures)} of {len(parameters)} notebooks failed: " if len(parameters) > 1 else ""
        raise StudyError(summary + " ".join(failures))
    return runs
