"""Notebooks × encoders in parallel; what is finished is not run again, and one that fails does not stop the others."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from dask.system import CPU_COUNT
from distributed import Future, KilledWorker, as_completed
from tqdm import tqdm

from lib.study.cluster import connect
from lib.study.errors import StudyError, one_line, unknown
from lib.study.execute import run_notebook
from lib.study.layout import ROOT
from lib.study.profiles import read_profile
from lib.study.units import Unit, units_of


def run_unit(unit: Unit, root: Path) -> str:
    """Run a unit, on a worker.

    Returns:
        empty, or the one paragraph on why it failed.
    """
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # the lines of several workers at once say little
        try:
            run_notebook(unit.notebook, unit.parameters, unit.profile, root)
        except StudyError as error:
            return str(error)
    return ""


def reason(future: Future) -> str:
    """Why a unit failed; empty if it did not."""
    try:
        return future.result()
    except KilledWorker:
        return "the worker processes that ran it ended again and again, often for lack of memory; give fewer WORKERS."
    except Exception as error:  # the workers' own trouble, such as a checkout without lib
        return f"{one_line(f'{type(error).__name__}: {error}').rstrip('.')}."


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep.

    Attributes:
        units: of every notebook of the profile, wanted in this sweep or not.
        ran, unchanged: units that were executed, and that were finished before.
        skipped: (notebook, encoder) -> why.
        failed: unit and why, in the order they ended.
        source: profile that the parameters came from.
        dataset: images that were given instead of the profile's.
    """

    units: list[Unit]
    ran: list[Unit]
    unchanged: list[Unit]
    skipped: dict[tuple[str, str], str]
    failed: list[tuple[Unit, str]]
    source: str
    dataset: str = ""

    def __str__(self) -> str:
        lines = [f"{len(self.ran)} ran, {len(self.unchanged)} unchanged, {len(self.skipped)} skipped, {len(self.failed)} failed"]
        skipped: dict[tuple[str, str], list[str]] = {}
        for (notebook, encoder), why in self.skipped.items():
            skipped.setdefault((encoder, why), []).append(notebook)
        lines += [f"skipped with {encoder}: {', '.join(notebooks)}: {why}" for (encoder, why), notebooks in skipped.items()]
        for unit, why in self.failed:
            given = f"encoders={unit.encoder} profile={unit.profile}" + (f" dataset={self.dataset}" if self.dataset else "")
            command = f'make run NOTEBOOK={unit.notebook} PROFILE={self.source} PARAMETERS="{given}"'
            lines.append(f"failed: {unit}: {why}\n  to run it alone: {command}")
        if self.failed:
            lines.append("The same sweep again runs what failed, and nothing else.")
        return "\n".join(lines)


def sweep(
    profile: str, encoders: Sequence[str], notebooks: Sequence[str] = (), workers: int | None = None, scheduler: str | None = None, dataset: str = "",
    root: Path = ROOT,
) -> Outcome:  # fmt: skip
    """Run every notebook with every encoder, unless that is finished; a unit whose worker dies is run again on another.

    Args:
        profile: whose notebooks, and their other parameters.
        encoders: names.
        notebooks: to run no others.
        workers: processes of the local cluster; one a core, if not given.
        scheduler: address of a Dask scheduler to use instead; see :func:`lib.study.cluster.existing`.
        dataset: images other than the profile's.
        root: of the repository.

    Raises:
        StudyError: refused before anything was executed.
    """
    if workers is not None and workers < 1:
        raise StudyError(f"a sweep needs at least one worker, got {workers}; leave WORKERS out for one a core.")
    listed = read_profile(profile, root)[1]
    for name in notebooks:
        if name not in listed:
            raise unknown("notebook", name, listed, f"profile {profile}")
    units, skipped = units_of(profile, encoders, root, dataset)
    wanted = [unit for unit in units if unit.notebook in (notebooks or listed)]
    unchanged = [unit for unit in wanted if unit.finished(root)]
    waiting, failed = [unit for unit in wanted if unit not in unchanged], []
    if waiting:
        with connect(min(workers or CPU_COUNT, len(waiting)), scheduler) as client, tqdm(total=len(waiting), unit="notebook") as bar:
            futures = {client.submit(run_unit, unit, root, pure=False): unit for unit in waiting}
            for future in as_completed(list(futures)):
                unit, why = futures.pop(future), reason(future)
                future.release()  # what has ended is not kept on a worker, and so not computed again should that worker die
                if why:
                    failed.append((unit, why))
                bar.set_postfix_str(f"{unit} {'failed' if why else 'done'}", refresh=False)
                bar.update()
    lost, skipped = [unit for unit, _ in failed], {key: why for key, why in skipped.items() if key[0] in (notebooks or listed)}
    return Outcome(units, [unit for unit in waiting if unit not in lost], unchanged, skipped, failed, profile, dataset)
