"""What a run of a profile would do, without doing it."""

from pathlib import Path

from lib.study.fingerprint import fingerprint
from lib.study.layout import ROOT, find_notebook
from lib.study.parameters import encoders_in
from lib.study.profiles import resolve, results_profile
from lib.study.provenance import is_current, read_record


def plan(profile: str, assignments: list[str] = (), root: Path = ROOT) -> str:
    """Every notebook with what would happen to it, its encoders, and the seconds of its last run; everything is checked as before a run.

    Args:
        profile: of ``notebooks/profiles/PROFILE.yaml``.
        assignments: as for a run.
        root: of the repository.

    Raises:
        StudyError: whatever would refuse the run.
    """
    (parameters, left_out), results = resolve(profile, list(assignments), root=root), results_profile(profile, list(assignments), root)
    lines, known, unknown = [f"profile {profile}, results in data/results/{results}"], 0.0, 0
    for name, values in parameters.items():
        key, record = fingerprint(find_notebook(name, root), values, root)["key"], read_record(results, name, root)
        encoders = ", ".join(dict.fromkeys(encoders_in(values))) or "no encoder"
        if is_current(results, name, key, root):
            lines.append(f"{name}: unchanged, nothing to run ({encoders})")
            continue
        seconds = record["seconds"] if record else None
        known, unknown = known + (seconds or 0), unknown + (seconds is None)
        lines.append(f"{name}: would run, {'never run before' if seconds is None else f'{seconds:.0f} s last time'} ({encoders})")
    lines += [f"{name}: left out: {reason}" for name, reason in left_out.items()]
    return "\n".join([*lines, f"about {known:.0f} s by earlier runs here, and {unknown} notebooks of unknown length"])
