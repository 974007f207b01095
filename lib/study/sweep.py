"""Notebooks × encoders in parallel; what is finished is not run again, and one that fails does not stop the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.study.cluster import default_workers
from lib.study.errors import StudyError, unknown
from lib.study.fingerprint import folders_once
from lib.study.layout import ROOT
from lib.study.parallel import run_units
from lib.study.profiles import read_profile
from lib.study.units import Unit, units_of


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


@folders_once()
def sweep(
    profile: str, encoders: Sequence[str], notebooks: Sequence[str] = (), workers: int | None = None, scheduler: str | None = None, dataset: str = "",
    root: Path = ROOT,
) -> Outcome:  # fmt: skip
    """Run every notebook with every encoder, unless that is finished; a unit whose worker dies is run again on another.

    Args:
        profile: whose notebooks, and their other parameters.
        encoders: names.
        notebooks: to run no others.
        workers: processes of the local cluster; one a core and at most four, if not given.
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
    waiting = [unit for unit in wanted if unit not in unchanged]
    failed = run_units(waiting, workers or default_workers(), scheduler, root)
    lost, skipped = [unit for unit, _ in failed], {key: why for key, why in skipped.items() if key[0] in (notebooks or listed)}
    return Outcome(units, [unit for unit in waiting if unit not in lost], unchanged, skipped, failed, profile, dataset)
