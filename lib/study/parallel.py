"""Notebooks on worker processes, several at once; one that fails does not stop the others."""

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from distributed import Future, KilledWorker, as_completed
from tqdm import tqdm

from lib.data.dataset import load_images
from lib.study.cluster import connect
from lib.study.errors import StudyError, one_line
from lib.study.execute import put_back, run_notebook
from lib.study.fingerprint import DIGESTS, folders_once
from lib.study.layout import ROOT, tables_of
from lib.study.units import Unit


def run_unit(unit: Unit, root: Path, force: bool, digests: dict[Path, str] | None) -> tuple[str, float]:
    """Run a unit, on a worker; the digests of folders are those of the process that asked for it.

    Returns:
        why it failed, in one paragraph, or nothing; seconds.
    """
    started, why = time.perf_counter(), ""
    with folders_once(digests), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # the lines of several workers at once say little
        try:
            run_notebook(unit.notebook, unit.parameters, unit.profile, root, force)
        except StudyError as error:
            why = str(error)
    return why, time.perf_counter() - started


def outcome(unit: Unit, future: Future) -> tuple[str, float]:
    """Why a unit failed, or nothing, and its seconds."""
    try:
        return future.result()
    except KilledWorker:
        return f"{unit}: the worker processes that ran it ended again and again, often for lack of memory; give fewer WORKERS.", 0.0
    except Exception as error:  # the workers' own trouble, such as a checkout without lib
        return f"{unit}: {one_line(f'{type(error).__name__}: {error}').rstrip('.')}.", 0.0


def run_units(
    units: Sequence[Unit], workers: int, scheduler: str | None = None, root: Path = ROOT, force: bool = False
) -> list[tuple[Unit, str]]:  # fmt: skip
    """Run units in the order given, as workers become free; a unit whose worker dies is run again on another.

    Args:
        units: none of them twice.
        workers: processes of the local cluster.
        scheduler: address of a Dask scheduler to use instead; see :func:`lib.study.cluster.existing`.
        root: of the repository.
        force: run even what has not changed.

    Returns:
        units that failed, each with the reason, in the order they ended.

    Raises:
        StudyError: a scheduler that cannot be used.
    """
    failed: list[tuple[Unit, str]] = []
    if not units:
        return failed
    fetch({unit.parameters.get("dataset", "fashion") for unit in units})
    before, done = [{path: path.read_bytes() for path in tables_of(unit.profile, unit.notebook, root)} for unit in units], []
    try:
        with connect(min(workers, len(units)), scheduler) as client, tqdm(total=len(units), unit="notebook") as bar:
            futures = {client.submit(run_unit, unit, root, force, DIGESTS.get(), pure=False): unit for unit in units}
            for future in as_completed(list(futures)):
                unit = futures.pop(future)
                why, seconds = outcome(unit, future)
                future.release()  # what has ended is not kept on a worker, and so not computed again should that worker die
                (failed if why else done).append((unit, why))
                tqdm.write(f"{unit}: {'failed' if why else f'done in {seconds:.0f} s'}")
                bar.update()
    finally:  # a worker that was killed, or all of them by an interruption, could not put back the tables of the last good run
        for unit, tables in zip(units, before, strict=True):
            if (unit, "") not in done:
                put_back(unit.profile, unit.notebook, tables, root)
    return failed


def fetch(datasets: set[str]) -> None:
    """Download what is not here yet, once, before several processes would.

    Raises:
        StudyError: it is not to be had.
    """
    for dataset in datasets - {"fashion"}:
        try:
            load_images(dataset, "test")
        except (FileNotFoundError, ValueError) as error:
            raise StudyError(f"the images {dataset} cannot be used: {one_line(error)}.") from error
